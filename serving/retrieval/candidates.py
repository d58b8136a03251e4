"""What retrieval finds: the index's best for a query, and the items that the encoder scores a second way."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.retrieval.answerable import allowed_items, never_again
from serving.status import ServingError
from serving.tensors import Array
from tfrec.index.exact import Found, best_of
from tfrec.index.filters import Allowed
from tfrec.index.ids import NO_ROW
from tfrec.index.index import Index, Rows


class Asked(NamedTuple):
    """One request.

    Attributes:
        encoded: outputs of `encode`.
        inputs: of the request to `recommend`, `filter.COLUMN` included.
    """

    encoded: Mapping[str, Array]
    inputs: Mapping[str, Array]

    @property
    def users(self) -> int:
        """How many it asks for."""
        return len(self.encoded["query_embedding"])


class _Second(NamedTuple):
    """Items of a user's that are scored a second way.

    Attributes:
        rows, scores: of those that may be answered, each once.
        barred: rows of the sequence that must not.
    """

    rows: Rows
    scores: NDArray[np.float32]
    barred: Rows


class _User(NamedTuple):
    """What the search must know of one user.

    Attributes:
        query: [D + 1] float32.
        second: scored a second way.
        excluded: rows that must not be answered; NO_ROW counts for nothing.
        allowed: what alone may be; None: everything may.
    """

    query: NDArray[np.float32]
    second: _Second
    excluded: Rows
    allowed: Allowed | None

    def barred(self) -> Rows:
        """Returns what the search leaves out."""
        return np.concatenate([self.second.rows, self.second.barred, self.excluded])

    def merged(self, rows: Rows, scores: NDArray[np.float32], count: int) -> Found:
        """Returns the best `count` of what was found and of what is scored a second way: each [1, count]."""
        second = self.second
        left = ~np.isin(second.rows, self.excluded)
        if self.allowed is not None:
            left &= self.allowed.holds(second.rows)
        all_scores = np.concatenate([second.scores[left], scores])
        return best_of(all_scores[None], count, np.concatenate([second.rows[left], rows]))


def find(index: Index, asked: Sequence[Asked], count: int) -> list[Found | Exception]:
    """Returns, of each request, the best `count` candidates of each user: rows [B, count] and scores, NO_ROW
    and -inf for none. One search answers all; what one asks wrongly is its own error.

    Args:
        index: of the encoder's model.
        asked: requests.
        count: how many.
    """
    answers: list[list[_User] | ServingError] = [_users_or_error(index, one) for one in asked]
    users = [user for answer in answers if not isinstance(answer, ServingError) for user in answer]
    if not users:
        return [answer for answer in answers if isinstance(answer, ServingError)]
    queries = np.stack([user.query for user in users])
    barred, allowed = [user.barred() for user in users], [user.allowed for user in users]
    found = zip(*index.search(queries, count, barred, allowed), strict=True)
    return [
        answer if isinstance(answer, ServingError) else _together(answer, found, count) for answer in answers
    ]


def _together(users: list[_User], found: Iterator[Found], count: int) -> Found:
    """The candidates of one request's users, which are the next in `found`."""
    merged = [user.merged(*next(found), count) for user in users]
    rows, scores = (np.concatenate(part) for part in zip(*merged, strict=True))
    return rows, scores


def _users_or_error(index: Index, asked: Asked) -> list[_User] | ServingError:
    try:
        allowed = allowed_items(index, asked.inputs)
    except ServingError as error:
        return error
    seconds = _seconds(index, asked.encoded, asked.inputs)
    excluded = index.rows(asked.inputs["exclude_item_id"])
    queries = asked.encoded["query_embedding"]
    return [_User(*parts) for parts in zip(queries, seconds, excluded, allowed, strict=True)]


def _seconds(index: Index, encoded: Mapping[str, Array], inputs: Mapping[str, Array]) -> list[_Second]:
    kinds = [kind for kind in ("own", "rule") if f"{kind}_item_id" in encoded]
    all_rows = np.concatenate([index.rows(encoded[f"{kind}_item_id"]) for kind in kinds], axis=1)
    all_scores = np.concatenate([encoded[f"{kind}_score"] for kind in kinds], axis=1)
    own = encoded["own_item_id"].shape[1]
    found = []
    for user, (rows, scores) in enumerate(zip(all_rows, all_scores, strict=True)):
        scored = (rows != NO_ROW) & (scores > -np.inf)
        barred = np.setdiff1d(rows[:own][rows[:own] != NO_ROW], rows[scored])
        if index.new.any():
            never = never_again(index, inputs, user)
            barred = np.union1d(barred, never[index.new[never]])
        first, at = np.unique(rows[scored], return_index=True)
        heirs, values = _heirs(index, first, scores[scored][at], encoded["query_embedding"][user])
        kept = ~np.isin(heirs, barred) & ~np.isin(heirs, first)
        of_all = np.concatenate([scores[scored][at], values[kept]])
        found.append(_Second(np.concatenate([first, heirs[kept]]), of_all, barred))
    return found


def _heirs(index: Index, rows: Rows, scores: NDArray[np.float32], query: NDArray[np.float32]) -> Found:
    """New items that are like items scored a second way, and their scores; see `tfrec.index.heirs`."""
    heirs, inherited = index.inherited(rows, scores)
    if not len(heirs):
        return heirs, inherited
    return heirs, np.logaddexp(index.embeddings(heirs) @ query, inherited)
