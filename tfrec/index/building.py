"""An index of given embeddings."""

import os

import numpy as np
from numpy.typing import NDArray

from tfrec.index.exact import ExactSearch
from tfrec.index.ids import ItemIds
from tfrec.index.index import Index, Search
from tfrec.index.info import IndexInfo, Recall
from tfrec.index.scann import ScannSearch
from tfrec.index.segment import NO_CODE, Column, Segment
from tfrec.index.tuning import halves, measured, tuned

LEAST_QUERIES = 20
"""so few tell nothing of a recall"""


def build_index(
    info: IndexInfo,
    base: Segment,
    queries: NDArray[np.float32],
    recall: float | None = None,
) -> Index:
    """Returns an index of items; its info says how many, and what recall was measured.

    Args:
        info: what is wanted: `scann` None for exact search.
        base: the items.
        queries: [Q, D + 1] float32 of users; few or none: nothing is measured.
        recall: at 10 answers, that ScaNN is tuned to.

    Raises:
        SettingsError: the catalogue is too small for ScaNN; the recall is not reached, or cannot be measured.
        MissingExtraError: ScaNN is not installed.
    """
    search: Search = ExactSearch(base.embedding)
    found: Recall | None = None
    settings = info.scann
    if settings is not None:
        scann = ScannSearch.build(base.embedding, settings, threads=os.cpu_count() or 1)
        if recall is not None:
            scann = tuned(scann, base.embedding, halves(queries)[0], recall)
        if len(queries) >= LEAST_QUERIES:
            found = measured(scann, base.embedding, halves(queries)[1])
        search, settings = scann, scann.settings
    info = info.model_copy(
        update={"items": len(base), "added": 0, "removed": 0, "scann": settings, "recall": found}
    )
    none = np.zeros(0, np.int64)
    return Index(info, base, search, nothing_like(base), none, queries)


def nothing_like(base: Segment) -> Segment:
    """Returns a segment without items, whose arrays are of the same types."""
    columns = {
        name: Column(column.values[:0], np.zeros(0, np.int32) + NO_CODE)
        for name, column in base.columns.items()
    }
    ids, embedding = base.ids.values[:0], np.zeros((0, base.embedding.shape[1]), np.float32)
    return Segment(ItemIds(ids), embedding, base.count[:0], base.new[:0], columns)
