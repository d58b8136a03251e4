"""Sessions and splits equal slow references, written as the protocols say them."""

from collections import defaultdict

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.log import Column, Log
from data_prep.lots import draw_lots
from data_prep.options import PrepareOptions
from data_prep.sessions import (
    first_in_session,
    not_repeated,
    number_sessions,
    shuffle_inside,
    sort_events,
)
from data_prep.splits import roles

GAP = 100
EVENTS = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(0, 5), st.integers(0, 2000)), min_size=1, max_size=60
)


def log_of(rows: list[tuple[int, int, int]], sessions: list[int] | None = None) -> Log:
    def column(values: list[int]) -> Column:
        codes, uniques = pd.factorize(np.array(values))
        return Column(codes.astype(np.int32), pd.Index(uniques))

    return Log(
        user=column([r[0] for r in rows]),
        item=column([r[1] for r in rows]),
        time=np.array([r[2] for r in rows]),
        event=Column(np.zeros(len(rows), np.int32), pd.Index(["event"])),
        session=None if sessions is None else column(sessions),
        lot=draw_lots(0, len(rows), seed=0),
        event_id=np.arange(len(rows)),
    )


@given(EVENTS)
@settings(max_examples=60, deadline=None)
def test_sessions_by_gap(rows: list[tuple[int, int, int]]) -> None:
    log = sort_events(log_of(rows), PrepareOptions())
    found = number_sessions(log, GAP)
    assert log.event_id is not None
    # Slow: sort with Python's stable sort, walk, and begin a session after a longer gap.
    order = sorted(range(len(rows)), key=lambda i: (rows[i][0], rows[i][2]))
    assert log.event_id.tolist() == order
    number, expected = -1, []
    for place, i in enumerate(order):
        last = rows[order[place - 1]] if place else None
        if last is None or last[0] != rows[i][0] or rows[i][2] - last[2] > GAP:
            number += 1
        expected.append(number)
    assert found.tolist() == expected


@given(EVENTS, st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_sessions_by_id_stay_together(rows: list[tuple[int, int, int]], ids: int) -> None:
    sessions = [(r[0] + 10) * 10 + i % (ids + 1) for i, r in enumerate(rows)]
    log = sort_events(log_of(rows, sessions), PrepareOptions(session="s"))
    found = number_sessions(log, GAP)
    assert log.session is not None
    raw = log.session.values[log.session.codes]
    by_number = defaultdict(set)
    for number, session in zip(found, raw, strict=True):
        by_number[number].add(session)
    assert all(len(v) == 1 for v in by_number.values())
    assert len(by_number) == len(set(sessions))
    starts = pd.Series(log.time).groupby(found).min().to_numpy()
    users = pd.Series(log.user.values[log.user.codes]).groupby(found).first().to_numpy()
    assert all(starts[i] <= starts[i + 1] for i in range(len(starts) - 1) if users[i] == users[i + 1])


@given(EVENTS, st.lists(st.integers(0, 3), min_size=60, max_size=60), st.booleans())
@settings(max_examples=100, deadline=None)
def test_order_of_sessions_by_id(rows: list[tuple[int, int, int]], ids: list[int], ordered: bool) -> None:
    rows = [(u, i, t // 200) for u, i, t in rows]  # many ties
    log = log_of(rows, ids[: len(rows)])  # users share ids, and are not sorted
    assert log.session is not None
    # Slow: Python's stable sort by user, first event of the session, first row of the session, time.
    owned = [(r[0], code) for r, code in zip(rows, log.session.codes.tolist(), strict=True)]
    start = {s: min(r[2] for r, own in zip(rows, owned, strict=True) if own == s) for s in owned}
    first_row = {s: owned.index(s) for s in owned}
    order = sorted(
        range(len(rows)), key=lambda i: (rows[i][0], start[owned[i]], first_row[owned[i]], rows[i][2])
    )
    found = sort_events(log, PrepareOptions(session="s", ordered_sessions=ordered)).event_id
    assert found is not None
    if ordered:
        assert found.tolist() == order
    assert [owned[i] for i in found] == [owned[i] for i in order]
    assert sorted(found.tolist()) == list(range(len(rows)))


@given(EVENTS, st.sampled_from(["leave_one_out", "last_session", "global_time", "none"]))
@settings(max_examples=100, deadline=None)
def test_splits(rows: list[tuple[int, int, int]], split: str) -> None:
    rows = [(u, i, t * 100) for u, i, t in rows]
    log = sort_events(log_of(rows), PrepareOptions())
    session = number_sessions(log, 10 * GAP)
    found = roles(split, log.user.codes, session, log.time, 1, int(log.time.max()))  # type: ignore[arg-type]
    expected = _slow_roles(split, log.user.codes.tolist(), session.tolist(), log.time.tolist())
    assert found.tolist() == expected


def _slow_roles(split: str, user: list[int], session: list[int], time: list[int]) -> list[int]:
    size = len(user)
    if split == "none":
        return [0] * size
    if split == "global_time":
        start = {s: min(t for t, x in zip(time, session, strict=True) if x == s) for s in session}
        end = max(time)
        return [2 if start[s] > end - 86_400 else 1 if start[s] > end - 2 * 86_400 else 0 for s in session]
    result = []
    for i in range(size):
        if split == "leave_one_out":
            after = sum(1 for j in range(i + 1, size) if user[j] == user[i])
            result.append({0: 2, 1: 1}.get(after, 0))
            continue
        own = sorted({s for s, u in zip(session, user, strict=True) if u == user[i]})
        after = len(own) - 1 - own.index(session[i])
        result.append({0: 2, 1: 1}.get(after, 0) if len(own) >= 3 else 0)
    return result


@given(EVENTS)
@settings(max_examples=40, deadline=None)
def test_repeats_inside_sessions(rows: list[tuple[int, int, int]]) -> None:
    log = sort_events(log_of(rows), PrepareOptions())
    session = number_sessions(log, GAP)
    items = log.item.codes.tolist()
    seen, firsts, news = set(), [], []
    for i, (s, item) in enumerate(zip(session.tolist(), items, strict=True)):
        firsts.append((s, item) not in seen)
        seen.add((s, item))
        news.append(i == 0 or session[i - 1] != s or items[i - 1] != item)
    assert first_in_session(log, session).tolist() == firsts
    assert not_repeated(log, session).tolist() == news


def test_order_inside_unordered_sessions_is_drawn() -> None:
    rows = [(0, item, 0) for item in range(50)] + [(0, item, 5000) for item in range(50)]
    log = log_of(rows)
    session = number_sessions(log, GAP)
    shuffled = shuffle_inside(log, session)
    assert shuffled.time.tolist() == log.time.tolist()
    assert shuffled.item.codes[:50].tolist() != list(range(50))
    assert sorted(shuffled.item.codes[:50].tolist()) == list(range(50))
    by_id = log_of(rows, [7] * 50 + [8] * 50)
    drawn = sort_events(by_id, PrepareOptions(session="s", ordered_sessions=False))
    assert abs(np.corrcoef(drawn.item.codes[:50], np.arange(50))[0, 1]) < 0.5
