"""What a request may be answered with, and what never: by its filters, and by what the log repeats."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.signatures import FILTER
from serving.status import Code, ServingError
from serving.tensors import Array
from tfrec.index.filters import Allowed
from tfrec.index.ids import NO_ROW
from tfrec.index.index import Index, Rows
from tfrec.index.info import IndexInfo
from tfrec.servable import no_item


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
