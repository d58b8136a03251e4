"""What an event brings beside its item: type, place, time, context, and the request after it."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.recurrence import Recurrence
from tfrec.layers.relations import Relations, Tensors
from tfrec.schema import PADDING_ROW
from tfrec.spec import ModelSpec

GAP_BUCKETS = 32
PLACES = 32
SECONDS_AN_HOUR = 3600
LOG_2 = math.log(2.0)
COUNTS = 8
SIZES = {
    "request": 2 * GAP_BUCKETS,
    "gap": GAP_BUCKETS,
    "place": PLACES,
    "recurrence": COUNTS * GAP_BUCKETS,
}


@keras.saving.register_keras_serializable("tfrec")
class EventEncoding(keras.layers.Layer):
    """The sum of an event's encodings, to be added to its item's embedding: -> [B, P, D].

    - event type, and each context column;
    - the time gap to the session (unordered: to the visit) before, in log buckets;
    - the place in the session, where sessions have an order;
    - how often its item had come before in the sequence (powers of two), and how long ago it last did;
    - of the request that follows: the time gap to it, whether it opens a new session, and, by
      setting, its hour and weekday (UTC).

    How many sessions ago an event was depends on the request that asks; that is a pairwise term.

    Args:
        spec: the model's.
    """

    def __init__(self, spec: ModelSpec | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = ModelSpec.model_validate(spec)

    def build(self, input_shape: Any = None) -> None:
        spec = self.spec
        sizes = {"event_type": spec.event_types}
        sizes |= {name: size for name, size in SIZES.items() if self._has(name)}
        if spec.settings.time_of_day:
            sizes |= {"hour": 24, "weekday": 7}
        sizes |= {f"context.{c.name}": c.size if c.kind == "categorical" else 1 for c in spec.context}
        init = keras.initializers.RandomNormal(stddev=0.05)
        self.tables = {
            name: self.add_weight(
                name=f"table_{name}", shape=(size, spec.settings.dimensions), initializer=init
            )
            for name, size in sizes.items()
        }

    def call(self, batch: Tensors, related: Relations, recurring: Recurrence | None) -> tf.Tensor:
        rows = {"event_type": batch["event_type"]}
        if self._has("request"):
            rows["request"] = self._request(batch)
        if self._has("gap"):
            rows["gap"] = _bucket(batch["time"] - _time_before(batch, related))
        if self._has("place"):
            before = tf.reduce_sum(tf.cast(related.same_session, tf.int32), axis=-1) - 1
            rows["place"] = tf.clip_by_value(before, 0, PLACES - 1)
        if recurring is not None and self._has("recurrence"):
            times = tf.cast(tf.math.log1p(tf.cast(recurring.count, tf.float32)) / LOG_2, tf.int32)
            gap = _bucket(recurring.gap) if self.spec.has_clock else tf.zeros_like(times)
            rows["recurrence"] = tf.minimum(times, COUNTS - 1) * GAP_BUCKETS + gap
        if self.spec.settings.time_of_day:
            hours = batch["request_time"] // SECONDS_AN_HOUR
            rows |= {"hour": hours % 24, "weekday": hours // 24 % 7}
        encoding = tf.add_n([tf.gather(self.tables[name], row) for name, row in rows.items()])
        for column in self.spec.context:
            encoding += self._context(column.name, batch)
        return encoding

    def _has(self, name: str) -> bool:
        """Whether an encoding was asked for, and means something in this log."""
        known = {
            "gap": self.spec.has_clock,
            "place": self.spec.ordered_sessions,
            "recurrence": self.spec.recurs,
        }
        return name in self.spec.settings.encodings and known.get(name, True)

    def _request(self, batch: Tensors) -> tf.Tensor:
        opens = tf.cast(batch["request_session"] > batch["session"], tf.int32)
        bucket = (
            _bucket(batch["request_time"] - batch["time"]) if self.spec.has_clock else tf.zeros_like(opens)
        )
        return bucket + opens * GAP_BUCKETS

    def _context(self, name: str, batch: Tensors) -> tf.Tensor:
        column = next(c for c in self.spec.context if c.name == name)
        value, table = batch[f"context.{name}"], self.tables[f"context.{name}"]
        if column.kind == "categorical":
            given = tf.cast(tf.not_equal(value, PADDING_ROW), tf.float32)[..., None]
            return tf.gather(table, value) * tf.cast(given, table.dtype)
        # What was not measured says nothing: the mean, so that nothing is added.
        standard = tf.where(tf.math.is_finite(value), (value - column.mean) / column.std, 0.0)
        return tf.cast(standard[..., None], table.dtype) * table

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"spec": self.spec.model_dump()}


def _time_before(batch: Tensors, related: Relations) -> tf.Tensor:
    """[B, P] time of the event before or, where sessions have no order, of the session before.

    The first event of a sequence has itself before it: no gap.
    """
    earlier = related.visible & ~related.same_session
    times = tf.where(earlier, batch["time"][:, None, :], tf.int32.min)
    session_before = tf.reduce_max(times, axis=-1)
    return tf.where(session_before == tf.int32.min, batch["time"], session_before)


def _bucket(seconds: tf.Tensor) -> tf.Tensor:
    """Log buckets, two for each factor e of a minute: int32 in 0..GAP_BUCKETS - 1."""
    minutes = tf.cast(tf.maximum(seconds, 0), tf.float32) / 60.0
    return tf.minimum(tf.cast(2.0 * tf.math.log1p(minutes), tf.int32), GAP_BUCKETS - 1)
