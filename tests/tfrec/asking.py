"""Requests as clients send them, made of the events of a dataset."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.dataset import Dataset


def requests(dataset: Dataset, positions: np.ndarray, width: int = 0) -> dict[str, np.ndarray]:
    """The queries of events as a client sends them."""
    s = dataset.sequences
    begin = s.offsets[s.user_of_event[positions]]
    return requests_at(dataset, begin, positions, s.time[positions], width)


def requests_at(
    dataset: Dataset, begin: np.ndarray, end: np.ndarray, time: np.ndarray, width: int = 0
) -> dict[str, np.ndarray]:
    """What a client sends at some time for those who have had events: raw ids, left-aligned, odd padding."""
    s, length = dataset.sequences, end - begin
    width = max(width, int(length.max()), 1)
    raw = np.concatenate([[-7, -7], dataset.items.values])
    shape = (len(begin), width)
    inputs = {
        "item_id": np.full(shape, 104, np.int64),
        "event_type": np.full(shape, "event", object),
        "time": np.full(shape, 9, np.int64),
        "context.device": np.full(shape, "phone", object),
        "context.dwell": np.full(shape, 1.0, np.float32),
        "length": length.astype(np.int32),
        "request_time": time,
    }
    devices = np.array(["", "?", "phone", "desk"], object)
    for q, (a, b) in enumerate(zip(begin, end, strict=True)):
        n = b - a
        inputs["item_id"][q, :n] = raw[s.item[a:b]]
        inputs["time"][q, :n] = s.time[a:b]
        inputs["context.device"][q, :n] = devices[s.context["device"][a:b]]
        inputs["context.dwell"][q, :n] = s.context["dwell"][a:b]
    return inputs


def ask(
    servable: Any, signature: str, inputs: dict[str, np.ndarray], **more: np.ndarray
) -> dict[str, np.ndarray]:
    if signature in ("recommend", "serving_default"):
        more = {"allow_item_id": nothing(len(inputs["length"]))} | more
    tensors = {name: tf.constant(value) for name, value in (inputs | more).items()}
    return {name: t.numpy() for name, t in servable.signatures[signature](**tensors).items()}


def nothing(queries: int) -> np.ndarray:
    return np.zeros((queries, 0), np.int64)
