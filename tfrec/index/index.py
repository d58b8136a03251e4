"""An index in memory: search, with filters that still give as many answers as are asked for."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tfrec.index.exact import ExactSearch, Found, best_of
from tfrec.index.filters import Allowed, Filter, Rows
from tfrec.index.heirs import Inheritance
from tfrec.index.ids import NO_ROW
from tfrec.index.info import IndexInfo
from tfrec.index.segment import Column, Segment, joined_columns

SCORED_AT_ONCE = 1 << 13
"""Of so few allowed items all are scored: no search is faster."""
BLOCK = 1 << 16
"""items whose embeddings are taken at a time"""
EFFORTS = 3
"""Ever wider searches, before everything is looked at."""
REMEMBERED = 64
"""choices of a column's values: a bit an item each"""


class Search(Protocol):
    """The search structure over the base of an index."""

    def search(self, queries: NDArray[np.float32], k: int, effort: int = 0) -> Found:
        """As `ExactSearch.search` and `ScannSearch.search`."""
        ...


class Index:
    """The items that can be answered. Its rows are those of the base, then those added since.

    Args:
        info: what it is.
        base: what the search structure was built of.
        search: over the base.
        added: since then.
        removed: rows of the base, taken out since then.
        queries: [Q, D + 1] float32 of users, to measure a search with.
    """

    def __init__(
        self,
        info: IndexInfo,
        base: Segment,
        search: Search,
        added: Segment,
        removed: Rows,
        queries: NDArray[np.float32],
    ) -> None:
        self.info = info
        self.base, self.added, self.removed = base, added, removed
        self.structure = search
        self.queries = queries
        self._exact = isinstance(search, ExactSearch)
        self._having: dict[tuple[str, frozenset[bytes]], Allowed] = {}
        self.new = np.concatenate([base.new, added.new])
        self.count = np.concatenate([base.count, added.count])
        self.columns = joined_columns(base, added) if len(added) else dict(base.columns)
        self._dead = np.zeros(len(base) + len(added), bool)
        self._dead[removed] = True
        self._inheritance = self._inherits()

    def __len__(self) -> int:
        return len(self._dead) - len(self.removed)

    def rows(self, raw: NDArray[Any]) -> Rows:
        """Returns the rows of raw ids (int64, or bytes), NO_ROW where no item can be answered by it."""
        found = self.base.ids.rows(raw)
        found = np.where((found != NO_ROW) & self._dead[found], NO_ROW, found)
        if len(self.added):
            later = self.added.ids.rows(raw)
            found = np.where(later != NO_ROW, later + len(self.base), found)
        return found

    def raw(self, rows: Rows, nothing: Any) -> NDArray[Any]:
        """Returns the raw ids of rows; `nothing` for NO_ROW. Texts are objects of bytes."""
        base = self.base.ids.values
        dtype = np.int64 if base.dtype == np.int64 else object
        found = np.full(rows.shape, nothing, dtype)
        early = (rows >= 0) & (rows < len(base))
        found[early] = base[rows[early]]
        late = rows >= len(base)
        found[late] = self.added.ids.values[rows[late] - len(base)]
        return found

    def inherited(self, rows: Rows, scores: NDArray[np.float32]) -> tuple[Rows, NDArray[np.float32]]:
        """Returns the items that inherit of some rows, and what: as `Inheritance.of`."""
        return self._inheritance.of(rows, scores)

    def embeddings(self, rows: Rows) -> NDArray[np.float32]:
        """Returns the embeddings of rows [...], none of which is NO_ROW: [..., D + 1] float32."""
        late = rows >= len(self.base)
        if not late.any():
            return self.base.embedding[rows]
        found = np.empty((*rows.shape, self.info.dimensions), np.float32)
        found[~late] = self.base.embedding[rows[~late]]
        found[late] = self.added.embedding[rows[late] - len(self.base)]
        return found

    def allowed(self, rows: Rows) -> Allowed:
        """Returns some rows as the only ones that may be answered; NO_ROW counts for nothing."""
        rows = np.unique(rows[rows != NO_ROW])
        return Allowed(rows[~self._dead[rows]])

    def having(self, name: str, values: Iterable[bytes]) -> Allowed:
        """Returns the items whose value in a column is one of these, made once for each choice of values."""
        key = name, frozenset(values)
        found = self._having.get(key)
        if found is None:
            column: Column = self.columns[name]
            wanted = [place for place, value in enumerate(column.values.tolist()) if value in key[1]]
            # One place more, for the code of items without a value.
            chosen = np.zeros(len(column.values) + 1, bool)
            chosen[wanted] = True
            found = Allowed.of_mask(chosen[column.codes] & ~self._dead)
            if len(self._having) >= REMEMBERED:
                self._having.clear()
            self._having[key] = found
        return found

    def popular(self, most: int) -> Rows:
        """Returns the rows that had most events in training, at most so many, the most popular first."""
        of_each = np.where(self._dead, np.float32(-np.inf), self.count.astype(np.float32))
        rows, _ = best_of(of_each[None], min(most, len(self)))
        return rows[0]

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        barred: Sequence[Rows] | None = None,
        allowed: Sequence[Allowed | None] | None = None,
    ) -> Found:
        """Returns the k best rows [Q, k] and their scores; NO_ROW and -inf where there are no more.

        Args:
            queries: [Q, D + 1] float32.
            k: how many.
            barred: of each query, rows that must not be answered; NO_ROW counts for nothing.
            allowed: of each query, what alone may be; None: all may.
        """
        if barred is None and allowed is None and not len(self.removed):
            rows, values = self._candidates(queries, min(k, len(self.base)), 0)
            return best_of(values, k, rows)
        nothing: Sequence[None] = [None] * len(queries)
        filters = [
            Filter(self._dead, len(self), out, only)
            for out, only in zip(barred or nothing, allowed or nothing, strict=True)
        ]
        found = np.full((len(queries), k), NO_ROW, np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        open_ = []
        for q, one in enumerate(filters):
            few = one.allowed is not None and (self._exact or len(one.allowed.rows) <= SCORED_AT_ONCE)
            if few:
                found[q], scores[q] = self._of_all(queries[q], k, one)
            else:
                open_.append(q)
        for effort in range(EFFORTS):
            if not open_:
                break
            fetch = max(filters[q].candidates(k) for q in open_) * 4**effort
            rows, values = self._candidates(queries[open_], min(fetch, len(self.base)), effort)
            for place, q in enumerate(open_):
                values[place, ~filters[q].keeps(rows[place])] = -np.inf
            found[open_], scores[open_] = best_of(values, k, rows)
            enough = (scores[open_] > -np.inf).sum(axis=1)
            open_ = [q for q, n in zip(open_, enough, strict=True) if n < min(k, filters[q].left)]
        for q in open_:
            found[q], scores[q] = self._of_all(queries[q], k, filters[q])
        return found, scores

    def _inherits(self) -> Inheritance:
        heirs = self.base.heirs.followed_by(self.added.heirs, len(self.base))
        source = self.rows(heirs.like) if len(heirs.row) else heirs.like
        there = (source != NO_ROW) & (heirs.weight > 0) & ~self._dead[heirs.row][:, None]
        heir = np.broadcast_to(heirs.row[:, None], source.shape)
        return Inheritance(heir[there], source[there], heirs.weight[there])

    def _of_all(self, query: NDArray[np.float32], k: int, one: Filter) -> tuple[Rows, NDArray[np.float32]]:
        """The best of all that a query may be answered with, each scored."""
        rows = one.rows()
        parts = [rows[at : at + BLOCK] for at in range(0, len(rows), BLOCK)]
        of_each = [self.embeddings(part) @ query for part in parts]
        found, scores = best_of(np.concatenate([np.zeros(0, np.float32), *of_each])[None], k, rows)
        return found[0], scores[0]

    def _candidates(self, queries: NDArray[np.float32], fetch: int, effort: int) -> Found:
        """Rows and scores of the base's best, and of all that was added."""
        rows, scores = self.structure.search(queries, fetch, effort)
        if not len(self.added):
            return rows, scores
        later = np.arange(len(self.base), len(self._dead))
        more = np.broadcast_to(later, (len(queries), len(later)))
        return np.hstack([rows, more]), np.hstack([scores, queries @ self.added.embedding.T])
