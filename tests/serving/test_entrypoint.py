"""The entry point of TensorFlow Serving's image.

In place of the program itself, which is not here, stands one that writes down what it was told and waits.
"""

import os
import shutil
import signal
import subprocess
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.serving.certificates import Pair, make_pair
from tests.serving.tf_serving_messages import messages

CONFIG = Path(__file__).parents[2] / "serving" / "config"
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
pytestmark = needs_bash

# Says that it runs, with its arguments; then what SIGTERM does to a program without a handler for it.
PROGRAM = """#!/bin/bash
printf '%s\\n' "$@"
echo running
exec sleep 60
"""

# A shell that runs tests in the background lets them ignore Ctrl-C, and a script cannot take that back.
HEARING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def start(
    folder: Path, *arguments: str, program: str = PROGRAM, tls: Path | None = None, **variables: str
) -> subprocess.Popen[str]:
    stand_in = folder / "bin" / "tensorflow_model_server"
    stand_in.parent.mkdir()
    stand_in.write_text(program)
    stand_in.chmod(0o755)
    environment = {
        "PATH": f"{stand_in.parent}:{os.environ['PATH']}",
        "CONFIG_DIR": "/config",
        "TLS_DIR": str(tls or folder / "nothing"),
        "TMPDIR": str(folder),
        **variables,
    }
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", HEARING, CONFIG / "entrypoint.sh", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> list[str]:
    """The arguments of the program, once it runs."""
    assert process.stdout is not None
    return [line.rstrip("\n") for line in iter(process.stdout.readline, "running\n")]


def test_flags_are_those_of_the_configuration_and_of_the_caller(tmp_path: Path) -> None:
    process = start(tmp_path, "--port=8502")
    assert told(process) == [
        "--model_config_file=/config/models.config",
        "--monitoring_config_file=/config/monitoring.config",
        "--enable_batching=true",
        "--batching_parameters_file=/config/batching.config",
        "--port=8502",
    ]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def test_batching_can_be_left_out(tmp_path: Path) -> None:
    """Its parameters too: TensorFlow Serving does not start with those alone."""
    process = start(tmp_path, BATCHING="off")
    assert [flag for flag in told(process) if "batching" in flag] == []
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_program_and_the_container_well(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path)
    told(process)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_program_that_fails_fails_the_container(tmp_path: Path) -> None:
    process = start(tmp_path, program="#!/bin/bash\necho no such model >&2\nexit 3\n")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "no such model" in errors


@pytest.fixture
def tls(tmp_path: Path) -> tuple[Path, Pair]:
    """A folder like a mounted Secret of type kubernetes.io/tls, and a client that its authority knows."""
    folder = tmp_path / "tls"
    folder.mkdir()
    authority = make_pair(tmp_path, "authority")
    server = make_pair(tmp_path, "server", authority)
    (folder / "tls.crt").write_bytes(server.certificate.read_bytes())
    (folder / "tls.key").write_bytes(server.key.read_bytes())
    (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
    return folder, make_pair(tmp_path, "client", authority)


def ssl_config(folder: Path, tls: Path) -> tuple[Any, Path]:
    """What the entry point writes for TensorFlow Serving, and where."""
    process = start(folder, tls=tls)
    (flag,) = [line for line in told(process) if line.startswith("--ssl_config_file=")]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    path = Path(flag.partition("=")[2])
    return text_format.Parse(path.read_text(), messages()["SSLConfig"]()), path


def test_a_tls_secret_becomes_what_tensorflow_serving_reads(tmp_path: Path, tls: tuple[Path, Pair]) -> None:
    """A real server with the keys of that file answers a client that has a certificate, and no other."""
    folder, client = tls
    config, path = ssl_config(tmp_path, folder)
    assert path.stat().st_mode & 0o077 == 0
    assert config.client_verify
    server = grpc.server(futures.ThreadPoolExecutor(1))
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    credentials = grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode(),
        require_client_auth=config.client_verify,
    )
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    authority = (folder / "ca.crt").read_bytes()
    own = (client.key.read_bytes(), client.certificate.read_bytes())
    request = health_pb2.HealthCheckRequest()
    try:
        with grpc.secure_channel(
            f"localhost:{port}", grpc.ssl_channel_credentials(authority, *own)
        ) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with (
            grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(authority)) as channel,
            pytest.raises(grpc.RpcError),
        ):
            health_pb2_grpc.HealthStub(channel).Check(request, timeout=30)
    finally:
        server.stop(None)


def test_half_a_secret_is_named(tmp_path: Path, tls: tuple[Path, Pair]) -> None:
    folder, _ = tls
    (folder / "ca.crt").unlink()
    process = start(tmp_path, tls=folder)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert f"{folder} has no ca.crt" in errors
