"""Warm-up requests: what TensorFlow Serving replays before a version gets traffic."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec.dataset import Facts
from tfrec.servable import DEFAULT_SIGNATURE, RANK_ENCODED, SIGNATURES, ServableInfo

BATCH_SIZES = (1, 8, 64)
CANDIDATES = 32
Arrays = dict[str, np.ndarray]


def warmup_requests(info: ServableInfo, facts: Facts, dimensions: int) -> Iterator[tuple[str, Arrays]]:
    """Yields (signature, inputs): a full-length and a short sequence of popular items, in batches.

    Args:
        info: of the servable.
        facts: of the dataset.
        dimensions: D of the model.
    """
    ids = facts.items.values[: info.max_length]
    for users in BATCH_SIZES:
        for events in (info.max_length, 1):
            sequence = sequence_of(info, np.resize(ids, events), facts.schema.last_time, users)
            yield DEFAULT_SIGNATURE, sequence | _lists(info, "recommend", ids, users)
    sequence = sequence_of(info, np.resize(ids, info.max_length), facts.schema.last_time, 1)
    for name in SIGNATURES:
        yield name, sequence | _lists(info, name, ids, 1)
    if len(info.tasks) > 1:
        lists = _lists(info, "rank", ids, 1)
        states = {
            "state": np.zeros((1, dimensions), np.float32),
            "start_state": np.ones((1, dimensions + 1), np.float32),
            "event_state": np.ones((1, info.max_length, dimensions + 1), np.float32),
            "retrieval_score": np.zeros(lists["candidate_item_id"].shape, np.float32),
        }
        yield RANK_ENCODED, states | lists | {"length": sequence["length"]}


def _lists(info: ServableInfo, signature: str, ids: np.ndarray, users: int) -> dict[str, np.ndarray]:
    """Returns what a signature takes beside the sequence: nothing left out, nothing known of candidates."""
    if signature == "encode":
        return {}
    dtype = np.int64 if info.item_id_type == "int64" else object
    none = np.zeros((users, 0), dtype)
    lists: Arrays = {"exclude_item_id": none, "allow_item_id": none}
    width = 0
    if signature == "rank":
        width = min(CANDIDATES, info.max_candidates)
        lists = {"candidate_item_id": np.resize(ids, (users, width)).astype(dtype)}
    elif info.statistics:
        lists["statistic_item_id"] = none
    lists |= {f"statistic.{name}": np.full((users, width), np.nan, np.float32) for name in info.statistics}
    for name, kind in info.request_context.items():
        empty = np.full(users, "", object) if kind == "categorical" else np.full(users, np.nan, np.float32)
        lists[f"request_context.{name}"] = empty
    return lists


def sequence_of(info: ServableInfo, items: np.ndarray, time: int, users: int) -> dict[str, np.ndarray]:
    """Returns sequence inputs in which `users` users have had the same items, a minute apart."""
    shape = (users, len(items))

    def ids(kind: str) -> type:
        return np.int64 if kind == "int64" else object

    sequence = {
        "item_id": np.broadcast_to(items, shape).astype(ids(info.item_id_type)),
        "event_type": np.full(shape, info.event_types[0] if info.event_types else "", object),
        "time": np.broadcast_to(time - 60 * np.arange(len(items))[::-1], shape).astype(np.int64),
        "length": np.full(users, len(items), np.int32),
        "request_time": np.full(users, time + 60, np.int64),
    }
    if info.session_from == "id":
        session = 0 if info.session_id_type == "int64" else ""
        sequence["session_id"] = np.full(shape, session, ids(info.session_id_type))
        sequence["request_session_id"] = np.full(users, session, ids(info.session_id_type))
    for name, kind in info.context.items():
        empty = "" if kind == "categorical" else np.nan
        sequence[f"context.{name}"] = np.full(shape, empty, object if kind == "categorical" else np.float32)
    return sequence


def write_warmup(path: Path, requests: Iterator[tuple[str, dict[str, np.ndarray]]]) -> None:
    """Writes requests as the TFRecord file of PredictionLogs that TensorFlow Serving reads."""
    from tensorflow_serving.apis import prediction_log_pb2

    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.signature_name = signature
            for name, array in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
            writer.write(log.SerializeToString())
