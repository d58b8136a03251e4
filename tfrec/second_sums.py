"""What copy scores and rule scores add to the catalogue's, summed over the places that have them."""

import tensorflow as tf

from tfrec.layers.attention import MASKED
from tfrec.losses import SecondSums


def log_sums(score: tf.Tensor, item: tf.Tensor, target: tf.Tensor) -> SecondSums:
    """Returns log Σ exp(score) [B, P, S] over the places with each target's item, and over all.

    Args:
        target: [B, P, T].

    Returns:
        [B * P, T] and [B * P].
    """
    # One after another, so that [B, P, S, T] is never laid out.
    own = [tf.where(item == one[..., None], score, MASKED) for one in tf.unstack(target, axis=-1)]
    sums = tf.stack([tf.reduce_logsumexp(part, axis=-1) for part in own], axis=-1)
    return SecondSums(
        target=tf.reshape(sums, [-1, target.shape[-1]]),
        total=tf.reshape(tf.reduce_logsumexp(score, axis=-1), [-1]),
    )
