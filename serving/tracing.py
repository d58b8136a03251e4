"""A span of OpenTelemetry around each call, and its trace context in the call's metadata (W3C traceparent).

Only in programs that trace: they have imported OpenTelemetry to set up its tracer, and where they have not,
nothing is imported here. Names follow OpenTelemetry's semantic conventions for gRPC clients.

The official opentelemetry-instrumentation-grpc would do the same for a whole process, but is a beta whose
asyncio interceptors keep a task from hearing that it was cancelled while it waited for a call.
"""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from serving.status import Code, ServingError

Metadata = tuple[tuple[str, str], ...]


@contextlib.contextmanager
def client_span(path: str, signature: str, target: str, provider: Any = None) -> Iterator[Metadata]:
    """Traces the call that is made inside the block.

    Args:
        path: service and method, `tensorflow.serving.PredictionService/Predict`.
        signature: that is to be computed; "" for none.
        target: where the call goes.
        provider: OpenTelemetry's TracerProvider; None for the program's own.

    Yields:
        The metadata to send, which carry the trace's context; empty where the program does not trace.
    """
    tracer = _tracer(provider)
    if tracer is None:
        yield ()
        return
    from opentelemetry import propagate, trace

    attributes = {"rpc.system.name": "grpc", "rpc.method": path, **_address(target)}
    if signature:
        attributes["tfrec.signature"] = signature
    span = tracer.start_span(path, kind=trace.SpanKind.CLIENT, attributes=attributes)
    carrier: dict[str, str] = {}
    propagate.inject(carrier, trace.set_span_in_context(span))
    try:
        yield tuple((key.lower(), value) for key, value in carrier.items())
        span.set_attribute("rpc.response.status_code", Code.OK.name)
    except BaseException as error:
        name = _status(error)
        if name:
            span.set_attribute("rpc.response.status_code", name)
        span.set_attribute("error.type", name or type(error).__qualname__)
        span.set_status(trace.StatusCode.ERROR, str(error))
        raise
    finally:
        span.end()


def _tracer(provider: Any) -> Any:
    """The program's tracer, or None where it has none."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    provider = provider or trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider.get_tracer("tfrec")


def _status(error: BaseException) -> str:
    if isinstance(error, ServingError):
        return str(error.code.name)
    return str(Code.CANCELLED.name) if isinstance(error, asyncio.CancelledError) else ""


def _address(target: str) -> dict[str, Any]:
    """Host and port of a target; several addresses, or a socket's path, stay as they are."""
    address = target.rpartition("///")[2].removeprefix("dns:")
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "," not in address:
        return {"server.address": host.strip("[]"), "server.port": int(port)}
    return {"server.address": address}
