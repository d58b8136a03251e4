"""Pure functions of scores and labels."""

import tensorflow as tf


def mixture_cross_entropy(
    y_true: tf.Tensor,
    y_pred: tf.Tensor,
    sample_weight: tf.Tensor,
    *,
    log_expected_count: tf.Tensor,
    copy_target: tf.Tensor | None = None,
    copy_total: tf.Tensor | None = None,
) -> tf.Tensor:
    """Cross-entropy of the target under P(y) ∝ exp(s_y) + Σ_s exp(r_s)[x_s = y], from sampled negatives.

    With S the columns that are no target, and m_j the expected number of times that the sampler
    draws the item of column j, the normaliser

        Z = exp(s_y) + Σ_{j ∈ S} exp(s_j) / m_j + Σ_s exp(r_s)

    has the expectation of the sum over the whole catalogue: the logQ correction s_j - log m_j
    (Bengio & Senécal 2008; Yi et al. 2019) on negatives alone, since the target is always there
    and is not drawn (Khrylchenko et al. 2025). The loss is log Z - log(exp(s_y) + Σ_s exp(r_s)[x_s = y]).

    Args:
        y_true: [Q, C] one-hot.
        y_pred: [Q, C] scores s; columns not to be counted at a very low score.
        sample_weight: [Q].
        log_expected_count: [C] log m_j; 0 for columns of a whole catalogue.
        copy_target: [Q] log Σ_s exp(r_s) over the target's own copies; None without copy scores.
        copy_total: [Q] log Σ_s exp(r_s) over all events.

    Returns:
        The weighted sum over queries, a scalar.
    """
    is_target = y_true > 0.5
    target = tf.reduce_sum(tf.where(is_target, y_pred, 0.0), axis=-1)
    corrected = tf.where(is_target, y_pred, y_pred - log_expected_count)
    log_z = tf.reduce_logsumexp(corrected, axis=-1)
    if copy_target is not None:
        log_z = log_add_exp(log_z, copy_total)
        target = log_add_exp(target, copy_target)
    return tf.reduce_sum((log_z - target) * sample_weight)


def log_add_exp(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """log(exp(a) + exp(b)), element by element, without overflow."""
    top = tf.maximum(a, b)
    return top + tf.math.log1p(tf.exp(-tf.abs(a - b)))
