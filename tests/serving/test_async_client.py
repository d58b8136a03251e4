"""The asyncio client against the embedded server: the blocking client's answers, and calls taken back."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from serving.client import AsyncRecommender, Event, Query, Recommender, ServingError
from serving.server import Server, ServerSettings, running
from serving.settings import BatchSettings
from serving.status import Code
from tests.serving.callers import Caller
from tests.serving.stage import Stage
from tfrec.errors import DataError, SettingsError

T = TypeVar("T")
LONG_AGO = 1_000_000


@pytest.fixture
def busy_server(stage: Stage) -> Iterator[Server]:
    """One worker, which the stage can hold."""
    with running(ServerSettings(stage.folder, port=0, batching=BatchSettings(workers=1))) as server:
        yield server


def asking(
    server: Server, question: Callable[[AsyncRecommender], Coroutine[Any, Any, T]], **settings: Any
) -> T:
    """What a question to the server comes to, on an event loop of its own."""

    async def ask() -> T:
        target = f"localhost:{server.port}"
        async with AsyncRecommender(target, **{"timeout_s": 30} | settings) as recommender:
            return await question(recommender)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("method", "arguments", "options"),
    [
        ("recommend", ([104, 102, 104], 3), {"exclude": [101], "request_time": LONG_AGO}),
        ("recommend", ([Event(105, LONG_AGO, "purchase")],), {"k": 5, "allow": [105, 106]}),
        ("recommend_many", ([[103], Query([106], exclude=[106]), []], 2), {}),
        ("recommend_many", ([],), {}),
        ("rank", ([104], [101, 999, 104]), {"request_time": LONG_AGO}),
    ],
)
def test_answers_are_those_of_the_blocking_client(
    int_server: Server, method: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    with Recommender(f"localhost:{int_server.port}", timeout_s=30) as recommender:
        expected = getattr(recommender, method)(*arguments, **options)
    assert asking(int_server, lambda one: getattr(one, method)(*arguments, **options)) == expected


def test_encode(int_server: Server) -> None:
    found = asking(int_server, lambda one: one.encode([104, 102, 104]))
    assert found.query_embedding.tolist() == [0, 1.5, 0, 3, 0, 0, 1]
    assert found.own_item == [104, 102]


def test_it_learns_the_type_of_ids(int_server: Server, string_server: Server) -> None:
    assert asking(int_server, lambda one: one.item_id_type()) == "int64"
    assert asking(string_server, lambda one: one.item_id_type()) == "string"


def test_many_questions_wait_at_the_same_time(int_server: Server) -> None:
    async def ask(recommender: AsyncRecommender) -> list[Any]:
        items = [101 + place % 6 for place in range(60)]
        found = await asyncio.gather(*(recommender.recommend([item], 1) for item in items))
        return [(item, one[0].item) for item, one in zip(items, found, strict=True)]

    assert all(asked == found for asked, found in asking(int_server, ask))


def test_both_clients_have_the_same_questions() -> None:
    for name in ("recommend", "recommend_many", "rank", "encode"):
        blocking, awaited = getattr(Recommender, name), getattr(AsyncRecommender, name)
        assert inspect.iscoroutinefunction(awaited)
        assert not inspect.iscoroutinefunction(blocking)
        assert inspect.signature(blocking) == inspect.signature(awaited)
        assert blocking.__doc__ == awaited.__doc__ != ""


def test_what_is_wrong_is_told_as_by_the_blocking_client(int_server: Server) -> None:
    with pytest.raises(DataError, match=r"events\[0\]\.item: expected an integer, found 'x'"):
        asking(int_server, lambda one: one.recommend(["x"], 1))
    with pytest.raises(ServingError, match=r"NOT_FOUND.*Check the model's name") as caught:
        asking(int_server, lambda one: one.recommend([101], 1), model="shop")
    assert caught.value.code is Code.NOT_FOUND
    with pytest.raises(SettingsError, match="timeout_s: expected more than 0"):
        AsyncRecommender("localhost:1", timeout_s=0)


def test_nobody_listens() -> None:
    async def ask() -> None:
        # Nothing can listen on port 1 without the rights of the system.
        async with AsyncRecommender("localhost:1", retries=0) as recommender:
            await recommender.recommend([5])

    with pytest.raises(ServingError, match="localhost:1: UNAVAILABLE: ") as caught:
        asyncio.run(ask())
    assert caught.value.code is Code.UNAVAILABLE


async def _waits(server: Server, users: int = 1) -> None:
    """Until so many users wait in the server's queue."""
    async with asyncio.timeout(60):
        while server.batcher.waiting != users:
            await asyncio.sleep(0)


@pytest.mark.parametrize("how", ["task", "timeout"])
def test_a_question_that_is_cancelled_is_not_computed(
    busy_server: Server, stage: Stage, connect: Callable[..., Caller], how: str
) -> None:
    async def asks_until_it_waits(recommender: AsyncRecommender) -> None:
        async with asyncio.timeout(None) as limit:
            waits = asyncio.create_task(_waits(busy_server))
            waits.add_done_callback(lambda _: limit.reschedule(0))
            await recommender.recommend([101], 1)

    async def ask(recommender: AsyncRecommender) -> None:
        await recommender.item_id_type()
        if how == "task":
            task = asyncio.create_task(recommender.recommend([101], 1))
            await _waits(busy_server)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            with pytest.raises(TimeoutError):
                await asks_until_it_waits(recommender)
        await _waits(busy_server, 0)

    with stage.held(connect(busy_server.port)) as held:
        asking(busy_server, ask)
    assert held.result(timeout=30).model_spec.version.value == 1
    assert busy_server.batcher.stats.users == 1  # the held one alone


def test_the_deadline_reaches_the_server(
    busy_server: Server, stage: Stage, connect: Callable[..., Caller]
) -> None:
    async def ask(recommender: AsyncRecommender) -> None:
        with pytest.raises(ServingError, match=r"DEADLINE_EXCEEDED: no answer within 0\.5 s") as caught:
            await recommender.recommend([101], 1)
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        await _waits(busy_server, 0)

    with stage.held(connect(busy_server.port)) as held:
        asking(busy_server, ask, timeout_s=0.5)
    assert held.result(timeout=30).model_spec.version.value == 1
    assert busy_server.batcher.stats.users == 1


def test_closing_ends_what_waits_and_what_comes_after(
    busy_server: Server, stage: Stage, connect: Callable[..., Caller]
) -> None:
    async def ask(recommender: AsyncRecommender) -> None:
        await recommender.item_id_type()
        task = asyncio.create_task(recommender.recommend([101], 1))
        await _waits(busy_server)
        await recommender.close()
        for question in (task, recommender.recommend([101], 1)):
            with pytest.raises(ServingError, match="the AsyncRecommender is closed") as caught:
                await question
            assert caught.value.code is Code.CANCELLED

    with stage.held(connect(busy_server.port)):
        asking(busy_server, ask)


def test_it_can_be_made_before_its_loop_and_belongs_to_it(int_server: Server) -> None:
    recommender = AsyncRecommender(f"localhost:{int_server.port}", timeout_s=30)
    with asyncio.Runner() as first, asyncio.Runner() as second:
        assert first.run(recommender.recommend([103], 1))[0].item == 103
        with pytest.raises(SettingsError, match="Make an AsyncRecommender for each event loop"):
            second.run(recommender.recommend([103], 1))
        first.run(recommender.close())
