"""Both servers: in this process, where a test holds or looks into them, and as processes of their own."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.retrieval.server import RetrievalServer
from serving.retrieval.server import running as running_retrieval
from serving.retrieval.settings import RetrievalSettings
from serving.server import Server, ServerSettings, running
from tests.serving.faults.pair import NAME, write_pair_index, write_servable
from tests.serving.faults.processes import Process, started

AnyServer = Server | RetrievalServer
Serve = Callable[..., AnyServer]
StartProcess = Callable[..., Process]
# However busy the machine is, an encoder that is there is waited for.
PATIENCE_S = 60.0


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `servables/tiny` and `indexes/tiny` of one model."""
    folder = tmp_path_factory.mktemp("pair")
    write_servable(folder / "servables" / NAME)
    write_pair_index(folder / "indexes" / NAME)
    return folder


@pytest.fixture(scope="session")
def encoder(shop: Path) -> Iterator[Server]:
    """An embedded server, in place of a TensorFlow Serving."""
    with running(ServerSettings(shop / "servables" / NAME, port=0)) as server:
        yield server


@pytest.fixture(params=["embedded", "retrieval"])
def serve(request: pytest.FixtureRequest, shop: Path, encoder: Server) -> Iterator[Serve]:
    """`serve(**settings)`: one of the two servers in this process, until the test ends."""
    with contextlib.ExitStack() as stack:

        def begin(**settings: Any) -> AnyServer:
            settings = {"port": 0, **settings}
            if request.param == "embedded":
                return stack.enter_context(running(ServerSettings(shop / "servables" / NAME, **settings)))
            of_encoder = {"encoder": f"localhost:{encoder.port}", "encoder_timeout_s": PATIENCE_S}
            settings = {**of_encoder, **settings}
            index = RetrievalSettings(shop / "indexes" / NAME, **settings)
            return stack.enter_context(running_retrieval(index))

        yield begin


@pytest.fixture
def start_process() -> Iterator[StartProcess]:
    """`start_process("serve", folder, …, env=…)`: a command of `tfrec` that serves, until the test ends."""
    with contextlib.ExitStack() as stack:

        def start(*words: object, **options: Any) -> Process:
            if "--encoder" in words:
                words = (*words, "--encoder-timeout-s", PATIENCE_S)
            return stack.enter_context(started(*words, **options))

        yield start


@pytest.fixture
def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def free_ports() -> Callable[[int], int]:
    """`free_ports(count)`: the first of so many ports of loopback, one after the other, that nobody has."""

    def find(count: int) -> int:
        while True:
            with contextlib.ExitStack() as stack, contextlib.suppress(OSError, OverflowError):
                first = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                for place in range(1, count):
                    stack.enter_context(socket.create_server(("127.0.0.1", first + place)))
                return int(first)

    return find
