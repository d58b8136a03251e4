"""A server on an event loop in a thread of this process."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar


class Startable(Protocol):
    """What can be started and stopped on an event loop."""

    async def start(self) -> None:
        """Begins to serve."""

    async def stop(self) -> None:
        """Ends."""


ServerT = TypeVar("ServerT", bound=Startable)


@contextlib.contextmanager
def running_in_thread(make: Callable[[], ServerT]) -> Iterator[ServerT]:
    """Runs a server while the block runs.

    Args:
        make: makes the server; called on the event loop.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="tfrec-server", daemon=True)
    thread.start()

    def wait(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    async def begin() -> ServerT:
        server = make()
        await server.start()
        return server

    try:
        server = wait(begin())
        try:
            yield server
        finally:
            wait(server.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
