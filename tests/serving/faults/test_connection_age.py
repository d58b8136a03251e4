"""Connections that end by their age: clients find new replicas, and nothing that runs is cut off."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import h2.events

from serving import wire
from serving.channel import Endpoint
from serving.server import ServerSettings, running
from tests.serving.callers import request_of, sequences
from tests.serving.faults.conftest import Serve
from tests.serving.faults.http2 import RawClient, framed
from tests.serving.faults.names import naming
from tests.serving.faults.pair import NAME, write_servable
from tests.serving.stage import Stage

PREDICT = f"/{wire.SERVICE}/Predict"
# gRPC itself asks a name server every half a minute at most, which is too long for a test.
AT_ONCE = (("grpc.dns_min_time_between_resolutions_ms", 0),)


def test_a_replica_that_is_added_is_found(
    shop: Path, tmp_path: Path, eventually: Callable[..., None], free_port: int
) -> None:
    write_servable(tmp_path / NAME, 2)
    request = request_of(sequences([[101]])).SerializeToString()
    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {"port": free_port, "max_connection_age_s": 0.2}
        for folder, host in ((shop / "servables" / NAME, "127.0.0.1"), (tmp_path / NAME, "127.0.0.2")):
            stack.enter_context(running(ServerSettings(folder, host=host, **options)))
        names = stack.enter_context(naming("127.0.0.1"))
        endpoint = Endpoint.of(names.target(free_port), retries=3, tls=False, max_message_mb=4)
        channel = stack.enter_context(grpc.insecure_channel(endpoint.target, (*endpoint.options, *AT_ONCE)))
        call = channel.unary_unary(PREDICT)

        def version() -> int:
            """Whose a further answer is; a call that fails fails the test."""
            return int(wire.PredictResponse.FromString(call(request, timeout=60)).model_spec.version.value)

        assert {version() for _ in range(20)} == {1}
        names.addresses = ["127.0.0.1", "127.0.0.2"]
        eventually(lambda: version() == 2)
        eventually(lambda: version() == 1)
        names.addresses = ["127.0.0.2"]
        eventually(lambda: {version() for _ in range(20)} == {2})


def test_what_runs_when_a_connection_is_too_old_is_answered(stage: Stage) -> None:
    """The server says that the connection ends, and waits for the answer, for as long as it drains."""
    settings = ServerSettings(stage.folder, port=0, max_connection_age_s=0.1, drain_s=60)
    with running(settings) as server:
        client = RawClient(server.port)
        stream = client.begin()
        client.send(stream, framed(stage.request("hold").SerializeToString()), last=True)
        told = (isinstance(event, h2.events.ConnectionTerminated) for event in client.events())
        assert any(told)
        stage.release()
        assert client.answer(stream) == "0"
        assert not any(isinstance(event, h2.events.DataReceived) for event in client.events())
        client.close()


def test_without_a_limit_a_connection_stays(serve: Serve) -> None:
    with contextlib.closing(RawClient(serve().port)) as client:
        for _ in range(3):
            stream = client.begin()
            client.send(stream, framed(request_of(sequences([[101]])).SerializeToString()), last=True)
            assert client.answer(stream) == "0"
