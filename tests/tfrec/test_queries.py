"""What a query may look at, against loops over the events."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tfrec import queries
from tfrec.dataset import Dataset
from tfrec.schema import Repeats

# Users as lists of session sizes.
LOGS = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=5), min_size=1, max_size=5)


def events_of(log: list[list[int]]) -> pd.DataFrame:
    rows = [
        (user, f"{user}/{session}", session)
        for user, sizes in enumerate(log)
        for session, size in enumerate(sizes)
        for _ in range(size)
    ]
    events = pd.DataFrame(rows, columns=["user_id", "session_id", "number"])
    return events.assign(item_id=np.arange(len(events)), timestamp=np.arange(len(events)), role="train")


@given(log=LOGS)
def test_places_and_counts(log: list[list[int]], dataset_of: Callable[..., Dataset]) -> None:
    events = events_of(log)
    sequences, positions = dataset_of(events).sequences, np.arange(len(events))
    first_of_user = [int(np.flatnonzero(events["user_id"] == user)[0]) for user in events["user_id"]]
    first_of_session = [
        int(np.flatnonzero(events["session_id"] == session)[0]) for session in events["session_id"]
    ]
    assert queries.first_of_user(sequences, positions).tolist() == first_of_user
    assert queries.first_of_session(sequences, positions).tolist() == first_of_session
    assert queries.history_sessions(sequences, positions).tolist() == events["number"].tolist()
    assert (
        queries.place_in_session(sequences, positions).tolist() == (positions - first_of_session + 1).tolist()
    )


@given(log=LOGS, repeats=st.sampled_from(["never", "across_sessions", "anywhere"]))
def test_barred_events_lie_before_the_target(
    log: list[list[int]], repeats: Repeats, dataset_of: Callable[..., Dataset]
) -> None:
    events = events_of(log)
    query, at = queries.barred(dataset_of(events).sequences, np.arange(len(events)), repeats)
    column = {"never": "user_id", "across_sessions": "session_id", "anywhere": None}[repeats]
    expected = [
        (target, before)
        for target in range(len(events))
        for before in range(target)
        if column and events[column][before] == events[column][target]
    ]
    assert list(zip(query.tolist(), at.tolist(), strict=True)) == expected


def test_spans_of_nothing() -> None:
    query, at = queries.spans(np.array([3, 5]), np.array([3, 5]))
    assert query.size == at.size == 0
