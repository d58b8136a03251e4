"""Two real servers behind one target: calls take turns, and one that is killed is left out."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from serving.client import AsyncRecommender, Recommendation, Recommender
from serving.server import Server


@dataclass
class Pair:
    """Version 1 in this process, version 2 in one of its own, and a target that leads to both."""

    target: str
    other: Popen[str]


@pytest.fixture
def pair(
    int_server: Server, tmp_path: Path, write_version: Callable[..., Path], start: Callable[..., Any]
) -> Pair:
    write_version(tmp_path / "tiny", 2)
    process, line = start(tmp_path / "tiny", "--port", 0)
    ports = [int_server.port, int(line.rpartition(":")[2])]
    return Pair("ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports), process)


def version(found: list[Recommendation]) -> int:
    """The version that answered: its scores begin with its number of thousands."""
    return round(found[0].score / 1000)


def test_calls_take_turns_and_a_server_that_is_killed_is_left_out(
    pair: Pair, eventually: Callable[..., None]
) -> None:
    with Recommender(pair.target, timeout_s=30) as recommender, ThreadPoolExecutor(8) as pool:

        def ask(_: int) -> int:
            return version(recommender.recommend([101], 1))

        seen: set[int] = set()
        eventually(lambda: seen.add(ask(0)) or seen == {1, 2})
        versions = [ask(place) for place in range(20)]
        assert sorted(versions) == [1] * 10 + [2] * 10
        # Calls are under way while the server dies. None fails.
        running = pool.map(ask, range(400))
        first = [next(running) for _ in range(100)]
        pair.other.kill()
        rest = list(running)
        assert set(first) == {1, 2}
        assert len(rest) == 300
        assert pair.other.wait(60) != 0
        assert [ask(place) for place in range(20)] == [1] * 20


def test_calls_of_an_event_loop_take_turns_too(pair: Pair) -> None:
    async def ask() -> None:
        async with AsyncRecommender(pair.target, timeout_s=30) as recommender, asyncio.timeout(60):

            async def one() -> int:
                return version(await recommender.recommend([101], 1))

            while {await one(), await one()} != {1, 2}:
                pass
            tasks = [asyncio.create_task(one()) for _ in range(100)]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            pair.other.kill()
            await asyncio.gather(*tasks)
            assert {await one() for _ in range(20)} == {1}

    asyncio.run(ask())
