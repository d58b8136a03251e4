"""Exact search: every candidate's score, block by block; only what may be among the best is kept."""

import numpy as np
from numpy.typing import NDArray

from tfrec.index.ids import NO_ROW

QUERIES, CANDIDATES = 256, 8192
"""Of a block; its scores (8 MiB) stay near the processor."""

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows and scores, best first; NO_ROW and -inf where there is no (further) candidate."""


class ExactSearch:
    """Matrix products, and the best of them.

    Args:
        embedding: [N, D + 1] float32.
    """

    def __init__(self, embedding: NDArray[np.float32]) -> None:
        self.embedding = embedding

    def search(self, queries: NDArray[np.float32], k: int, effort: int = 0) -> Found:
        """Returns the k best rows [Q, k] and their scores; `effort` changes nothing here.

        Args:
            queries: [Q, D + 1] float32.
            k: how many.
        """
        if not len(queries):
            return np.zeros((0, k), np.int64), np.zeros((0, k), np.float32)
        parts = [self._search(queries[at : at + QUERIES], k) for at in range(0, len(queries), QUERIES)]
        rows, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
        return rows, scores

    def _search(self, queries: NDArray[np.float32], k: int) -> Found:
        step = max(CANDIDATES, k)
        scores = np.empty((len(queries), step), np.float32)
        best = best_of(queries @ self.embedding[:step].T, k)
        hits: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
        for at in range(step, len(self.embedding), step):
            block = self.embedding[at : at + step]
            found = np.matmul(queries, block.T, out=scores[:, : len(block)])
            # What does not beat the worst that is held can be forgotten at once: nearly everything.
            query, column = np.nonzero(found > best[1][:, -1:])
            hits.append((query, column + at, found[query, column]))
            if sum(len(hit[0]) for hit in hits) > best[0].size:
                best, hits = _merged(best, hits), []
        return _merged(best, hits) if hits else best


def _merged(
    best: Found, hits: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]
) -> Found:
    """The best of those held [Q, k] and of further ones: (query, row, score), rows later than those held."""
    users, k = best[0].shape
    query, row, score = (np.concatenate(part) for part in zip(*hits, strict=True))
    query = np.concatenate([np.repeat(np.arange(users), k), query])
    row, score = np.concatenate([best[0].ravel(), row]), np.concatenate([best[1].ravel(), score])
    # Stable: of equal scores the one held, or found, first.
    order = np.lexsort((-score, query))
    first = np.searchsorted(query[order], np.arange(users))
    taken = order[first[:, None] + np.arange(k)]
    return row[taken], score[taken]


def best_of(scores: NDArray[np.float32], k: int, rows: NDArray[np.int64] | None = None) -> Found:
    """Returns the k best of [Q, C]; of equal ones among them the one further left first.

    Args:
        scores: -inf: none.
        k: how many.
        rows: [Q, C] or [C], what the columns stand for; None: themselves.
    """
    short = k - scores.shape[1]
    if short > 0:
        scores = np.pad(scores, ((0, 0), (0, short)), constant_values=-np.inf)
        if rows is not None:
            rows = np.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, short)], constant_values=NO_ROW)
    best = np.argpartition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k :]
    # By column first, so that a stable sort by score leaves the further left in front.
    best.sort(axis=1)
    values = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best, values = np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)
    found = best if rows is None else rows[best] if rows.ndim == 1 else np.take_along_axis(rows, best, axis=1)
    return np.where(values == -np.inf, NO_ROW, found).astype(np.int64), values
