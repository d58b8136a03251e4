"""How a client's calls reach a server: on the caller's thread, or on an event loop.

Both links have the same `async def send`. The blocking one never waits on a loop, so that what is written
with `await` over it runs to its end in one go (`finish`); so questions are written once for both clients.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import grpc

from serving import wire
from serving.channel import Endpoint
from serving.failures import failure
from serving.status import Code, ServingError
from serving.tracing import client_span
from tfrec.errors import SettingsError

T = TypeVar("T")


class Call(NamedTuple):
    """A call of the PredictionService.

    Attributes:
        method: its name, `Predict` or `GetModelMetadata`.
        request: the serialized message.
        signature: that is to be computed, for traces; "" for none.
    """

    method: str
    request: bytes
    signature: str = ""

    @property
    def path(self) -> str:
        """Service and method, as traces name them; gRPC puts a slash before."""
        return f"{wire.SERVICE}/{self.method}"


@dataclass(frozen=True, slots=True)
class CallSettings:
    """What all calls of a client share.

    Attributes:
        model: the model's name, for errors.
        timeout_s: deadline of a call with all its retries, in seconds.
        tracer_provider: OpenTelemetry's, for spans; None for the program's own, if it has one.
    """

    model: str
    timeout_s: float
    tracer_provider: Any = None

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise SettingsError(f"timeout_s: expected more than 0, found {self.timeout_s}.")


class Link(Protocol):
    """What sends calls."""

    @property
    def target(self) -> str:
        """Where they go, for errors."""

    async def send(self, call: Call) -> bytes:
        """The serialized answer.

        Raises:
            ServingError: the server does not answer, or not with OK.
        """


class BlockingLink:
    """Sends calls on the thread of whoever asks. Safe to share between threads."""

    def __init__(self, endpoint: Endpoint, settings: CallSettings) -> None:
        self.target = endpoint.target
        self._settings = settings
        self._channel = endpoint.open()

    async def send(self, call: Call) -> bytes:
        """As `Link.send`; the thread waits, and no event loop is needed."""
        settings = self._settings
        with client_span(call.path, call.signature, self.target, settings.tracer_provider) as metadata:
            try:
                method = self._channel.unary_unary(f"/{call.path}")
                answer: bytes = method(call.request, timeout=settings.timeout_s, metadata=metadata)
            except grpc.RpcError as error:
                raise failure(error, self.target, settings.model, settings.timeout_s) from None
            except ValueError as error:
                # How gRPC refuses calls on a channel that was closed.
                raise ServingError(Code.CANCELLED, f"{self.target}: {error}") from None
            return answer

    def close(self) -> None:
        """Closes the connection; calls that run fail with CANCELLED."""
        self._channel.close()


class AsyncLink:
    """Sends calls on one event loop: the one on which it is first used, so that it can be made before."""

    def __init__(self, endpoint: Endpoint, settings: CallSettings) -> None:
        self.target = endpoint.target
        self._endpoint = endpoint
        self._settings = settings
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def send(self, call: Call) -> bytes:
        """As `Link.send`. A task that is cancelled takes its call back, and the server hears of it."""
        settings = self._settings
        channel = self._channel_here()
        with client_span(call.path, call.signature, self.target, settings.tracer_provider) as metadata:
            try:
                method = channel.unary_unary(f"/{call.path}")
                answer: bytes = await method(call.request, timeout=settings.timeout_s, metadata=metadata)
            except grpc.RpcError as error:
                raise failure(error, self.target, settings.model, settings.timeout_s) from None
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._closed and not (task and task.cancelling()):
                    # Nobody cancelled the task: gRPC ends calls so when their channel is closed.
                    raise self._closed_error() from None
                raise
            return answer

    async def close(self) -> None:
        """Closes the connection; calls that run fail with CANCELLED."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    def _channel_here(self) -> grpc.aio.Channel:
        if self._closed:
            raise self._closed_error()
        loop = asyncio.get_running_loop()
        if self._channel is None:
            self._channel, self._loop = self._endpoint.open_async(), loop
        elif loop is not self._loop:
            raise SettingsError(
                f"{self.target}: expected calls on the event loop of the first call, found another one. "
                "Make an AsyncRecommender for each event loop."
            )
        return self._channel

    def _closed_error(self) -> ServingError:
        return ServingError(Code.CANCELLED, f"{self.target}: the AsyncRecommender is closed.")


def finish(steps: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits on an event loop, as over a `BlockingLink`."""
    try:
        steps.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    steps.close()
    raise RuntimeError(f"{steps} waits on an event loop")
