"""Requests that wait for a thread are searched together, and each gets what is its own."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from serving.retrieval import searching
from serving.retrieval.candidates import Asked, find
from serving.retrieval.searching import Searches
from serving.status import Code, ServingError
from tests.tfrec.asking import nothing
from tests.tfrec.index.made import index_of, queries, segment
from tfrec.index.index import Index
from tfrec.servable import no_item

FAR = 1e12


def asked(users: int, seed: int, allow: list[int] | None = None, **filters: np.ndarray) -> Asked:
    """A request of users who had the item 100, and may have it again."""
    encoded = {
        "query_embedding": queries(users, seed),
        "own_item_id": np.full((users, 2), [100, no_item("int64")]),
        "own_score": np.full((users, 2), [1.5, -np.inf], np.float32),
    }
    inputs = {
        "item_id": np.full((users, 1), 100),
        "length": np.ones(users, np.int32),
        "exclude_item_id": np.full((users, 1), 101 + seed),
        "allow_item_id": nothing(users) if allow is None else np.array([allow] * users),
    }
    return Asked(encoded, inputs | filters)


class Held:
    """`find`, which waits until it may go on, and remembers what it was asked together."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.together: list[int] = []

    def __call__(self, index: Index, several: list[Asked], count: int) -> Any:
        self.together.append(len(several))
        self.begun.set()
        assert self.go.wait(60)
        return find(index, several, count)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held()
    monkeypatch.setattr(searching, "find", held)
    return held


def answers(held: Held, first: Any, others: Any) -> list[Any]:
    """What coroutines give: the first is being searched when the others come in."""

    async def run() -> list[Any]:
        with ThreadPoolExecutor(1) as pool:
            searches = Searches(pool, 1)
            running = [asyncio.ensure_future(first(searches))]
            await asyncio.to_thread(held.begun.wait, 60)
            running += [asyncio.ensure_future(other(searches)) for other in others]
            await asyncio.sleep(0)
            held.go.set()
            return await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), 30)

    return asyncio.run(run())


def test_those_that_wait_are_searched_together_and_answered_as_alone(held: Held) -> None:
    index = index_of(segment(range(100, 160)))
    requests = [
        asked(1, 1),
        asked(3, 2),
        asked(1, 3, allow=[110, 120, 121]),
        asked(2, 4, **{"filter.colour": np.array([[b"red"], [b"blue"]], object)}),
        asked(1, 5, **{"filter.shape": np.array([[b"round"]], object)}),
        asked(1, 6),
    ]
    first, *others = [lambda s, one=one: s.find(index, one, 5, FAR) for one in requests]
    found = answers(held, first, [*others, lambda s: s.find(index, asked(1, 7), 4, FAR)])
    # Another number of candidates is another search.
    assert held.together == [1, 5, 1]
    for one, answer in zip(requests, found, strict=False):
        if "filter.shape" in one.inputs:
            assert isinstance(answer, ServingError)
            assert answer.code is Code.INVALID_ARGUMENT
            continue
        ((rows, scores),) = find(index, [one], 5)
        assert answer[0].tolist() == rows.tolist()
        np.testing.assert_allclose(answer[1], scores, rtol=1e-5)
    assert found[-1][0].shape == (1, 4)


def test_versions_of_an_index_are_searched_apart(held: Held) -> None:
    """A newer one has come while requests of the older wait; their rows mean other items."""
    older, newer = index_of(segment(range(100, 160))), index_of(segment(range(300, 360), seed=1))
    calls = [(older, 1), (older, 2), (newer, 3), (older, 4)]
    first, *others = [
        lambda s, index=index, seed=seed: s.find(index, asked(1, seed), 5, FAR) for index, seed in calls
    ]
    found = answers(held, first, others)
    assert held.together == [1, 2, 1]
    for (index, seed), (rows, _) in zip(calls, found, strict=True):
        assert rows.tolist() == find(index, [asked(1, seed)], 5)[0][0].tolist()


def test_what_nobody_waits_for_is_not_searched(held: Held) -> None:
    index = index_of(segment(range(100, 160)))

    async def given_up(searches: Searches) -> Any:
        waiting = asyncio.ensure_future(searches.find(index, asked(1, 2), 5, FAR))
        await asyncio.sleep(0)
        waiting.cancel()
        return await asyncio.wait([waiting])

    found = answers(
        held,
        lambda s: s.find(index, asked(1, 1), 5, FAR),
        [
            given_up,
            lambda s: s.find(index, asked(1, 3), 5, 0.0),
            lambda s: s.find(index, asked(1, 4), 5, FAR),
        ],
    )
    assert held.together == [1, 1]
    assert isinstance(found[2], ServingError)
    assert found[2].code is Code.DEADLINE_EXCEEDED
    assert found[3][0].shape == (1, 5)


def test_one_search_has_no_more_users_than_its_share(held: Held) -> None:
    index = index_of(segment(range(100, 160)))
    users = [1, searching.MOST_USERS - 3, 3, 2, searching.MOST_USERS + 1]
    requests = [asked(count, place + 1) for place, count in enumerate(users)]
    first, *others = [lambda s, one=one: s.find(index, one, 5, FAR) for one in requests]
    found = answers(held, first, others)
    assert [len(rows) for rows, _ in found] == users
    # 61 and 3; 2; the one that is larger than a share alone.
    assert held.together == [1, 2, 1, 1]


def test_an_error_of_a_search_reaches_all_who_wait_for_it(held: Held) -> None:
    index = index_of(segment(range(100, 160)))
    bad = asked(1, 2)
    bad.encoded["query_embedding"] = np.zeros((1, 3), np.float32)
    calls = [lambda s, one=one: s.find(index, one, 5, FAR) for one in (asked(1, 1), bad, asked(1, 3))]
    found = answers(held, calls[0], [*calls[1:], lambda s: s.find(index, asked(1, 4), 4, FAR)])
    assert isinstance(found[1], ValueError)
    assert isinstance(found[2], ValueError)
    # Those after it are searched.
    assert found[3][0].shape == (1, 4)
