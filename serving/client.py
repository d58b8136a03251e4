"""The gRPC client that people use: plain Python values in, recommendations out, and no TensorFlow.

    with Recommender("localhost:8500", model="shop") as recommender:
        for found in recommender.recommend([{"item": 12, "time": "2024-05-01T10:00Z"}], k=10):
            print(found.item, found.score)

    async with AsyncRecommender("dns:///shop:8500", model="shop") as recommender:
        found = await recommender.recommend([{"item": 12, "time": "2024-05-01T10:00Z"}], k=10)

It speaks to the embedded server (`tfrec serve`) and to TensorFlow Serving alike, and learns from either
what the model takes: integer or string ids, session ids, context columns.
"""

import functools
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from serving.answers import Encoding, Recommendation
from serving.channel import Endpoint, Tls
from serving.links import AsyncLink, BlockingLink, CallSettings, finish
from serving.model_stub import ModelStub, model_spec
from serving.queries import Event, Query
from serving.questions import Questions
from serving.status import ServingError
from tfrec.schema import IdType

__all__ = [
    "AsyncRecommender",
    "Encoding",
    "Event",
    "Query",
    "Recommendation",
    "Recommender",
    "ServingError",
    "Tls",
]

P = ParamSpec("P")
T = TypeVar("T")


class _Client:
    """The settings of a client; the class below says how its calls travel."""

    _link_type: Callable[[Endpoint, CallSettings], Any]

    def __init__(
        self,
        target: str,
        *,
        model: str = "",
        version: int | None = None,
        label: str | None = None,
        timeout_s: float = 5.0,
        retries: int = 3,
        tls: bool | str | Path | Tls = False,
        max_message_mb: int = 64,
        clock: bool = True,
        tracer_provider: Any = None,
    ) -> None:
        settings = CallSettings(model, timeout_s, tracer_provider)
        spec = model_spec(model, version, label)
        endpoint = Endpoint.of(target, retries=retries, tls=tls, max_message_mb=max_message_mb)
        self._link = self._link_type(endpoint, settings)
        self._questions = Questions(ModelStub(self._link, spec), clock=clock)


def _blocking(
    question: Callable[Concatenate[Questions, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[_Client, P], T]:
    """A question as a method whose caller waits for the answer."""

    @functools.wraps(question)
    def ask(client: _Client, *args: P.args, **kwargs: P.kwargs) -> T:
        return finish(question(client._questions, *args, **kwargs))

    return ask


def _awaited(
    question: Callable[Concatenate[Questions, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[_Client, P], Coroutine[Any, Any, T]]:
    """A question as a method whose answer is awaited."""

    @functools.wraps(question)
    async def ask(client: _Client, *args: P.args, **kwargs: P.kwargs) -> T:
        return await question(client._questions, *args, **kwargs)

    return ask


class Recommender(_Client):
    """Asks one model on one server, or on replicas of it. Safe to share between threads.

    Args:
        target: `host:port`; or `dns:///name:port`, with one or more addresses, among which calls take turns.
        model: the model's name; the embedded server, which has one model, needs none.
        version: number of a version of it; the newest by default.
        label: name of a version instead, as TensorFlow Serving's configuration gives them ("stable").
        timeout_s: deadline of a call with all its retries, in seconds.
        retries: how often a call that finds no server is tried again, at most 4.
        tls: False: plain text; True: TLS; a path: TLS that trusts the authorities in this PEM file; `Tls`:
            the same in detail, and mutual TLS.
        max_message_mb: the largest request and answer, in MiB.
        clock: False for a model of a log without clock times, whose times are positions, 0 the oldest.
        tracer_provider: OpenTelemetry's, for a span around each call; by default the program's own, where
            it has set one.

    Raises:
        SettingsError: a setting is out of range.
        DataError: a PEM file cannot be read.

    Every call raises DataError for a value that the model cannot take, before the call is sent, and
    ServingError with the status code for all that goes wrong after.
    """

    _link_type = BlockingLink
    _link: BlockingLink

    recommend = _blocking(Questions.recommend)
    recommend_many = _blocking(Questions.recommend_many)
    rank = _blocking(Questions.rank)
    encode = _blocking(Questions.encode)

    @property
    def item_id_type(self) -> IdType:
        """Whether the model's items have integer or string ids; asks the server, the first time."""
        return finish(self._questions.item_id_type())

    def close(self) -> None:
        """Closes the connection; calls that run fail with CANCELLED."""
        self._link.close()

    def __enter__(self) -> "Recommender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncRecommender(_Client):
    """The same for asyncio: settings and questions are those of `Recommender`, answers are awaited.

    It may be made anywhere, and belongs to the event loop of its first call. A task that is cancelled, or
    runs into `asyncio.timeout`, takes its call back: the server stops working for it.
    """

    _link_type = AsyncLink
    _link: AsyncLink

    recommend = _awaited(Questions.recommend)
    recommend_many = _awaited(Questions.recommend_many)
    rank = _awaited(Questions.rank)
    encode = _awaited(Questions.encode)
    item_id_type = _awaited(Questions.item_id_type)

    async def close(self) -> None:
        """Closes the connection; calls that run fail with CANCELLED."""
        await self._link.close()

    async def __aenter__(self) -> "AsyncRecommender":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
