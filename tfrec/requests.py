"""Requests of raw ids as the packed rows that the query tower reads; part of a servable's graph."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.batches import MONDAY, SECONDS_A_WEEK
from tfrec.dataset import Facts
from tfrec.layers.relations import Tensors
from tfrec.schema import FIRST_ROW, PADDING_ROW, UNKNOWN_ROW, DatasetSchema, IdType
from tfrec.servable import no_item
from tfrec.spec import ModelSpec
from tfrec.vocabulary import Vocabulary

DTYPES: Mapping[IdType, tf.DType] = {"int64": tf.int64, "string": tf.string}


class Lookup(tf.Module):
    """A vocabulary in the graph: raw ids -> rows, UNKNOWN_ROW for others, and back.

    Args:
        vocabulary: the map.
        id_type: of the raw ids.
    """

    def __init__(self, vocabulary: Vocabulary, id_type: IdType) -> None:
        super().__init__()
        dtype = DTYPES[id_type]
        values = vocabulary.values.astype(np.int64 if id_type == "int64" else object)
        rows = np.arange(FIRST_ROW, vocabulary.size, dtype=np.int32)
        keys = tf.constant(values, dtype)
        self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, rows), UNKNOWN_ROW)
        self.nothing = tf.constant(no_item(id_type), dtype)
        self.raw_ids = tf.concat([tf.fill([FIRST_ROW], self.nothing), keys], axis=0)

    def rows(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns int32 rows, shaped as `raw`."""
        return self.table.lookup(raw)

    def rows_or_none(self, raw: tf.Tensor) -> tf.Tensor:
        """As `rows`, but PADDING_ROW where the id is that of no item."""
        return tf.where(tf.equal(raw, self.nothing), PADDING_ROW, self.table.lookup(raw))

    def raw(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns raw ids, shaped as `rows`; that of no item for padding and unknown."""
        return tf.gather(self.raw_ids, rows)


class RequestReader(tf.Module):
    """Turns sequence inputs of the servable contract (`tfrec.servable`) into a batch of packed rows.

    Args:
        facts: vocabularies and schema.
        spec: the model's.
    """

    def __init__(self, facts: Facts, spec: ModelSpec) -> None:
        super().__init__()
        self.schema = facts.schema
        self.spec = spec
        self.items = Lookup(facts.items, facts.schema.item_id_type)
        self.event_types = Lookup(facts.event_types, "string")
        self.context = {
            c.name: Lookup(facts.context[c.name], "string") for c in spec.context if c.kind == "categorical"
        }

    def read(self, inputs: Tensors) -> tuple[Tensors, tf.Tensor]:
        """Returns rows of the newest events behind their start, [B, P], and the request's place [B].

        The sequence is cut to `max_length`, or to L where it is shorter.
        """
        raw, length = _newest(inputs, self.spec.settings.max_length)
        places = tf.range(tf.shape(raw["item_id"])[1])[None]
        real = places < length[:, None]
        time = raw["time"]
        last = tf.maximum(length - 1, 0)[:, None]
        newest = tf.gather(time, last, batch_dims=1)[:, 0]
        session, request_session = self._sessions(inputs, raw, length, newest, last)
        request_time = inputs["request_time"]
        if not self.schema.ordered_sessions:
            # As in the dataset: times inside a session would tell the order that it has not.
            time = _session_starts(time, session, real)
            goes_on = tf.equal(request_session, tf.gather(session, last, batch_dims=1)[:, 0]) & (length > 0)
            request_time = tf.where(goes_on, tf.gather(time, last, batch_dims=1)[:, 0], request_time)
        first = tf.where(length > 0, time[:, 0], request_time)
        base = (first - MONDAY) // SECONDS_A_WEEK * SECONDS_A_WEEK + MONDAY
        at = length[:, None]
        rows = {
            "item": tf.where(real, self.items.rows(raw["item_id"]), PADDING_ROW),
            "event_type": tf.where(real, self._event_types(raw["event_type"]), PADDING_ROW),
            "time": _seconds(time, base),
            "session": session,
        }
        batch = {
            "item": _behind(rows["item"], PADDING_ROW),
            "event_type": _behind(rows["event_type"], PADDING_ROW),
            "session": _behind(session, -1),
            "time": tf.concat([_seconds(first[:, None], base), rows["time"]], axis=1),
            "request_time": _with_request(rows["time"], _seconds(request_time[:, None], base), at),
            "request_session": _with_request(session, request_session[:, None], at),
        }
        batch["segment"] = tf.cast(tf.range(tf.shape(batch["item"])[1])[None] <= at, tf.int32)
        for column in self.spec.context:
            value = raw[f"context.{column.name}"]
            if column.kind == "categorical":
                value = tf.where(real, self.context[column.name].rows(value), PADDING_ROW)
                batch[f"context.{column.name}"] = _behind(value, PADDING_ROW)
            else:
                batch[f"context.{column.name}"] = _behind(value, np.nan)
        return batch, length

    def _event_types(self, raw: tf.Tensor) -> tf.Tensor:
        """Rows of event types: where the log has just one, that is what is left out."""
        rows = self.event_types.rows(raw)
        return rows if len(self.schema.event_types) > 1 else tf.where(tf.equal(raw, ""), FIRST_ROW, rows)

    def _sessions(
        self, inputs: Tensors, raw: Tensors, length: tf.Tensor, newest: tf.Tensor, last: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Numbers sessions from 0: of the events [B, S] and of the request [B]."""
        if self.schema.session_from == "id":
            ids = raw["session_id"]
            opens = tf.not_equal(ids[:, 1:], ids[:, :-1])
            new = tf.not_equal(inputs["request_session_id"], tf.gather(ids, last, batch_dims=1)[:, 0])
        else:
            opens = raw["time"][:, 1:] - raw["time"][:, :-1] > self.schema.session_gap_s
            new = inputs["request_time"] - newest > self.schema.session_gap_s
        session = tf.concat([tf.zeros_like(last), tf.cumsum(tf.cast(opens, tf.int32), axis=1)], axis=1)
        now = tf.gather(session, last, batch_dims=1)[:, 0] + tf.cast(new, tf.int32)
        return session, tf.where(length > 0, now, 0)


def sequence_specs(schema: DatasetSchema, spec: ModelSpec) -> dict[str, tf.TensorSpec]:
    """Returns the sequence inputs of a servable's signatures, by name."""
    by_id = schema.session_from == "id"
    shapes: dict[str, tuple[Any, tf.DType]] = {
        "item_id": ([None, None], DTYPES[schema.item_id_type]),
        "event_type": ([None, None], tf.string),
        "time": ([None, None], tf.int64),
        "length": ([None], tf.int32),
        "request_time": ([None], tf.int64),
    }
    if by_id:
        shapes["session_id"] = ([None, None], DTYPES[schema.session_id_type])
        shapes["request_session_id"] = ([None], DTYPES[schema.session_id_type])
    for column in spec.context:
        kind = tf.string if column.kind == "categorical" else tf.float32
        shapes[f"context.{column.name}"] = ([None, None], kind)
    return {name: tf.TensorSpec(shape, dtype, name=name) for name, (shape, dtype) in shapes.items()}


def _newest(inputs: Tensors, max_length: int) -> tuple[Tensors, tf.Tensor]:
    """Cuts the sequence inputs to the newest `max_length` places: [B, min(L, max_length)]."""
    given = tf.shape(inputs["item_id"])[1]
    length = tf.clip_by_value(inputs["length"], 0, given)
    kept = tf.minimum(given, max_length)
    skip = tf.maximum(length - kept, 0)
    at = skip[:, None] + tf.range(kept)[None]
    per_event = {name for name in inputs if name in {"item_id", "event_type", "time", "session_id"}}
    per_event |= {name for name in inputs if name.startswith("context.")}
    return {name: tf.gather(inputs[name], at, batch_dims=1) for name in per_event}, length - skip


def _session_starts(time: tf.Tensor, session: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """[B, S] the earliest time of each event's session, of the real places."""
    same = tf.equal(session[:, :, None], session[:, None, :]) & real[:, None, :]
    return tf.reduce_min(tf.where(same, time[:, None, :], tf.int64.max), axis=-1)


def _behind(x: tf.Tensor, start: float) -> tf.Tensor:
    """Puts the start of a sequence before its events."""
    return tf.pad(x, [[0, 0], [1, 0]], constant_values=tf.cast(start, x.dtype))


def _with_request(events: tf.Tensor, request: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """What the next event of each place has: [B, S + 1]; the request's at its place."""
    shifted = tf.pad(events, [[0, 0], [0, 1]])
    return tf.where(tf.range(tf.shape(shifted)[1])[None] == at, request, shifted)


def _seconds(time: tf.Tensor, base: tf.Tensor) -> tf.Tensor:
    """Seconds since the base, in 32 bits."""
    seconds = tf.clip_by_value(time - base[:, None], 0, 2**31 - 1)
    return tf.cast(seconds, tf.int32)
