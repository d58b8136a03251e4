"""Clients that stall: nobody else waits for them, and a limit to the age of connections ends them."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import h2.events
import pytest

from serving.metrics import Metrics
from tests.serving.callers import Caller, request_of, sequences
from tests.serving.faults.conftest import Serve
from tests.serving.faults.http2 import RawClient, framed

MANY = 64  # more than workers, threads or batches that they could fill
REQUEST = framed(request_of(sequences([[101]])).SerializeToString())


@pytest.fixture
def raw() -> Iterator[Callable[..., RawClient]]:
    """`raw(port, window=…)`: a client that is closed after the test."""
    with contextlib.ExitStack() as stack:

        def client(port: int, **options: Any) -> RawClient:
            found = RawClient(port, **options)
            stack.callback(found.close)
            return found

        yield client


def test_requests_that_come_byte_by_byte(
    serve: Serve, raw: Callable[..., RawClient], connect: Callable[[int], Caller]
) -> None:
    server = serve()
    caller = connect(server.port)
    slow = [raw(server.port) for _ in range(MANY)]
    streams = [client.begin() for client in slow]
    for place in range(len(REQUEST) - 1):
        for client, stream in zip(slow, streams, strict=True):
            client.send(stream, REQUEST[place : place + 1])
        if place % 20 == 0:
            assert caller.predict(sequences([[101]])).version == 1
    for client, stream in zip(slow, streams, strict=True):
        client.send(stream, REQUEST[-1:], last=True)
        assert client.answer(stream) == "0"


def test_connections_that_never_begin(serve: Serve, connect: Callable[[int], Caller]) -> None:
    server = serve()
    with contextlib.ExitStack() as stack:
        for words in (b"", b"PRI * HTTP/2.0\r\n") * MANY:
            silent = stack.enter_context(socket.create_connection(("localhost", server.port)))
            silent.sendall(words)
        assert connect(server.port).predict(sequences([[101]])).version == 1


def test_answers_that_nobody_reads(
    serve: Serve,
    raw: Callable[..., RawClient],
    connect: Callable[[int], Caller],
    eventually: Callable[..., None],
) -> None:
    server = serve()
    caller = connect(server.port)
    deaf = raw(server.port, window=0)
    asked = 0
    while deaf.state.outbound_flow_control_window >= len(REQUEST):
        deaf.send(deaf.begin(), REQUEST, last=True)
        asked += 1
    assert asked > MANY
    eventually(lambda: answered(server.metrics) >= asked)
    assert caller.predict(sequences([[101]])).version == 1
    deaf.close()
    eventually(lambda: value(server.metrics, "tfrec_requests_running") == 0)
    assert caller.predict(sequences([[101]])).version == 1


def answered(metrics: Metrics) -> float:
    """Requests that were computed."""
    labels = {"method": "Predict", "signature": "serving_default", "code": "OK"}
    return metrics.registry.get_sample_value("tfrec_requests_total", labels) or 0.0


def value(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(name)


@pytest.mark.parametrize("stalls", ["sending", "reading"])
def test_a_limit_to_the_age_of_connections_ends_them(
    serve: Serve, raw: Callable[..., RawClient], stalls: str
) -> None:
    server = serve(max_connection_age_s=0.2, drain_s=0.1)
    client = raw(server.port, window=0 if stalls == "reading" else 65_535)
    content = REQUEST if stalls == "reading" else REQUEST[:-1]
    client.send(client.begin(), content, last=stalls == "reading")
    told = [event for event in client.events() if isinstance(event, h2.events.ConnectionTerminated)]
    assert told, "the server hung up without a word"
