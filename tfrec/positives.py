"""What follows the next item in its session is a target too.

Where sessions have no order the next item is drawn by lot, and each one left is as likely: a place that
learns from several of them learns from less chance. Where they have one, places learn to look further ahead
(Pancha et al. 2022, PinnerFormer, over all actions of the next days).
"""

import tensorflow as tf

from tfrec.layers.relations import Tensors


def ahead(x: tf.Tensor, count: int) -> tf.Tensor:
    """Returns x [Q, ...] of the `count` queries after each, [Q, count, ...]; zeros past the end."""
    later = [tf.concat([x[step:], tf.zeros_like(x[:step])], axis=0) for step in range(1, count + 1)]
    return tf.stack(later, axis=1)


def further_weights(batch: Tensors, weight: tf.Tensor, count: int) -> tf.Tensor:
    """Returns 1 where the target of a later place follows in the session of the place's own, else 0.

    Args:
        batch: packed rows.
        weight: [B, P] of the places' own targets.
        count: F, later places that are looked at.

    Returns:
        [B * P, F] float32.
    """
    flat = {name: tf.reshape(batch[name], [-1]) for name in ("segment", "request_session")}
    follows = ahead(tf.reshape(weight, [-1]), count) > 0
    for values in flat.values():
        follows &= ahead(values, count) == values[:, None]
    return tf.cast(follows, tf.float32)
