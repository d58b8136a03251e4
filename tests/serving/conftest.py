"""Servers of tiny servables, and callers of them."""

import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from benchmarks.synthetic import save_version
from serving.server import Server, ServerSettings, running
from tests.serving.callers import Caller, request_of, sequences
from tests.serving.servables import INT_IDS, STRING_IDS, Staged, write_tiny
from tests.serving.stage import Stage
from tests.waiting import until


@pytest.fixture(scope="session")
def write_version() -> Callable[..., Path]:
    """`write_version(folder, version, ids=…, session_ids=…, context=…)`."""
    return write_tiny


@pytest.fixture(scope="session")
def int_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 with integer ids, nothing optional."""
    folder = tmp_path_factory.mktemp("servables") / "tiny"
    write_tiny(folder, 1)
    return folder


@pytest.fixture(scope="session")
def string_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 with string ids, session ids, and a context column of each kind."""
    folder = tmp_path_factory.mktemp("servables") / "rich"
    write_tiny(
        folder,
        1,
        STRING_IDS,
        session_ids=True,
        context={"price": "numeric", "store": "categorical"},
    )
    return folder


@pytest.fixture(scope="session")
def int_server(int_folder: Path) -> Iterator[Server]:
    with running(ServerSettings(int_folder, port=0)) as server:
        yield server


@pytest.fixture(scope="session")
def string_server(string_folder: Path) -> Iterator[Server]:
    with running(ServerSettings(string_folder, port=0)) as server:
        yield server


@pytest.fixture(scope="session", name="sequences")
def _sequences() -> Callable[..., dict[str, np.ndarray]]:
    """`sequences(items, exclude=…, candidates=…)`: inputs of a signature."""
    return sequences


@pytest.fixture(scope="session", name="request_of")
def _request_of() -> Callable[..., predict_pb2.PredictRequest]:
    """`request_of(inputs, signature=…, name=…, version=…, output_filter=…)`."""
    return request_of


@pytest.fixture
def connect() -> Iterator[Callable[..., Caller]]:
    """`connect(port, credentials)`: a Caller, whose channel is closed after the test."""
    with contextlib.ExitStack() as stack:

        def caller(port: int, credentials: grpc.ChannelCredentials | None = None) -> Caller:
            found = Caller(f"localhost:{port}", credentials)
            stack.enter_context(found.channel)
            return found

        yield caller


@pytest.fixture
def tiny(int_server: Server, connect: Callable[..., Caller]) -> Caller:
    """A Caller of the server of integer ids."""
    return connect(int_server.port)


@pytest.fixture(scope="session")
def staged_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A servable of `Staged`."""
    folder = tmp_path_factory.mktemp("staged") / "tiny"
    save_version(Staged(INT_IDS, 1), folder)
    return folder


@pytest.fixture
def stage(staged_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A servable whose work the test holds and lets go, once."""
    return Stage(staged_folder, monkeypatch)


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], Any]], None]:
    """`eventually(check)`: asks until it holds, and fails instead of hanging where it never does."""

    return functools.partial(until, seconds=180)


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """`start(*arguments)`: a real `tfrec serve`, and what it says once it serves."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: object) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-c", "from tfrec.cli import main; main()", "serve"]
        process = subprocess.Popen(
            [*command, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline()

    yield run
    for process in started:
        process.kill()
        process.communicate()
