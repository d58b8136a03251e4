"""An eye on every request of a server: its id, its metrics, and by setting a line in the log.

The interceptor stands around the handlers of any gRPC server of asyncio; a handler tells it by `note` what
only the handler knows. gRPC's own services (health, reflection) are not watched. Nothing of what a request
holds goes into the log, so no ids of users or items do.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc

from serving.metrics import Metrics
from serving.status import Code

log = logging.getLogger("tfrec.serving.requests")

REQUEST_ID = "x-request-id"
_LONGEST_ID = 128


@dataclass(slots=True)
class Observed:
    """What is known of a request that runs.

    Attributes:
        method: of the service, "Predict".
        request_id: the caller's, from the metadata `x-request-id`, or one made here.
        signature: that it asks for, once that is known to exist.
        users: that it asks for.
    """

    method: str
    request_id: str
    signature: str = ""
    users: int = 0


_observed: ContextVar[Observed | None] = ContextVar("observed", default=None)


def note(*, signature: str | None = None, users: int | None = None) -> None:
    """Tells of the request that is being handled; nothing where nobody watches."""
    observed = _observed.get()
    if observed is None:
        return
    if signature is not None:
        observed.signature = signature
    if users is not None:
        observed.users = users


def request_id() -> str:
    """The id of the request that is being handled, "" where nobody watches."""
    observed = _observed.get()
    return observed.request_id if observed else ""


class Observer(grpc.aio.ServerInterceptor):
    """Watches the unary methods of a server.

    Args:
        metrics: where requests are counted.
        log_requests: whether each request gets a line in the log, at INFO.
    """

    def __init__(self, metrics: Metrics, *, log_requests: bool = False) -> None:
        self._metrics = metrics
        self._log_requests = log_requests
        self._watched: dict[str, Any] = {}

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """gRPC asks here for the handler of each call."""
        path = details.method
        if path in self._watched:
            return self._watched[path]
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None or path.startswith("/grpc."):
            return handler
        # Only methods that exist, so that callers cannot make the table grow.
        self._watched[path] = watched = self._watch(path.rpartition("/")[2], handler)
        return watched

    def _watch(self, method: str, handler: Any) -> Any:
        read = handler.request_deserializer or bytes

        async def answer(content: bytes, context: Any) -> Any:
            with self._watching(method, context):
                try:
                    request = read(content)
                except Exception:
                    # gRPC would answer UNKNOWN, and write a traceback for each into the log.
                    text = f"the request's {len(content)} bytes are no message that {method} takes"
                    await context.abort(Code.INVALID_ARGUMENT, text)
                return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(answer, None, handler.response_serializer)

    @contextmanager
    def _watching(self, method: str, context: Any) -> Iterator[None]:
        given = dict(context.invocation_metadata() or ()).get(REQUEST_ID, "")
        observed = Observed(method, str(given)[:_LONGEST_ID] or os.urandom(16).hex())
        _observed.set(observed)
        context.set_trailing_metadata(((REQUEST_ID, observed.request_id),))
        granted = context.time_remaining()
        began, code = time.perf_counter(), Code.OK
        self._metrics.running(1)
        try:
            yield
            code = context.code() or Code.OK
            marks = tuple(context.trailing_metadata() or ())
            if REQUEST_ID not in dict(marks):
                # The handler has put others in the place of ours.
                context.set_trailing_metadata((*marks, (REQUEST_ID, observed.request_id)))
        except grpc.aio.AbortError:
            code = context.code()
            raise
        except asyncio.CancelledError:
            code = Code.DEADLINE_EXCEEDED if _is_due(granted, context.time_remaining()) else Code.CANCELLED
            raise
        except BaseException:
            code = Code.UNKNOWN  # as gRPC answers for a handler that fails
            raise
        finally:
            self._metrics.running(-1)
            self._tell(observed, code.name, time.perf_counter() - began)

    def _tell(self, observed: Observed, code: str, seconds: float) -> None:
        self._metrics.request(observed.method, observed.signature, code, seconds)
        if self._log_requests:
            facts = {
                "request_id": observed.request_id,
                "method": observed.method,
                "signature": observed.signature,
                "code": code,
                "milliseconds": round(seconds * 1e3, 3),
                "users": observed.users,
            }
            log.info(
                "%(method)s %(signature)s %(code)s %(milliseconds)s ms, users: %(users)d, "
                "request %(request_id)s",
                facts,
                extra=facts,
            )


def _is_due(granted: float | None, remaining: float | None) -> bool:
    """Whether a caller took its call back since its deadline passed.

    Its clock ends before ours: deadlines are rounded up on the way, and the way takes time.
    """
    return granted is not None and remaining is not None and remaining <= 0.05 + 0.02 * granted
