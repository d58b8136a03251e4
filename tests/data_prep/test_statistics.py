"""What was known at a moment, against counting by hand, and against the future."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_prep.statistics import History, Stream, item_statistics, pair_statistics

KEYS = st.integers(0, 3)
TIMES = st.integers(1_600_000_000, 1_600_000_012)
POINTS = st.lists(st.tuples(KEYS, TIMES), max_size=25)


def stream(points: list[tuple[int, int]]) -> Stream:
    pairs = np.array(points, np.int64).reshape(-1, 2)
    return Stream(pairs[:, 0], pairs[:, 1])


@given(POINTS, POINTS, st.integers(1, 15))
def test_counts_and_hours_are_those_of_counting_by_hand(
    points: list[tuple[int, int]], asked: list[tuple[int, int]], seconds: int
) -> None:
    history, at = History(stream(points)), stream(asked)
    counted = history.count(at.key, at.time, seconds)
    ever = history.count(at.key, at.time)
    first, last = history.hours_since_first(at.key, at.time), history.hours_since_last(at.key, at.time)
    for i, (key, time) in enumerate(asked):
        before = [t for k, t in points if k == key and t < time]
        assert counted[i] == sum(t >= time - seconds for t in before)
        assert ever[i] == len(before)
        if before:
            assert first[i] == np.float32((time - min(before)) / 3600)
            assert last[i] == np.float32((time - max(before)) / 3600)
        else:
            assert np.isnan(first[i])
            assert np.isnan(last[i])


def test_an_event_counts_from_the_second_after_it_and_for_its_window() -> None:
    hour = 3600
    events = stream([(0, 10 * hour), (0, 10 * hour + 60), (1, 10 * hour)])
    at = np.array([10 * hour, 10 * hour + 1, 11 * hour, 11 * hour + 1, 11 * hour + 61])
    found = item_statistics({"read": events}, stream([]), {"click": events}, np.zeros(5, np.int64), at)
    assert found["events_1h"].tolist() == [0, 1, 2, 1, 0]
    assert found["events_6h"].tolist() == [0, 1, 2, 2, 2]
    assert found["shown_24h"].tolist() == [0] * 5
    assert found["age_h"][2] == 1
    assert found["click_1h"].tolist() == found["events_1h"].tolist()
    names = {f"{what}_{hours}h" for what in ("events", "shown", "click") for hours in (1, 6, 24)}
    assert set(found) == names | {"age_h"}


def test_numbers_of_items_and_seconds_of_years_do_not_overflow() -> None:
    events = Stream(np.array([2000, 2000, 1999], np.int32), np.array([0, 10**9, 10**9], np.int64))
    found = History(events).count(np.array([2000, 1999], np.int32), np.array([10**9 + 1] * 2), 3600)
    assert found.tolist() == [1, 1]


def test_several_event_types_are_counted_together_and_apart() -> None:
    types = {"view": stream([(0, 100), (0, 200)]), "buy": stream([(0, 300)])}
    found = item_statistics(types, stream([(0, 50)]), {}, np.array([0]), np.array([400]))
    assert [found[name][0] for name in ("events_1h", "events_1h.view", "events_1h.buy")] == [3, 2, 1]
    assert found["age_h"][0] == np.float32(350 / 3600)


def test_statistics_of_a_user_and_an_item() -> None:
    found = pair_statistics(
        stream([(7, 100), (8, 100)]), stream([(7, 50), (7, 90)]), np.array([7]), np.array([3690])
    )
    assert found["user_events"].tolist() == [1]
    assert found["user_shown"].tolist() == [2]
    assert found["user_shown_h"].tolist() == [1]
