"""How a server runs: until it is told to end, or in a thread of this process while a block runs."""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from serving.listening import allow_many_connections
from serving.settings import ListenSettings
from tfrec.allocation import keep_freed_memory

log = logging.getLogger("tfrec.serving")


class Startable(Protocol):
    """What can be started and stopped on an event loop."""

    @property
    def settings(self) -> ListenSettings:
        """How it listens, and how long requests that run get at the end."""

    async def start(self) -> None:
        """Begins to serve."""

    async def stop(self) -> None:
        """Ends."""


ServerT = TypeVar("ServerT", bound=Startable)


def run_until_told(make: Callable[[], ServerT], on_start: Callable[[ServerT], None]) -> None:
    """Serves until SIGTERM or SIGINT, then stops gracefully.

    Args:
        make: makes the server; called on the event loop.
        on_start: called once the server listens.
    """

    async def serve() -> None:
        server = make()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await server.start()
        on_start(server)
        await stop.wait()
        log.info("stopping: running requests get %s s", server.settings.drain_s)
        await server.stop()

    allow_many_connections()
    keep_freed_memory(one_arena=False)
    asyncio.run(serve())


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
