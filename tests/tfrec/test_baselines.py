"""Baselines against plain loops, over all kinds of repeats."""

from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.baselines import BASELINES, best, own, popular, sequential_rules
from tfrec.dataset import Dataset
from tfrec.queries import barred
from tfrec.schema import FIRST_ROW, PADDING_ROW, Repeats

DAY = 86400
K = 6

# Users as lists of (a new session begins, item, days since the event before).
LOGS = st.lists(
    st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.integers(0, 20)), min_size=2, max_size=14),
    min_size=1,
    max_size=4,
)
REPEATS = st.sampled_from(["never", "across_sessions", "anywhere"])


def events_of(log: list[list[tuple[bool, int, int]]]) -> pd.DataFrame:
    """A log whose last event of each user is in test."""
    rows = []
    for user, events in enumerate(log):
        session, time = 0, 0
        for place, (new_session, item, days) in enumerate(events):
            session, time = session + new_session, time + days * DAY
            rows.append((user, item, time, session, "test" if place + 1 == len(events) else "train"))
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "session_id", "role"])


def popularity(dataset: Dataset) -> dict[int, tuple[int, int, int]]:
    """What ranks an item among the popular ones: recent events, all events, then the lower row."""
    sequences = dataset.sequences
    train = [(int(row), int(time)) for row, time in zip(sequences.item, sequences.time, strict=True)]
    train = [pair for pair, is_train in zip(train, sequences.is_role("train"), strict=True) if is_train]
    newest = max(time for _, time in train)
    since = newest - 30 * DAY if dataset.schema.has_clock else -1
    recent, ever = Counter(row for row, time in train if time >= since), Counter(row for row, _ in train)
    return {row: (recent[row], ever[row], -row) for row in range(FIRST_ROW, dataset.items.size)}


def expected(dataset: Dataset, position: int, scores: dict[int, float]) -> list[int]:
    """The best K rows by score, then popularity, without those that are barred."""
    places = popularity(dataset)
    _, at = barred(dataset.sequences, np.array([position]), dataset.schema.repeats)
    left = set(places) - set(dataset.sequences.item[at].tolist())
    order = sorted(left, key=lambda row: (round(scores.get(row, 0.0), 9), *places[row]), reverse=True)
    return (order + [PADDING_ROW] * K)[:K]


def history(dataset: Dataset, position: int) -> list[int]:
    begin = max(offset for offset in dataset.sequences.offsets.tolist() if offset <= position)
    return dataset.sequences.item[begin:position].tolist()


def rules(dataset: Dataset) -> dict[tuple[int, int], float]:
    sequences, user = dataset.sequences, dataset.sequences.user_of_event
    found: dict[tuple[int, int], float] = defaultdict(float)
    for after in range(len(sequences.item)):
        for before in range(max(0, after - 10), after):
            together = user[before] == user[after] and sequences.session[before] == sequences.session[after]
            if together and sequences.role[before] == sequences.role[after] == 0:
                pair = int(sequences.item[before]), int(sequences.item[after])
                found[pair] += 1 / (after - before)
    return found


@settings(max_examples=60)
@given(log=LOGS, repeats=REPEATS, has_clock=st.booleans())
def test_baselines_equal_plain_loops(
    log: list[list[tuple[bool, int, int]]],
    repeats: Repeats,
    has_clock: bool,
    dataset_of: Callable[..., Dataset],
) -> None:
    dataset = dataset_of(events_of(log), repeats=repeats, has_clock=has_clock)
    positions = np.flatnonzero(dataset.sequences.is_role("test"))
    weights = rules(dataset)
    for place, position in enumerate(positions.tolist()):
        past = history(dataset, position)
        followed: dict[int, float] = defaultdict(float)
        for back, x in enumerate(reversed(past[-4:]), start=1):
            for (first, then), weight in weights.items():
                if first == x:
                    followed[then] += weight / back
        answers = {
            baseline: baseline(dataset, positions, k=K, quiet=True)[place].tolist()
            for baseline in (popular, own, sequential_rules)
        }
        assert answers[popular] == expected(dataset, position, {})
        assert answers[own] == expected(dataset, position, dict(Counter(past)))
        assert answers[sequential_rules] == expected(dataset, position, followed)


def test_popular_forgets_what_is_older_than_thirty_days(dataset_of: Callable[..., Dataset]) -> None:
    rows = [(1, "old", 0), (1, "old", 1), (1, "new", 60 * DAY), (2, "any", 61 * DAY)]
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    events = events.assign(session_id=0, role=["train", "train", "train", "test"])
    for has_clock, first in [(True, "new"), (False, "old")]:
        dataset = dataset_of(events, has_clock=has_clock)
        answer = popular(dataset, np.array([3]), k=1, quiet=True)
        assert dataset.items.raw(answer).tolist() == [[first]]


@pytest.mark.parametrize("name", BASELINES)
def test_no_queries_no_answers(name: str, dataset_of: Callable[..., Dataset]) -> None:
    dataset = dataset_of(events_of([[(True, 1, 1), (True, 1, 1)]]))
    assert BASELINES[name](dataset, np.zeros(0, np.int64)).shape == (0, 20)


def test_best_pads_where_nothing_is_left() -> None:
    scores = np.array([[-np.inf, 3.0, 5.0, 4.0], [-np.inf, -np.inf, 1.0, -np.inf]])
    assert best(scores, 2).tolist() == [[2, 3], [2, PADDING_ROW]]
    assert best(scores, 6).tolist() == [[2, 3, 1, 0, 0, 0], [2, 0, 0, 0, 0, 0]]
