"""How much of exact search's answers an approximate one gives, and settings for a wanted share."""

import time
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import SettingsError
from tfrec.index.exact import ExactSearch
from tfrec.index.info import Recall, ScannSettings
from tfrec.index.scann import ScannSearch

MOST = 100
"""answers of a query that are compared"""
REORDERED = (100, 200, 400, 800, 1600)
SHARES = (0.005, 0.01, 0.02, 0.04, 0.07, 0.1, 0.2, 0.4, 0.7, 1.0)
"""of the leaves"""


def measured(search: ScannSearch, embedding: NDArray[np.float32], queries: NDArray[np.float32]) -> Recall:
    """Returns the recall of a search at 10 and at 100 answers, or at all where there are fewer items.

    Args:
        search: over the embeddings.
        embedding: [N, D + 1] float32.
        queries: [Q, D + 1] float32, Q >= 1.
    """
    most = min(MOST, len(embedding))
    truth, _ = ExactSearch(embedding).search(queries, most)
    return _recall(search, truth, queries)


def tuned(
    search: ScannSearch, embedding: NDArray[np.float32], queries: NDArray[np.float32], wanted: float
) -> ScannSearch:
    """Returns the search with the fastest settings tried that reach a recall at 10 answers.

    Half of the queries choose; what they say of the choice flatters it, so measure with the other half.

    Args:
        search: as built.
        embedding: [N, D + 1] float32 of all candidates.
        queries: [Q, D + 1] float32.
        wanted: share of the exact answers, in (0, 1].

    Raises:
        SettingsError: none reaches it.
    """
    truth, _ = ExactSearch(embedding).search(queries, min(MOST, len(embedding)))
    fastest: tuple[float, ScannSearch] | None = None
    best = 0.0
    for settings in _settings(search.settings, len(embedding)):
        one = search.with_settings(settings)
        # The first call of a new width warms up.
        one.search(queries[:1], 10)
        began = time.perf_counter()
        one.search(queries, 10)
        seconds = time.perf_counter() - began
        found = _recall(one, truth, queries).at_10
        best = max(best, found)
        if found >= wanted and (fastest is None or seconds < fastest[0]):
            fastest = seconds, one
    if fastest is None:
        raise SettingsError(
            f"recall {wanted}: the best that ScaNN reaches here is {best:.4f}, with scores in "
            f"{search.settings.precision}. Ask for less, choose float32, or build an exact index."
        )
    return fastest[1]


def halves(queries: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns queries to choose with, and queries to measure with."""
    return queries[::2], queries[1::2]


def _settings(built: ScannSettings, items: int) -> Iterable[ScannSettings]:
    leaves = sorted({max(int(built.leaves * share), 1) for share in SHARES}) if built.leaves else [0]
    for reorder in sorted({min(number, items) for number in REORDERED}):
        for number in leaves:
            yield built.model_copy(update={"leaves_to_search": number, "reorder": reorder})


def _recall(search: ScannSearch, truth: NDArray[np.int64], queries: NDArray[np.float32]) -> Recall:
    found, _ = search.search(queries, truth.shape[1])
    few, _ = search.search(queries, min(10, truth.shape[1]))
    return Recall(
        queries=len(queries),
        at_10=round(_share(few, truth[:, :10]), 5),
        at_100=round(_share(found, truth), 5),
    )


def _share(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    hits = [len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True)]
    return float(np.mean(hits)) / truth.shape[1]
