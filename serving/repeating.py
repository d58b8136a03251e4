"""Work that a server does again and again beside its requests."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger("tfrec.serving")


async def repeat(work: Callable[[], Awaitable[Any]], interval_s: float, what: str) -> None:
    """Does something for ever, each time after a pause; what fails is done again.

    Args:
        work: to be done.
        interval_s: seconds of the pause.
        what: it is, for the log.
    """
    while True:
        await asyncio.sleep(interval_s)
        try:
            await work()
        except Exception:
            log.exception("%s failed; the next time is in %s s", what, interval_s)
