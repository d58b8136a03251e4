"""What lies between an event and the request it may help to answer: time, sessions, places.

Every position t of a sequence asks for the event after it. The request's time and session are
those of that next event (or the caller's, at the end of a sequence): both are known when a
recommendation is wanted, and neither says what the item is.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfrec.spec import ModelSpec

# Knots of the tent functions over log(1 + minutes): a minute up to about three years.
GAP_KNOTS = 12
GAP_SPACING = 1.28
MINUTES_A_DAY = 1440.0

Tensors = dict[str, Any]


class Relations(NamedTuple):
    """Pairs of a request position t (axis 1) and an event s (axis 2) in packed rows [B, P].

    Attributes:
        visible: [B, P, P] bool: s is not after t, and of the same sequence.
        in_session: [B, P, P] bool: visible, and s belongs to the request's session.
        same_session: [B, P, P] bool: visible, and s belongs to the session of event t.
        features: [F, B, P, P] float32, the pairwise terms' inputs; None without them.
    """

    visible: tf.Tensor
    in_session: tf.Tensor
    same_session: tf.Tensor
    features: tf.Tensor | None


def feature_count(spec: ModelSpec) -> int:
    """F: sessions (3), gap knots and periods where there is a clock, places where order counts (3)."""
    clock = GAP_KNOTS + 2 if spec.has_clock else 0
    return 3 + clock + (3 if spec.ordered_sessions else 0)


def relations(batch: Tensors, spec: ModelSpec) -> Relations:
    """Compares every position of a row with every earlier one of the same sequence.

    Args:
        batch: `segment`, `session`, `time`, `request_time`, `request_session`: int32 [B, P];
            times in seconds since any moment of the sequence's own.
    """
    segment = batch["segment"]
    place = tf.range(tf.shape(segment)[1])
    together = (segment[:, :, None] == segment[:, None, :]) & (segment > 0)[:, :, None]
    visible = together & (place[None, :, None] >= place[None, None, :])
    session = batch["session"][:, None, :]
    in_session = visible & (batch["request_session"][:, :, None] == session)
    same_session = visible & (batch["session"][:, :, None] == session)
    features = None
    if spec.settings.pairwise_terms:
        features = tf.stack(_features(batch, spec, place), axis=0)
    return Relations(visible, in_session, same_session, features)


def _features(batch: Tensors, spec: ModelSpec, place: tf.Tensor) -> list[tf.Tensor]:
    """The F inputs of the pairwise terms, each [B, P, P] float32."""
    sessions = tf.cast(batch["request_session"][:, :, None] - batch["session"][:, None, :], tf.float32)
    sessions = tf.maximum(sessions, 0.0)
    features = [_is(sessions, 0), _is(sessions, 1), tf.math.log1p(sessions)]
    if spec.has_clock:
        gap = batch["request_time"][:, :, None] - batch["time"][:, None, :]
        minutes = tf.cast(tf.maximum(gap, 0), tf.float32) / 60.0
        x = tf.math.log1p(minutes) / GAP_SPACING
        features += [tf.nn.relu(1.0 - tf.abs(x - knot)) for knot in range(GAP_KNOTS)]
        # Three hours about a whole number of days, one day about a whole number of weeks.
        features += [_nearness(minutes / MINUTES_A_DAY, 8.0), _nearness(minutes / (7 * MINUTES_A_DAY), 7.0)]
    if spec.ordered_sessions:
        places = tf.cast(tf.maximum(place[:, None] - place[None, :], 0), tf.float32)
        places = tf.broadcast_to(places[None], tf.shape(sessions))
        features += [_is(places, 0), _is(places, 1), tf.math.log1p(places)]
    return features


def _is(x: tf.Tensor, value: float) -> tf.Tensor:
    return tf.cast(tf.equal(x, value), tf.float32)


def _nearness(periods: tf.Tensor, sharpness: float) -> tf.Tensor:
    """1 at a whole number of periods, falling to 0 at 1/sharpness of a period away."""
    return tf.nn.relu(1.0 - sharpness * tf.abs(periods - tf.round(periods)))


@keras.saving.register_keras_serializable("tfrec")
class PairwiseTerms(keras.layers.Layer):
    """A linear function of the pairwise features, one a head: [F, B, P, P] -> [outputs, B, P, P].

    All heads of all blocks are computed by one product, so that the features, the largest tensor
    of a step, are read once; with the features first, every one is a plane without gaps.

    Args:
        outputs: how many terms.
        features: F.
    """

    def __init__(self, outputs: int, features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outputs = outputs
        self.features = features

    def build(self, input_shape: Any = None) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(self.features, self.outputs), initializer="zeros")

    def call(self, features: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(features)
        terms = tf.matmul(self.kernel, tf.reshape(features, [self.features, -1]), transpose_a=True)
        return tf.reshape(terms, [self.outputs, shape[1], shape[2], shape[3]])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"outputs": self.outputs, "features": self.features}
