"""Changed training sequences: what stays, what goes, for any log."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tfrec.augmentation import begin_at_sessions, drop_events, mask_items, reorder_events
from tfrec.packing import cut_windows
from tfrec.sequences import Sequences

USERS = st.lists(st.lists(st.integers(1, 6), max_size=5), min_size=1, max_size=6)
"""The lengths of each user's sessions."""


def sequences_of(users: list[list[int]]) -> Sequences:
    lengths = [sum(sessions) for sessions in users]
    size = sum(lengths)
    session = [number for sessions in users for number, n in enumerate(sessions) for _ in range(n)]
    number = np.arange(size)
    return Sequences(
        user_id=np.arange(len(users)),
        offsets=np.append(0, np.cumsum(lengths)).astype(np.int64),
        event_id=number,
        item=(number + 2).astype(np.int32),
        event_type=(number + 2).astype(np.int32),
        session=np.array(session, np.int32),
        time=number * 60,
        role=np.zeros(size, np.int8),
        context={"dwell": number.astype(np.float32)},
    )


@given(USERS, st.floats(0, 0.9), st.integers(0, 99))
def test_dropped_events_leave_the_others_as_they_were(
    users: list[list[int]], share: float, seed: int
) -> None:
    whole = sequences_of(users)
    kept = drop_events(whole, share, np.random.default_rng(seed))
    at = kept.event_id
    assert np.all(np.diff(at) > 0)
    for name in ("item", "event_type", "session", "time", "role"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(whole, name)[at])
    np.testing.assert_array_equal(kept.context["dwell"], whole.context["dwell"][at])
    np.testing.assert_array_equal(kept.user_of_event, whole.user_of_event[at])
    assert kept.users == whole.users


def test_as_many_are_dropped_as_was_asked_for() -> None:
    whole = sequences_of([[6] * 500])
    assert abs(len(drop_events(whole, 0.25, np.random.default_rng(0)).item) / 3000 - 0.75) < 0.03


@given(USERS, st.floats(0, 1), st.integers(0, 99))
def test_reordering_changes_neighbours_of_a_session_about(
    users: list[list[int]], share: float, seed: int
) -> None:
    whole = sequences_of(users)
    changed = reorder_events(whole, share, np.random.default_rng(seed))
    session = whole.session_starts.cumsum()
    at = changed.item - 2
    np.testing.assert_array_equal(np.sort(at), np.arange(len(at)))
    assert np.abs(at - np.arange(len(at))).max(initial=0) <= 1
    np.testing.assert_array_equal(session[at], session)
    np.testing.assert_array_equal(changed.time, whole.time)
    np.testing.assert_array_equal(changed.context["dwell"], whole.context["dwell"][at])
    if share == 0:
        np.testing.assert_array_equal(changed.item, whole.item)


@given(USERS, st.integers(1, 9))
def test_windows_begin_at_sessions_where_they_can(users: list[list[int]], longest: int) -> None:
    whole = sequences_of(users)
    begin, end = cut_windows(whole.offsets, longest)
    moved = begin_at_sessions(whole.session_starts, begin, end)
    for old, new, stop in zip(begin, moved, end, strict=True):
        inside = np.flatnonzero(whole.session_starts[old:stop])
        assert new == (old + inside[0] if len(inside) else old)


def test_masking_hides_a_share() -> None:
    item = np.arange(2, 10_002, dtype=np.int32).reshape(100, 100)
    hidden = mask_items(item, 0.3, 1, np.random.default_rng(0))
    assert abs((hidden == 1).mean() - 0.3) < 0.02
    assert np.all((hidden == item) | (hidden == 1))
    assert hidden.dtype == np.int32
