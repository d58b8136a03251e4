"""What retrieval finds: the index's best for a query, and the items that the encoder scores a second way."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.signatures import FILTER
from serving.tensors import Array
from tfrec.index.exact import Found, best_of
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
    users = len(encoded["query_embedding"])
    seconds = [_second(index, encoded, inputs, user) for user in range(users)]
    excluded = index.rows(inputs["exclude_item_id"])
    allowed = [allowed_rows(index, inputs, user) for user in range(users)]
    barred = [
        np.concatenate([second.rows, second.barred, excluded[user]]) for user, second in enumerate(seconds)
    ]
    rows, scores = index.search(encoded["query_embedding"], count, barred, allowed)
    merged = []
    for user, second in enumerate(seconds):
        left = ~np.isin(second.rows, excluded[user])
        only = allowed[user]
        if only is not None:
            left &= np.isin(second.rows, only)
        all_rows = np.concatenate([second.rows[left], rows[user]])
        all_scores = np.concatenate([second.scores[left], scores[user]])
        merged.append(best_of(all_scores[None], count, all_rows))
    found, values = (np.concatenate(part) for part in zip(*merged, strict=True))
    return found, values


def _second(index: Index, encoded: Mapping[str, Array], inputs: Mapping[str, Array], user: int) -> _Second:
    kinds = [kind for kind in ("own", "rule") if f"{kind}_item_id" in encoded]
    rows = np.concatenate([index.rows(encoded[f"{kind}_item_id"][user]) for kind in kinds])
    scores = np.concatenate([encoded[f"{kind}_score"][user] for kind in kinds])
    scored = (rows != NO_ROW) & (scores > -np.inf)
    own = index.rows(encoded["own_item_id"][user])
    barred = np.setdiff1d(own[own != NO_ROW], rows[scored])
    if index.info.added:
        barred = np.union1d(barred, _unknown_to_the_encoder(index, inputs, user))
    first, at = np.unique(rows[scored], return_index=True)
    return _Second(first, scores[scored][at], barred)


def _unknown_to_the_encoder(index: Index, inputs: Mapping[str, Array], user: int) -> Rows:
    """Items of the sequence that came after the model, where such are never answered."""
    info, length = index.info, int(inputs["length"][user])
    had = index.rows(inputs["item_id"][user, :length])
    if info.leave_out != "sequence" and info.repeats != "never":
        if info.leave_out != "session" and info.repeats != "across_sessions":
            return np.zeros(0, np.int64)
        had = had[in_session(info, inputs, user)]
    return had[had >= len(index.base)]


def in_session(info: IndexInfo, inputs: Mapping[str, Array], user: int) -> NDArray[np.bool_]:
    """Returns which events of a user are of the request's session: [length]."""
    length = int(inputs["length"][user])
    if info.session_from == "id":
        same: Any = inputs["session_id"][user, :length] == inputs["request_session_id"][user]
        return np.asarray(same, bool)
    times = np.append(inputs["time"][user, :length], inputs["request_time"][user])
    gaps = np.diff(times) > info.session_gap_s
    # No gap between the event and the request.
    return np.cumsum(gaps[::-1])[::-1] == 0


def allowed_rows(index: Index, inputs: Mapping[str, Array], user: int) -> Rows | None:
    """Returns the only rows that may be answered to a user; None: all may."""
    nothing: Any = no_item(index.info.item_id_type)
    ids = inputs["allow_item_id"][user]
    listed = ids != (nothing if index.info.item_id_type == "int64" else nothing.encode())
    allowed = index.rows(ids[listed]) if listed.any() else None
    for name, values in inputs.items():
        if name.startswith(FILTER) and values.shape[1]:
            wanted = [value for value in values[user].tolist() if value]
            if wanted:
                having = index.having(name.removeprefix(FILTER), wanted)
                allowed = having if allowed is None else np.intersect1d(allowed, having)
    return allowed
