"""What users ask next: a request behind their events, as a place of its own in the sequences."""

from dataclasses import replace

import numpy as np

from tfrec.dataset import Dataset
from tfrec.schema import PADDING_ROW, UNKNOWN_ROW
from tfrec.sequences import Sequences


def with_next_requests(dataset: Dataset, at: int | None) -> tuple[Dataset, np.ndarray]:
    """Returns the dataset with a request behind each user's events, and the places [U] int64 of the requests.

    A request looks like an event of an item that nobody knows; what it is asked with is all before it. It
    belongs to the user's last session; where more than the session gap has passed, or the log has ids of
    sessions, to a new one.

    Args:
        dataset: of U users; those without an event may ask, too.
        at: unix seconds of all requests: events from then on are left out. None: the log has positions for
            times, and everybody asks after their last event.
    """
    s, schema = dataset.sequences, dataset.schema
    if at is not None:
        s = s.keep(s.time < at)
    users, events = s.users, len(s.item)
    place = s.offsets[1:] + np.arange(users)
    last = s.offsets[1:] - 1
    some = np.diff(s.offsets) > 0
    safe = np.where(some, last, 0) if events else np.zeros(users, np.int64)
    time_before = s.time[safe] if events else np.zeros(users, np.int64)
    session_before = s.session[safe] if events else np.zeros(users, np.int32)
    time = np.full(users, at, np.int64) if at is not None else np.where(some, time_before + 1, 0)
    new = schema.session_from == "id" or time - time_before > schema.session_gap_s
    session = np.where(some, session_before + new, 0)

    def put(values: np.ndarray, request: np.ndarray | int | float) -> np.ndarray:
        found = np.empty(events + users, values.dtype)
        is_request = np.zeros(events + users, bool)
        is_request[place] = True
        found[~is_request] = values
        found[is_request] = request
        return found

    context = {
        name: put(values, np.nan if values.dtype.kind == "f" else PADDING_ROW)
        for name, values in s.context.items()
    }
    asked = Sequences(
        user_id=s.user_id,
        offsets=s.offsets + np.arange(users + 1),
        event_id=put(s.event_id, -1),
        item=put(s.item, UNKNOWN_ROW),
        event_type=put(s.event_type, UNKNOWN_ROW),
        session=put(s.session, session),
        time=put(s.time, time),
        role=put(s.role, -1),
        context=context,
    )
    return replace(dataset, sequences=asked), place
