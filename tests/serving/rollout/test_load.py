"""The open loop: requests come when they are due, and what fails is counted."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from serving import wire
from serving.rollout.load import run_open_load
from serving.server import Server
from tests.serving.callers import request_of, sequences

COUNT = 8


def server_of(predict: Any, threads: int) -> tuple[Any, str]:
    """A running server that answers Predict so, and its target."""
    server = grpc.server(ThreadPoolExecutor(threads))
    handler = grpc.method_handlers_generic_handler(
        wire.SERVICE, {"Predict": grpc.unary_unary_rpc_method_handler(predict)}
    )
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"


@pytest.fixture
def waiting_server() -> Iterator[str]:
    """Answers nobody before `COUNT` calls have come."""
    together = threading.Barrier(COUNT)

    def predict(request: bytes, context: Any) -> bytes:
        together.wait(60)
        return b""

    server, target = server_of(predict, COUNT)
    yield target
    server.stop(None)


def test_no_request_waits_for_an_answer(waiting_server: str) -> None:
    load = run_open_load(waiting_server, [b""], 500, COUNT, 60)
    assert (len(load.latencies_ms), load.errors) == (COUNT, [])
    # The first one was due first, and all were answered when the last had come.
    assert load.percentile_ms(0) is not None
    assert load.seconds > 0


def test_a_real_server_answers_all(int_server: Server) -> None:
    requests = [request_of(sequences([[item]])).SerializeToString() for item in (101, 102)]
    load = run_open_load(f"127.0.0.1:{int_server.port}", requests, 1000, 40, 60)
    assert (load.requests, len(load.latencies_ms), load.errors) == (40, 40, [])
    assert all(latency > 0 for latency in load.latencies_ms)


def test_failures_are_counted_beside_the_latencies(int_server: Server) -> None:
    good = request_of(sequences([[101]])).SerializeToString()
    bad = request_of(sequences([[101]]), name="shoes").SerializeToString()
    load = run_open_load(f"127.0.0.1:{int_server.port}", [good, bad], 1000, 10, 60)
    assert len(load.latencies_ms) == 5
    assert len(load.errors) == 5
    assert load.errors[0].startswith("NOT_FOUND: ")


def test_a_server_that_is_gone_has_no_percentiles() -> None:
    load = run_open_load("127.0.0.1:1", [b""], 1000, 2, 10)
    assert len(load.errors) == 2
    assert load.percentile_ms(99) is None


def test_connections_take_turns() -> None:
    peers: list[str] = []

    def predict(request: bytes, context: Any) -> bytes:
        peers.append(context.peer())
        return b""

    server, target = server_of(predict, 1)
    run_open_load(target, [b""], 500, 9, 60, connections=3)
    server.stop(None)
    assert sorted(peers.count(peer) for peer in set(peers)) == [3, 3, 3]
