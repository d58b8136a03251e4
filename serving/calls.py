"""What all services of ours do with a call: its deadline, and errors as status codes."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from serving.observing import request_id
from serving.status import Code, ServingError

log = logging.getLogger("tfrec.serving")


@contextlib.asynccontextmanager
async def answering(context: Any) -> AsyncIterator[None]:
    """Turns what goes wrong inside the block into a status code; a traceback goes to the log alone."""
    try:
        yield
    except ServingError as error:
        await context.abort(error.code, str(error))
    except Exception:
        log.exception("the request %s failed", request_id(), extra={"request_id": request_id()})
        await context.abort(Code.INTERNAL, "the server failed on this request; its log says why")


def deadline_of(context: Any) -> float:
    """The event loop's time after which nobody waits for the answer; infinity, where the caller set none."""
    remaining = context.time_remaining()
    return asyncio.get_running_loop().time() + remaining if remaining is not None else float("inf")
