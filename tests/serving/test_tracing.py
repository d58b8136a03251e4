"""Spans of calls, and the trace that a real server hears of."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from serving import wire
from serving.client import AsyncRecommender, Recommender, ServingError
from serving.server import Server
from serving.tracing import client_span

PREDICT = "tensorflow.serving.PredictionService/Predict"


class Listening:
    """A real gRPC server in front of the embedded one, which notes the metadata that arrive."""

    def __init__(self, behind: Server) -> None:
        self.heard: list[dict[str, str]] = []
        self._channel = grpc.insecure_channel(f"localhost:{behind.port}")
        methods = {
            name: grpc.unary_unary_rpc_method_handler(self._pass_on(name))
            for name in ("Predict", "GetModelMetadata")
        }
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(wire.SERVICE, methods)])
        self.port = self._server.add_insecure_port("localhost:0")
        self._server.start()

    def _pass_on(self, name: str) -> Any:
        method = self._channel.unary_unary(f"/{wire.SERVICE}/{name}")

        def handle(request: bytes, context: Any) -> bytes:
            self.heard.append(dict(context.invocation_metadata()))
            try:
                return bytes(method(request, timeout=30))
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
                raise

        return handle

    def stop(self) -> None:
        self._server.stop(None).wait()
        self._channel.close()


@pytest.fixture
def server(int_server: Server) -> Iterator[Listening]:
    listening = Listening(int_server)
    yield listening
    listening.stop()


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def ask(kind: str, port: int, **settings: Any) -> None:
    """One recommendation, by either client."""
    settings = {"timeout_s": 30} | settings
    if kind == "blocking":
        with Recommender(f"localhost:{port}", **settings) as recommender:
            recommender.recommend([101], 1)
        return

    async def recommend() -> None:
        async with AsyncRecommender(f"localhost:{port}", **settings) as recommender:
            await recommender.recommend([101], 1)

    asyncio.run(recommend())


@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_the_server_hears_of_the_span_and_its_parent(
    server: Listening, provider: TracerProvider, exporter: InMemorySpanExporter, kind: str
) -> None:
    with provider.get_tracer("test").start_as_current_span("page") as page:
        ask(kind, server.port, tracer_provider=provider)
    metadata, predict, parent = exporter.get_finished_spans()
    assert parent.name == "page"
    for span, heard in zip([metadata, predict], server.heard, strict=True):
        assert span.parent is not None
        assert span.parent.span_id == page.get_span_context().span_id
        ids = span.get_span_context()
        assert ids.trace_id == page.get_span_context().trace_id
        assert heard["traceparent"].startswith(f"00-{ids.trace_id:032x}-{ids.span_id:016x}-")


def test_a_span_says_what_was_called(
    server: Listening, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    ask("blocking", server.port, tracer_provider=provider)
    span = exporter.get_finished_spans()[1]
    assert (span.name, span.kind, span.status.status_code) == (PREDICT, SpanKind.CLIENT, StatusCode.UNSET)
    assert span.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": PREDICT,
        "rpc.response.status_code": "OK",
        "server.address": "localhost",
        "server.port": server.port,
        "tfrec.signature": "recommend",
    }


@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_a_call_that_fails(
    server: Listening, provider: TracerProvider, exporter: InMemorySpanExporter, kind: str
) -> None:
    with pytest.raises(ServingError, match="NOT_FOUND"):
        ask(kind, server.port, model="shop", tracer_provider=provider)
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["rpc.response.status_code"] == span.attributes["error.type"] == "NOT_FOUND"
    assert "rpc.method" in span.attributes


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [(asyncio.CancelledError(), "CANCELLED", "CANCELLED"), (RuntimeError(), None, "RuntimeError")],
)
def test_a_call_that_does_not_end_by_a_status(
    provider: TracerProvider, exporter: InMemorySpanExporter, error: BaseException, code: str, kind: str
) -> None:
    with pytest.raises(type(error)), client_span(PREDICT, "", "shop:8500", provider):
        raise error
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert (span.attributes.get("rpc.response.status_code"), span.attributes["error.type"]) == (code, kind)


@pytest.mark.parametrize(
    ("target", "address", "port"),
    [
        ("dns:///shop.example:8500", "shop.example", 8500),
        ("dns:shop:80", "shop", 80),
        ("[::1]:8500", "::1", 8500),
        ("ipv4:10.0.0.1:8500,10.0.0.2:8500", "ipv4:10.0.0.1:8500,10.0.0.2:8500", None),
        ("unix:/run/shop.sock", "unix:/run/shop.sock", None),
        ("shop", "shop", None),
    ],
)
def test_the_address_of_a_target(
    provider: TracerProvider, exporter: InMemorySpanExporter, target: str, address: str, port: int | None
) -> None:
    with client_span(PREDICT, "", target, provider) as metadata:
        assert [key for key, _ in metadata] == ["traceparent"]
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert (span.attributes["server.address"], span.attributes.get("server.port")) == (address, port)


def test_a_program_without_a_tracer_sends_nothing(server: Listening) -> None:
    # OpenTelemetry is imported here, and nobody has set a tracer.
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    ask("blocking", server.port)
    assert all("traceparent" not in heard for heard in server.heard)


OWN_TRACER = """
import sys
from serving.client import Recommender
with Recommender(sys.argv[1], timeout_s=30) as recommender:
    recommender.recommend([101], 1)
    assert not any(name.startswith("opentelemetry") for name in sys.modules)

    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider())
    with trace.get_tracer("test").start_as_current_span("page") as page:
        recommender.recommend([101], 1)
    print(format(page.get_span_context().trace_id, "032x"))
"""


def test_the_tracer_of_the_program_is_found_and_opentelemetry_not_imported_before(server: Listening) -> None:
    command = [sys.executable, "-c", OWN_TRACER, f"localhost:{server.port}"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    description, first, second = server.heard
    assert "traceparent" not in description | first
    assert second["traceparent"].split("-")[1] == run.stdout.strip()
