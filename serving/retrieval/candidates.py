"""What retrieval finds: the index's best for a query, and the items that the encoder scores a second way."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.signatures import FILTER
from serving.status import Code, ServingError
from serving.tensors import Array
from tfrec.index.exact import Found, best_of
from tfrec.index.filters import Allowed
from tfrec.index.ids import NO_ROW
from tfrec.index.index import Index, Rows
from tfrec.index.info import IndexInfo
from tfrec.servable import no_item


class _Second(NamedTuple):
    """Items of a user's that are scored a second way.

    Attributes:
        rows, scores: of those that may be answered, each once.
        barred: rows of the sequence that must not.
    """

    rows: Rows
    scores: NDArray[np.float32]
    barred: Rows


def find(index: Index, encoded: Mapping[str, Array], inputs: Mapping[str, Array], count: int) -> Found:
    """Returns the best `count` candidates of each user: rows [B, count] and scores, NO_ROW and -inf for none.

    Args:
        index: of the encoder's model.
        encoded: outputs of `encode`.
        inputs: of the request to `recommend`, `filter.COLUMN` included.
        count: how many.
    """
    seconds = _seconds(index, encoded, inputs)
    excluded = index.rows(inputs["exclude_item_id"])
    allowed = allowed_items(index, inputs)
    barred = [
        np.concatenate([second.rows, second.barred, excluded[user]]) for user, second in enumerate(seconds)
    ]
    rows, scores = index.search(encoded["query_embedding"], count, barred, allowed)
    merged = []
    for user, second in enumerate(seconds):
        left = ~np.isin(second.rows, excluded[user])
        only = allowed[user]
        if only is not None:
            left &= only.holds(second.rows)
        all_rows = np.concatenate([second.rows[left], rows[user]])
        all_scores = np.concatenate([second.scores[left], scores[user]])
        merged.append(best_of(all_scores[None], count, all_rows))
    found, values = (np.concatenate(part) for part in zip(*merged, strict=True))
    return found, values


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


def never_again(index: Index, inputs: Mapping[str, Array], user: int) -> Rows:
    """Returns the rows of a user's sequence that are never answered, by what the log repeats and `leave_out`.

    The encoder says so itself of the items that it knows.
    """
    info, length = index.info, int(inputs["length"][user])
    newest = slice(max(length - info.max_length, 0), length)
    had = index.rows(inputs["item_id"][user, newest])
    if info.leave_out != "sequence" and info.repeats != "never":
        if info.leave_out != "session" and info.repeats != "across_sessions":
            return np.zeros(0, np.int64)
        had = had[in_session(info, inputs, user)[newest]]
    return np.unique(had[had != NO_ROW])


def in_session(info: IndexInfo, inputs: Mapping[str, Array], user: int) -> NDArray[np.bool_]:
    """Returns which events of a user are of the request's session: [length]."""
    length = int(inputs["length"][user])
    if info.session_from == "id":
        other = inputs["session_id"][user, :length] != inputs["request_session_id"][user]
    else:
        times = np.append(inputs["time"][user, :length], inputs["request_time"][user])
        other = np.diff(times) > info.session_gap_s
    # Nothing else between the event and the request.
    return np.cumsum(np.asarray(other, bool)[::-1])[::-1] == 0


def allowed_items(index: Index, inputs: Mapping[str, Array]) -> list[Allowed | None]:
    """Returns of each user what alone may be answered; None: everything may.

    Raises:
        ServingError: INVALID_ARGUMENT: the index does not filter by a column.
    """
    nothing: Any = no_item(index.info.item_id_type)
    ids = inputs["allow_item_id"]
    listed = ids != (nothing if index.info.item_id_type == "int64" else nothing.encode())
    rows = index.rows(ids)
    found = [
        index.allowed(rows[user][listed[user]]) if listed[user].any() else None for user in range(len(ids))
    ]
    for name, values in inputs.items():
        if not name.startswith(FILTER):
            continue
        column = name.removeprefix(FILTER)
        if column not in index.columns:
            known = ", ".join(index.columns) or "nothing"
            text = f'input "{name}": the index version {index.info.version} filters by {known}'
            raise ServingError(Code.INVALID_ARGUMENT, text)
        for user, of_user in enumerate(values.tolist()):
            if wanted := [value for value in of_user if value]:
                having, before = index.having(column, wanted), found[user]
                found[user] = having if before is None else before & having
    return found
