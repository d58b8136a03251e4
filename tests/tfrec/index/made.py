"""Small indexes of made-up items, and what they should answer, worked out item by item."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfrec.index.building import build_index
from tfrec.index.ids import ItemIds, id_array
from tfrec.index.index import Index
from tfrec.index.info import IndexInfo, ScannSettings
from tfrec.index.segment import Segment, column_of
from tfrec.schema import IdType

DIMENSIONS = 9
COLOURS = ("red", "blue", None)


def segment(ids: Iterable[Any], seed: int = 0) -> Segment:
    """Items with embeddings of their own and a colour each, in turn."""
    ids = list(ids)
    random = np.random.default_rng(seed)
    embedding = random.normal(size=(len(ids), DIMENSIONS)).astype(np.float32)
    kind: IdType = "string" if ids and isinstance(ids[0], str) else "int64"
    colour = column_of([COLOURS[place % 3] for place in range(len(ids))])
    count, new = np.arange(len(ids))[::-1], np.zeros(len(ids), bool)
    return Segment(ItemIds(id_array(ids, kind)), embedding, count, new, {"colour": colour})


def index_of(base: Segment, scann: ScannSettings | None = None, **more: Any) -> Index:
    """Version 1 of an index of a segment."""
    info = IndexInfo(
        name="made",
        version=1,
        kind="exact" if scann is None else "scann",
        space=7,
        item_id_type="int64" if base.ids.values.dtype == np.int64 else "string",
        dimensions=DIMENSIONS,
        items=len(base),
        columns=tuple(base.columns),
        scann=scann,
        **more,
    )
    return build_index(info, base, queries(30))


def queries(count: int, seed: int = 1) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)).astype(np.float32)
    found[:, -1] = 1
    return found


def best_ids(items: dict[Any, np.ndarray], query: np.ndarray, k: int) -> list[Any]:
    """The k items with the highest product, by a loop."""
    score = {item: float(embedding @ query) for item, embedding in items.items()}
    return sorted(score, key=lambda item: -score[item])[:k]


def as_dict(*segments: Segment) -> dict[Any, np.ndarray]:
    """Embedding by id; a later segment's counts."""
    return {
        item: embedding
        for one in segments
        for item, embedding in zip(one.ids.values.tolist(), one.embedding, strict=True)
    }
