"""Queries as the tensors that `tfrec.servable` lists."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.encoding import id_inputs, sequence_inputs
from serving.queries import Event, Query
from serving.ranking_inputs import list_inputs
from serving.signatures import Signature, TensorSpec
from tfrec.errors import DataError
from tfrec.servable import no_item

NOW = 1_714_564_800

TIMED = {
    "item_id": TensorSpec("int64", (None, None)),
    "event_type": TensorSpec("string", (None, None)),
    "time": TensorSpec("int64", (None, None)),
    "length": TensorSpec("int32", (None,)),
    "request_time": TensorSpec("int64", (None,)),
    "exclude_item_id": TensorSpec("int64", (None, None)),
}
RICH = TIMED | {
    "session_id": TensorSpec("int64", (None, None)),
    "request_session_id": TensorSpec("int64", (None,)),
    "context.price": TensorSpec("float32", (None, None)),
    "context.store": TensorSpec("string", (None, None)),
}


def inputs(queries: list[Query], specs: dict[str, TensorSpec] | None = None, **options: Any) -> Any:
    signature = Signature("recommend", specs or TIMED, {})
    paths = [f"queries[{place}]" for place in range(len(queries))]
    return sequence_inputs(queries, paths, signature, **{"clock": True, "now": NOW} | options)


def test_a_number_that_is_not_known_is_none() -> None:
    event = Event(1, NOW, session=3, context={"price": None})
    found = inputs([Query([event], session=3)], RICH)
    assert np.isnan(found["context.price"]).all()
    assert found["context.store"].tolist() == [[b""]]


def test_servables_from_before_there_were_allowed_ids_are_asked_without() -> None:
    signature = Signature("recommend", TIMED, {})
    found = list_inputs([Query([], exclude=[7])], [""], signature)
    assert {name: values.tolist() for name, values in found.items()} == {"exclude_item_id": [[7]]}
    with pytest.raises(DataError, match="allow: not taken by this servable; export it again"):
        list_inputs([Query([], allow=[7])], [""], signature)


sequences = st.lists(
    st.builds(
        Event,
        st.integers(-(2**63), 2**63 - 1),
        st.integers(0, NOW),
        st.sampled_from([None, "view", "größe"]),
    ),
    max_size=6,
).map(lambda events: sorted(events, key=lambda event: event.time))


@given(st.lists(sequences, min_size=1, max_size=5))
def test_events_stand_left_aligned_and_length_counts_them(rows: list[list[Event]]) -> None:
    found = inputs([Query(events) for events in rows])
    width = max(1, *(len(events) for events in rows))
    assert set(found) == set(TIMED) - {"exclude_item_id"}
    for name, array in found.items():
        is_flat = len(TIMED[name].shape) == 1
        assert array.shape == ((len(rows),) if is_flat else (len(rows), width))
        assert array.dtype == ("O" if name == "event_type" else TIMED[name].dtype)
    assert found["length"].tolist() == [len(events) for events in rows]
    assert found["request_time"].tolist() == [NOW] * len(rows)
    for place, events in enumerate(rows):
        count = len(events)
        assert found["item_id"][place, :count].tolist() == [event.item for event in events]
        assert found["time"][place, :count].tolist() == [event.time for event in events]
        kinds = [(event.event_type or "").encode() for event in events]
        assert found["event_type"][place, :count].tolist() == kinds
        # Strings of the padding must be bytes too, or they cannot be sent.
        assert all(isinstance(value, bytes) for value in found["event_type"][place])


def test_without_times_all_happens_at_the_request() -> None:
    found = inputs([Query([1, 2]), Query([3], request_time=50)])
    assert found["time"].tolist() == [[NOW, NOW], [50, 0]]
    assert found["request_time"].tolist() == [NOW, 50]


def test_one_user_may_have_times_and_another_none() -> None:
    found = inputs([Query([Event(1, 5), Event(2, 5)]), Query([3])])
    assert found["time"].tolist() == [[5, 5], [NOW, 0]]


def test_a_clock_that_runs_ahead_moves_the_request() -> None:
    assert inputs([Query([Event(1, NOW + 3)])])["request_time"].tolist() == [NOW + 3]


def test_positions_are_counted_where_the_log_has_no_clock() -> None:
    found = inputs([Query([7, 8, 9]), Query([Event(1, 40), Event(2, 41)]), Query([])], clock=False)
    assert found["time"].tolist() == [[0, 1, 2], [40, 41, 0], [0, 0, 0]]
    assert found["request_time"].tolist() == [3, 42, 0]


def test_sessions_and_context() -> None:
    events = [
        Event(1, session=10, context={"price": 2, "store": "north"}),
        Event(2, session=11, context={"price": 0.5}),
    ]
    found = inputs([Query(events, session=12), Query([])], RICH)
    assert found["session_id"].tolist() == [[10, 11], [0, 0]]
    # Who has no history has no session to go on with.
    assert found["request_session_id"].tolist() == [12, no_item("int64")]
    assert found["context.price"].dtype == np.float32
    assert found["context.price"].tolist() == [[2, 0.5], [0, 0]]
    assert found["context.store"].tolist() == [[b"north", b""], [b"", b""]]


def test_events_may_come_one_by_one() -> None:
    assert inputs([Query(Event(item) for item in (4, 5))])["item_id"].tolist() == [[4, 5]]
    assert inputs([Query(np.array([4, 5]))])["item_id"].tolist() == [[4, 5]]


def test_the_path_of_the_query_leads_every_error() -> None:
    with pytest.raises(DataError, match=r"^queries\[1\]\.events\[0\]\.item: expected an integer, found 'x'"):
        inputs([Query([1]), Query(["x"])])
    with pytest.raises(DataError, match=r"^queries\[0\]\.session: missing"):
        inputs([Query([Event(1, session=10, context={"price": 2})])], RICH)


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4), min_size=1, max_size=4))
def test_ids_are_padded_by_what_changes_nothing(lists: list[list[int]]) -> None:
    signature = Signature("recommend", TIMED, {})
    found = id_inputs("exclude_item_id", lists, ["exclude"] * len(lists), signature)["exclude_item_id"]
    assert found.dtype == np.int64
    assert found.shape == (len(lists), max(len(ids) for ids in lists))
    for row, ids in zip(found.tolist(), lists, strict=True):
        assert row[: len(ids)] == ids
        assert set(row[len(ids) :]) <= {no_item("int64")}


def test_string_ids_are_padded_by_bytes() -> None:
    signature = Signature("rank", {"candidate_item_id": TensorSpec("string", (None, None))}, {})
    found = id_inputs("candidate_item_id", [["ä", "b"], []], ["a", "b"], signature)["candidate_item_id"]
    assert found.tolist() == [["ä".encode(), b"b"], [b"", b""]]
