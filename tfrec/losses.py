"""Pure functions of scores and labels.

All losses take the same arguments and return the weighted sum over queries, a scalar:

    y_true: [Q, C] one-hot.
    y_pred: [Q, C] scores s; columns not to be counted at a very low score.
    sample_weight: [Q].
    log_expected_count: [C] log m_j, how often the sampler is expected to draw the item of column j;
        0 for columns of a whole catalogue, very high for columns that take no part.
    second: what scores of a second kind, of copies and of rules, add; None without any.
    further: targets beside the first; None without any.
"""

import functools
from typing import NamedTuple, Protocol

import tensorflow as tf

from tfrec.config import LossSettings
from tfrec.schema import FIRST_ROW

NO_PART = 1e8
"""log m from which on a column takes no part."""


class SecondSums(NamedTuple):
    """What scores r of a second kind add to the catalogue's.

    Attributes:
        target: [Q, T] log Σ_s exp(r_s)[x_s = y] over the places s that hold each target.
        total: [Q] log Σ_s exp(r_s) over all.
    """

    target: tf.Tensor
    total: tf.Tensor

    def plus(self, other: "SecondSums") -> "SecondSums":
        """Both together."""
        return SecondSums(*(log_add_exp(a, b) for a, b in zip(self, other, strict=True)))


class Further(NamedTuple):
    """The catalogue's scores of a query's F targets beside the first, T = F + 1 in all.

    Attributes:
        score: [Q, F].
        weight: [Q, F]; the first target's is 1.
    """

    score: tf.Tensor
    weight: tf.Tensor


class Loss(Protocol):
    """The form of a loss."""

    def __call__(
        self,
        y_true: tf.Tensor,
        y_pred: tf.Tensor,
        sample_weight: tf.Tensor,
        *,
        log_expected_count: tf.Tensor,
        second: SecondSums | None = None,
        further: Further | None = None,
    ) -> tf.Tensor: ...


def mixture_cross_entropy(
    y_true: tf.Tensor,
    y_pred: tf.Tensor,
    sample_weight: tf.Tensor,
    *,
    log_expected_count: tf.Tensor,
    second: SecondSums | None = None,
    further: Further | None = None,
    smoothing: float = 0.0,
) -> tf.Tensor:
    """Cross-entropy of the target under P(y) ∝ exp(s_y) + Σ_s exp(r_s)[x_s = y], from sampled negatives.

    With S the columns that are no target, and m_j the expected number of times that the sampler
    draws the item of column j, the normaliser

        Z = exp(s_y) + Σ_{j ∈ S} exp(s_j) / m_j + Σ_s exp(r_s)

    has the expectation of the sum over the whole catalogue: the logQ correction s_j - log m_j
    (Bengio & Senécal 2008; Yi et al. 2019) on negatives alone, since the target is always there
    and is not drawn (Khrylchenko et al. 2025). The loss is log Z - log(exp(s_y) + Σ_s exp(r_s)[x_s = y]),
    the latter's mean where a query has several targets.

    Args:
        smoothing: ε; the loss becomes (1 - ε) times that, and ε times the mean of log Z - s_j over
            the catalogue, its items weighted by 1 / m_j where they are sampled (label smoothing,
            Szegedy et al. 2016).
    """
    is_target = y_true > 0.5
    target = tf.reduce_sum(tf.where(is_target, y_pred, 0.0), axis=-1, keepdims=True)
    if further is not None:
        target = tf.concat([target, further.score], axis=1)
    corrected = tf.where(is_target, y_pred, y_pred - log_expected_count)
    log_z = tf.reduce_logsumexp(corrected, axis=-1)
    if second is not None:
        log_z = log_add_exp(log_z, second.total)
        target = log_add_exp(target, second.target)
    loss = log_z - _mean_over_targets(target, further)
    if smoothing:
        loss = (1 - smoothing) * loss + smoothing * (log_z - _catalogue_mean(y_pred, log_expected_count))
    return tf.reduce_sum(loss * sample_weight)


def binary_cross_entropy(
    y_true: tf.Tensor,
    y_pred: tf.Tensor,
    sample_weight: tf.Tensor,
    *,
    log_expected_count: tf.Tensor,
    second: SecondSums | None = None,
    further: Further | None = None,
    beta: float = 1.0,
) -> tf.Tensor:
    """-log σ(s_y)^β - Σ_j log(1 - σ(s_j)) over the negatives: BCE with β = 1, else gBCE.

    Copies join the target's score, log(exp(s_y) + Σ_s exp(r_s)[x_s = y]), and those of other items
    are one more negative. The sampling is not corrected for; gBCE's β is what undoes it
    (Petrov & Macdonald 2023, gSASRec). There is one target.
    """
    assert further is None
    is_target = y_true > 0.5
    target = tf.reduce_sum(tf.where(is_target, y_pred, 0.0), axis=-1)
    negative = tf.logical_not(is_target) & (log_expected_count < NO_PART)
    # Accidental hits have a very low score, and no loss.
    others = tf.reduce_sum(tf.where(negative, tf.nn.softplus(y_pred), 0.0), axis=-1)
    if second is not None:
        own = second.target[:, 0]
        target = log_add_exp(target, own)
        rest = second.total + tf.math.log1p(-tf.minimum(tf.exp(own - second.total), 1 - 1e-6))
        others += tf.nn.softplus(rest)
    return tf.reduce_sum((beta * tf.nn.softplus(-target) + others) * sample_weight)


def soft_cross_entropy(
    y_pred: tf.Tensor,
    taught: tf.Tensor,
    sample_weight: tf.Tensor,
    *,
    y_true: tf.Tensor,
    log_expected_count: tf.Tensor,
    temperature: float,
) -> tf.Tensor:
    """-T² Σ_y p(y) log q(y), q the softmax of the scores over the catalogue and p that of a teacher's.

    Both are divided by the temperature T (Hinton et al. 2015), and corrected for sampling as in
    `mixture_cross_entropy`. Columns that are not to be counted for one count for neither.

    Args:
        taught: [Q, C] scores of the teacher.
    """
    correction = tf.where(y_true > 0.5, 0.0, log_expected_count)
    counted = (y_pred > -1e8) & (correction < NO_PART)

    def corrected(scores: tf.Tensor) -> tf.Tensor:
        return tf.where(counted, scores / temperature - correction, -1e9)

    log_q = tf.nn.log_softmax(corrected(y_pred))
    loss = -tf.reduce_sum(tf.where(counted, tf.nn.softmax(corrected(taught)) * log_q, 0.0), axis=-1)
    return temperature**2 * tf.reduce_sum(loss * sample_weight)


def loss_function(settings: LossSettings, items: int) -> Loss:
    """Returns the loss of some settings.

    Args:
        items: rows of the item table, padding and unknown included.
    """
    if settings.kind == "softmax":
        return functools.partial(mixture_cross_entropy, smoothing=settings.smoothing)
    beta = 1.0
    if settings.kind == "gbce":
        sampled = settings.uniform + (settings.in_batch - 1) * settings.in_batch_negatives
        beta = gbce_exponent(sampled, items - FIRST_ROW, settings.calibration)
    return functools.partial(binary_cross_entropy, beta=beta)


def gbce_exponent(negatives: int, items: int, calibration: float) -> float:
    """β = α (t (1 - 1/α) + 1/α), α = negatives / (items - 1), t the calibration (Petrov & Macdonald 2023)."""
    alpha = min(negatives / max(items - 1, 1), 1.0)
    return alpha * (calibration * (1 - 1 / alpha) + 1 / alpha) if alpha else 1.0


def log_add_exp(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """log(exp(a) + exp(b)), element by element, without overflow."""
    top = tf.maximum(a, b)
    return top + tf.math.log1p(tf.exp(-tf.abs(a - b)))


def _mean_over_targets(log_likelihood: tf.Tensor, further: Further | None) -> tf.Tensor:
    """[Q] the weighted mean of [Q, T]."""
    if further is None:
        return log_likelihood[:, 0]
    total = log_likelihood[:, 0] + tf.reduce_sum(log_likelihood[:, 1:] * further.weight, axis=1)
    return total / (1 + tf.reduce_sum(further.weight, axis=1))


def _catalogue_mean(y_pred: tf.Tensor, log_expected_count: tf.Tensor) -> tf.Tensor:
    """[Q] the mean score of the catalogue, from columns that are drawn m times each."""
    part = tf.exp(-log_expected_count)[None] * tf.cast(y_pred > -1e8, y_pred.dtype)
    return tf.reduce_sum(part * tf.maximum(y_pred, -1e8), axis=-1) / tf.maximum(
        tf.reduce_sum(part, -1), 1e-12
    )
