"""Ids of requests, and their lines in the log."""

import asyncio
import json
import logging
import re
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.metrics import Metrics
from serving.observing import Observer, note, request_id
from serving.server import Server, ServerSettings, running
from tests.serving.callers import Caller, request_of, sequences

LOGGER = "tfrec.serving.requests"


@pytest.fixture
def server(int_folder: Path) -> Iterator[Server]:
    with running(ServerSettings(int_folder, port=0, log_requests=True)) as server:
        yield server


def call(caller: Caller, request_id: str | None = None, **spec: Any) -> Any:
    """A call of Predict, ended."""
    metadata = [] if request_id is None else [("x-request-id", request_id)]
    inputs = sequences([[104], [102]])
    found = caller.prediction.Predict.future(request_of(inputs, **spec), timeout=30, metadata=metadata)
    found.code()
    return found


def id_of(ended: Any) -> str:
    return dict(ended.trailing_metadata())["x-request-id"]


def test_the_callers_id_comes_back_with_the_answer(tiny: Caller) -> None:
    assert id_of(call(tiny, "page-17")) == "page-17"
    assert id_of(call(tiny, "x" * 1000)) == "x" * 128


def test_the_callers_id_comes_back_with_a_failure(tiny: Caller) -> None:
    failed = call(tiny, "page-18", name="shop")
    assert failed.code() is grpc.StatusCode.NOT_FOUND
    assert id_of(failed) == "page-18"
    no_message = tiny.channel.unary_unary("/tensorflow.serving.PredictionService/Predict").future(
        b"\xff", metadata=[("x-request-id", "page-19")]
    )
    assert no_message.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert id_of(no_message) == "page-19"


def test_without_an_id_one_is_made(tiny: Caller) -> None:
    first, second = id_of(call(tiny)), id_of(call(tiny, ""))
    assert first != second
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in (first, second))


def test_each_request_gets_a_line(
    server: Server,
    connect: Callable[..., Caller],
    caplog: pytest.LogCaptureFixture,
    eventually: Callable[..., None],
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    caller = connect(server.port)
    call(caller, "a", signature="recommend")
    call(caller, "b", signature="no such")
    eventually(lambda: len(caplog.records) == 2)
    first, second = (vars(record) for record in caplog.records)
    names = ("request_id", "method", "signature", "code", "users")
    assert [first[name] for name in names] == ["a", "Predict", "recommend", "OK", 2]
    assert [second[name] for name in names] == ["b", "Predict", "", "FAILED_PRECONDITION", 0]
    assert first["milliseconds"] > 0
    assert re.fullmatch(
        r"Predict recommend OK [\d.]+ ms, users: 2, request a", caplog.records[0].getMessage()
    )


def test_health_checks_and_servers_not_told_to_log_say_nothing(
    tiny: Caller, server: Server, connect: Callable[..., Caller], caplog: pytest.LogCaptureFixture
) -> None:
    from grpc_health.v1.health_pb2 import HealthCheckRequest

    caplog.set_level(logging.INFO, LOGGER)
    call(tiny)
    connect(server.port).health.Check(HealthCheckRequest())
    assert caplog.records == []


def test_a_failure_of_ours_is_found_by_its_request(
    stage: Any, connect: Callable[..., Caller], caplog: pytest.LogCaptureFixture
) -> None:
    with running(ServerSettings(stage.folder, port=0)) as server:
        failed = connect(server.port).prediction.Predict.future(
            stage.request("break"), metadata=[("x-request-id", "page-20")]
        )
        assert failed.code() is grpc.StatusCode.INTERNAL
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.request_id == "page-20"  # type: ignore[attr-defined]
    assert record.exc_info


async def greet(request: bytes, context: Any) -> bytes:
    """A handler of another service, which marks its answers, and fails on demand."""
    note(signature="greet", users=len(request))
    context.set_trailing_metadata((("greeting", "yes"),))
    if request == b"fail":
        raise RuntimeError
    return request


def test_any_server_of_asyncio_can_be_watched() -> None:
    async def ask() -> Metrics:
        metrics = Metrics()
        server = grpc.aio.server(interceptors=[Observer(metrics)])
        methods = {"Greet": grpc.unary_unary_rpc_method_handler(greet)}
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Greeter", methods)])
        port = server.add_insecure_port("localhost:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
                ended = channel.unary_unary("/shop.Greeter/Greet")(b"you", metadata=[("x-request-id", "a")])
                assert await ended == b"you"
                assert dict(await ended.trailing_metadata()) == {"greeting": "yes", "x-request-id": "a"}
                for path in ("/shop.Greeter/Greet", "/shop.Greeter/Nothing"):
                    with pytest.raises(grpc.RpcError):
                        await channel.unary_unary(path)(b"fail")
        finally:
            await server.stop(None)
        return metrics

    metrics = asyncio.run(ask())
    for code in ("OK", "UNKNOWN"):
        labels = {"method": "Greet", "signature": "greet", "code": code}
        assert metrics.registry.get_sample_value("tfrec_requests_total", labels) == 1
    assert request_id() == ""  # nobody is watched here


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_the_command_writes_json_and_shows_metrics(
    int_folder: Path, start: Callable[..., Any], connect: Callable[..., Caller]
) -> None:
    port = free_port()
    options = ["--port", 0, "--metrics-port", port, "--log-format", "json", "--log-requests"]
    process, line = start(int_folder, *options)
    call(connect(int(line.rpartition(":")[2])), "page-21", signature="recommend")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        metrics = response.read().decode()
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert 'tfrec_requests_total{code="OK",method="Predict",signature="recommend"} 1.0' in metrics
    assert 'tfrec_model_version{model="tiny"} 1.0' in metrics
    assert "process_resident_memory_bytes" in metrics
    lines = [json.loads(line) for line in errors.splitlines()]
    # TensorFlow prints a note past Python when a session computes for the first time.
    assert any(line["logger"] == "native" and "mlir" in line["message"] for line in lines)
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    (request,) = [line for line in lines if line["logger"] == LOGGER]
    assert request["milliseconds"] > 0
    assert request.pop("time").endswith("+00:00")
    del request["milliseconds"], request["message"]
    assert request == {
        "level": "INFO",
        "logger": LOGGER,
        "request_id": "page-21",
        "method": "Predict",
        "signature": "recommend",
        "code": "OK",
        "users": 2,
    }
