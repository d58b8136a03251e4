import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from serving.server import Server, ServerSettings, running
from tfrec.errors import DataError, SettingsError

PREDICTION = "tensorflow.serving.PredictionService"


@pytest.mark.parametrize("service", ["", "tiny", PREDICTION, "tensorflow.serving.ModelService"])
def test_health_while_a_version_serves(tiny: Any, service: str) -> None:
    response = tiny.health.Check(HealthCheckRequest(service=service))
    assert response.status == HealthCheckResponse.SERVING


def test_health_of_an_unknown_service(tiny: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        tiny.health.Check(HealthCheckRequest(service="shop"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_describes_services_and_messages(tiny: Any) -> None:
    database = ProtoReflectionDescriptorDatabase(tiny.channel)
    assert {PREDICTION, "tensorflow.serving.ModelService", "grpc.health.v1.Health"} <= set(
        database.get_services()
    )
    service = DescriptorPool(database).FindServiceByName(PREDICTION)
    predict = service.FindMethodByName("Predict")
    assert predict.input_type.fields_by_name["output_filter"].number == 3
    assert predict.output_type.full_name == "tensorflow.serving.PredictResponse"


def test_a_port_that_is_taken_is_an_error(int_server: Server, int_folder: Path) -> None:
    settings = ServerSettings(int_folder, port=int_server.port)
    with pytest.raises(SettingsError, match=f"cannot listen on .*{int_server.port}"), running(settings):
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that vouches for itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def test_tls(
    int_folder: Path,
    certificate: tuple[Path, Path],
    connect: Callable[..., Any],
    sequences: Callable[..., Any],
) -> None:
    settings = ServerSettings(int_folder, port=0, tls_cert=certificate[0], tls_key=certificate[1])
    with running(settings) as server:
        trusted = grpc.ssl_channel_credentials(certificate[0].read_bytes())
        assert connect(server.port, trusted).predict(sequences([[101]])).version == 1
        code, _ = connect(server.port).refusal(sequences([[101]]))
        assert code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("cert", "key", "error", "text"),
    [
        ("cert", "missing", DataError, "missing.pem.* cannot be read: No such file"),
        ("cert", "cert", SettingsError, "are no PEM certificate and its private key"),
        ("cert", None, SettingsError, "TLS needs both tls_cert and tls_key"),
    ],
)
def test_tls_files_that_cannot_be_used(
    int_folder: Path,
    certificate: tuple[Path, Path],
    cert: str,
    key: str | None,
    error: type[Exception],
    text: str,
) -> None:
    folder = certificate[0].parent
    with (
        pytest.raises(error, match=text),
        running(
            ServerSettings(
                int_folder,
                port=0,
                tls_cert=folder / f"{cert}.pem",
                tls_key=folder / f"{key}.pem" if key else None,
            )
        ),
    ):
        pass


def test_sigterm_ends_what_runs_and_then_the_process(
    stage: Any, start: Callable[..., Any], connect: Callable[..., Any], sequences: Callable[..., Any]
) -> None:
    process, line = start(stage.folder, "--port", 0)
    assert line.startswith("tiny serves on 127.0.0.1:")
    caller = connect(int(line.rsplit(":", 1)[1]))
    watch = caller.health.Watch(HealthCheckRequest())
    assert next(watch).status == HealthCheckResponse.SERVING
    calls = [caller.prediction.Predict.future(stage.request("slow")) for _ in range(3)]
    assert caller.states() == {1: ("AVAILABLE", "")}  # so the calls before have come in, too
    process.send_signal(signal.SIGTERM)
    assert next(watch).status == HealthCheckResponse.NOT_SERVING
    assert [call.result(timeout=60).model_spec.version.value for call in calls] == [1] * 3
    # The server ends though the watch does not: it is ended by the server.
    assert [response.status for response in watch] == []
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in errors
    code, _ = caller.refusal(sequences([[101]]))
    assert code is grpc.StatusCode.UNAVAILABLE


def test_a_folder_without_versions_ends_the_command_with_words(
    tmp_path: Path, start: Callable[..., Any]
) -> None:
    process, line = start(tmp_path)
    _, errors = process.communicate(timeout=60)
    assert line == ""
    assert process.returncode == 2
    assert "holds no version" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(("threads", "expected"), [(1, 1), (3, 3), (0, 0)])
def test_the_threads_of_an_op_reach_tensorflow(int_folder: Path, threads: int, expected: int) -> None:
    """In a process of its own, for TensorFlow takes them only before it computes."""
    script = f"""
from pathlib import Path
from serving.server import ServerSettings, running
with running(ServerSettings(Path({str(int_folder)!r}), port=0, intra_op_threads={threads})):
    import tensorflow as tf
    print(tf.config.threading.get_intra_op_parallelism_threads())
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(expected)]
