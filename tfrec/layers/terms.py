"""Pairwise terms: what the distance between a request and an event adds to their attention."""

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.relations import Distances
from tfrec.spec import ModelSpec

# Knots of the tent functions over log(1 + minutes): a minute up to about ten years.
GAP_KNOTS = 12
GAP_SPACING = 1.28
GAP_FEATURES = GAP_KNOTS + 2
MINUTES_A_DAY = 1440.0
COUNTED = 4096
"""Sessions and places between are told apart up to here."""
ALL = slice(None)


@keras.saving.register_keras_serializable("tfrec")
class PairwiseTerms(keras.layers.Layer):
    """A linear function of features of the distances, one a head: -> [outputs, B, P, P] float32.

    The features are: sessions between (none, one, log), the gap in time (tent functions of its
    logarithm; nearness to whole days and to whole weeks), places between (none, one, log).

    There are two ways to the same sums. In training each feature is a plane [B, P, P], XLA fuses
    what makes them, and one product gives the terms of all heads. In inference, where nothing may
    be fused, the tents are written as sums of hinges max(x - knot, 0), which move half the memory,
    and places between, equal for all sequences, are worked out once.

    Args:
        spec: the model's.
        outputs: how many terms.
    """

    def __init__(self, spec: ModelSpec | dict[str, Any], outputs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = ModelSpec.model_validate(spec)
        self.outputs = outputs

    def build(self, input_shape: Any = None) -> None:
        def weight(name: str, features: int) -> Any:
            return self.add_weight(name=name, shape=(features, self.outputs), initializer="zeros")

        if self.spec.pairs("sessions"):
            self.sessions = weight("sessions", 3)
        if self.spec.pairs("time"):
            self.gap = weight("gap", GAP_KNOTS)
            self.periods = weight("periods", 2)
        if self.spec.pairs("places"):
            self.places = weight("places", 3)

    def call(self, distances: Distances, training: bool | None = None, outputs: slice = ALL) -> tf.Tensor:
        """Returns the terms; with `outputs` some of them alone."""
        return self._by_planes(distances, outputs) if training else self._by_hinges(distances, outputs)

    def _by_planes(self, distances: Distances, outputs: slice) -> tf.Tensor:
        places = distances.places
        if places is not None:
            distances = distances._replace(places=tf.broadcast_to(places, tf.shape(distances.sessions)))
        planes, kernels = self._counted(distances)
        if distances.minutes is not None:
            planes += gap_features(distances.minutes)
            kernels += [self.gap, self.periods]
        if planes:
            return _product(kernels, planes, outputs)
        return tf.zeros(
            tf.concat([[len(range(self.outputs)[outputs])], tf.shape(distances.sessions)], axis=0)
        )

    def _by_hinges(self, distances: Distances, outputs: slice) -> tf.Tensor:
        places = distances.places
        # Where rows have no asides places are those of all sequences: one plane, worked out apart.
        apart = places is not None and len(places.shape) == 2
        planes, kernels = self._counted(distances._replace(places=None) if apart else distances)
        terms = tf.zeros([len(range(self.outputs)[outputs]), 1, 1, 1])
        if distances.minutes is not None:
            # x is cut where the last tent has fallen to 0, so that no hinge is needed to end it.
            x = tf.minimum(_knots(distances.minutes), float(GAP_KNOTS))
            first, bends = _hinges(tf.convert_to_tensor(self.gap))
            # max(x, k) in place of max(x - k, 0): an operation less for each, and k in the constant.
            terms += (
                first - tf.linalg.matvec(bends, tf.range(GAP_KNOTS, dtype=tf.float32), transpose_a=True)
            )[outputs, None, None, None]
            planes += [x, *(tf.maximum(x, float(knot)) for knot in range(1, GAP_KNOTS))]
            kernels.append(bends)
            planes += _periods(distances.minutes)
            kernels.append(self.periods)
        if apart:
            terms += _product([self.places], _counts(places), outputs)[:, None]
        if planes:
            return terms + _product(kernels, planes, outputs)
        return tf.broadcast_to(terms, tf.concat([tf.shape(terms)[:1], tf.shape(distances.sessions)], axis=0))

    def _counted(self, distances: Distances) -> tuple[list[tf.Tensor], list[Any]]:
        """Planes of what is counted, and their kernels."""
        planes: list[tf.Tensor] = []
        kernels: list[Any] = []
        if self.spec.pairs("sessions"):
            planes += _counts(distances.sessions)
            kernels.append(self.sessions)
        if distances.places is not None:
            planes += _counts(distances.places)
            kernels.append(self.places)
        return planes, kernels

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"spec": self.spec.model_dump(mode="json"), "outputs": self.outputs}


def _product(kernels: list[Any], planes: list[tf.Tensor], outputs: slice) -> tf.Tensor:
    """Kernels [features, outputs] and as many planes of one shape as there are features -> [outputs, ...]."""
    kernel = tf.concat([tf.convert_to_tensor(kernel)[:, outputs] for kernel in kernels], axis=0)
    flat = tf.matmul(kernel, tf.reshape(tf.stack(planes), [len(planes), -1]), transpose_a=True)
    return tf.reshape(flat, tf.concat([[kernel.shape[1]], tf.shape(planes[0])], axis=0))


def _counts(count: tf.Tensor) -> list[tf.Tensor]:
    """The features of a count: none, one, and the logarithm."""
    x = tf.cast(tf.minimum(count, COUNTED - 1), tf.float32)
    return [tf.cast(x == 0, tf.float32), tf.cast(x == 1, tf.float32), tf.math.log1p(x)]


def _hinges(heights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Heights [K, outputs] of tents at knots 0..K-1 -> the height at 0, and the bend at each knot.

    Σ_k h_k max(0, 1 - |x - k|) = h_0 + Σ_k bend_k max(0, x - k) for 0 <= x <= K, where a bend is
    the change of the slope.
    """
    slopes = tf.concat([heights[1:], tf.zeros_like(heights[:1])], axis=0) - heights
    before = tf.concat([tf.zeros_like(slopes[:1]), slopes[:-1]], axis=0)
    return heights[0], slopes - before


def gap_features(minutes: tf.Tensor) -> list[tf.Tensor]:
    """The tents and the nearness to whole days and weeks of gaps in time: GAP_FEATURES planes."""
    knots = _knots(minutes)
    tents = [tf.nn.relu(1.0 - tf.abs(knots - knot)) for knot in range(GAP_KNOTS)]
    return tents + _periods(minutes)


def _knots(minutes: tf.Tensor) -> tf.Tensor:
    """The gap in units of knots, on a log scale."""
    return tf.math.log1p(minutes) / GAP_SPACING


def _periods(minutes: tf.Tensor) -> list[tf.Tensor]:
    """Within three hours of a whole number of days; within a day of a whole number of weeks."""
    return [_nearness(minutes / MINUTES_A_DAY, 8.0), _nearness(minutes / (7 * MINUTES_A_DAY), 7.0)]


def _nearness(periods: tf.Tensor, sharpness: float) -> tf.Tensor:
    """1 at a whole number of periods, falling to 0 at 1/sharpness of a period away."""
    return tf.nn.relu(1.0 - sharpness * tf.abs(periods - tf.round(periods)))
