"""The health check of a container, against real servers."""

from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from serving.health_check import complaint, main
from serving.server import Server
from tests.serving.certificates import Pair, make_pair

Status = health_pb2.HealthCheckResponse


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[tuple[str, health.HealthServicer]]:
    """A server on a Unix socket, whose state can be set."""
    servicer = health.HealthServicer()
    server = grpc.server(futures.ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    target = f"unix:{tmp_path}/health.sock"
    server.add_insecure_port(target)
    server.start()
    yield target, servicer
    server.stop(None)


def test_the_embedded_server_serves(int_server: Server) -> None:
    assert main([f"localhost:{int_server.port}"]) == 0


def test_a_server_that_ends_does_not(
    socket: tuple[str, health.HealthServicer], capsys: pytest.CaptureFixture[str]
) -> None:
    target, servicer = socket
    servicer.set("", Status.SERVING)
    assert main([target]) == 0
    servicer.set("", Status.NOT_SERVING)
    assert main([target]) == 1
    assert "NOT_SERVING" in capsys.readouterr().err


def test_a_service_that_nobody_knows(socket: tuple[str, health.HealthServicer]) -> None:
    target, _ = socket
    assert "NOT_FOUND" in complaint(target, service="shop")


def test_nobody_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"unix:{tmp_path}/nobody.sock", "--timeout-s=1"]) == 1
    assert "nobody.sock" in capsys.readouterr().err


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[int, Pair]]:
    """The port of a server behind TLS, and the authority of its certificate."""
    authority = make_pair(tmp_path, "authority")
    pair = make_pair(tmp_path, "server", authority)
    servicer = health.HealthServicer()
    servicer.set("", Status.SERVING)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    credentials = grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.certificate.read_bytes())])
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    yield port, authority
    server.stop(None)


def test_tls(secure: tuple[int, Pair]) -> None:
    port, authority = secure
    root = str(authority.certificate)
    assert complaint(f"localhost:{port}", tls_root=root) == ""
    # The name in the certificate is what is checked, whatever the server is asked as.
    assert complaint(f"ipv4:127.0.0.1:{port}", tls_root=root, tls_name="localhost") == ""
    assert "UNAVAILABLE" in complaint(f"localhost:{port}", tls_root=root, tls_name="elsewhere")
    assert "UNAVAILABLE" in complaint(f"localhost:{port}", timeout_s=10)


def test_a_missing_certificate_is_a_bad_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["localhost:1", f"--tls-root={tmp_path}/no.pem"]) == 2
    assert "no.pem" in capsys.readouterr().err
