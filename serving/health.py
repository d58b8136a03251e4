"""gRPC's health service, whose watchers do not hold up the end of the server."""

import asyncio
from typing import Any

from grpc_health.v1 import health

_LAST_WORD_S = 0.5


class HealthService(health.aio.HealthServicer):
    """The official service, with an end.

    A Watch of the official one runs for as long as its caller wants, so that a server with a watcher would
    wait for the whole time that it grants running requests.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ended = asyncio.Event()

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802, the protocol's name
        """Tells the state now and whenever it changes, until the server ends."""
        watch = asyncio.ensure_future(super().Watch(request, context))
        end = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({watch, end}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (watch, end):
                task.cancel()
            await asyncio.gather(watch, end, return_exceptions=True)

    async def end(self) -> None:
        """Says NOT_SERVING for good, and soon after ends the watches."""
        await self.enter_graceful_shutdown()
        asyncio.get_running_loop().call_later(_LAST_WORD_S, self._ended.set)
