"""Retrieval servers over small trained models, with the encoder in the process and elsewhere."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.retrieval.server import RetrievalServer, running
from serving.retrieval.settings import RetrievalSettings
from serving.server import ServerSettings
from serving.server import running as running_embedded
from tests.serving.callers import Caller
from tests.tfrec.made import K, Made
from tfrec.export import export
from tfrec.indexing import index_model

Start = Callable[..., RetrievalServer]


@pytest.fixture(scope="session")
def shop(made: Made) -> Path:
    """A folder with `servables/shop` and `indexes/shop` of one model."""
    folder = made.folder / "served"
    export(made.folder / "model", folder / "servables" / "shop", k=K)
    index_model(made.folder / "model", folder / "indexes" / "shop", filters=["colour"], quiet=True)
    return folder


@pytest.fixture(scope="session")
def encoder(shop: Path) -> Iterator[Any]:
    """An embedded server of `servables/shop`, in place of a TensorFlow Serving."""
    with running_embedded(ServerSettings(shop / "servables" / "shop", port=0)) as server:
        yield server


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(index, servable=…)` or `start(index, encoder=…)`: a server, until the test ends."""
    with contextlib.ExitStack() as stack:

        def begin(index: Path, **options: Any) -> RetrievalServer:
            settings = RetrievalSettings(index, **({"port": 0, "poll_interval_s": 0.05} | options))
            return stack.enter_context(running(settings))

        yield begin


@pytest.fixture
def calls() -> Iterator[Callable[[int], Caller]]:
    """`calls(port)`: the official stubs of a server."""
    with contextlib.ExitStack() as stack:

        def caller(port: int) -> Caller:
            found = Caller(f"localhost:{port}")
            stack.enter_context(found.channel)
            return found

        yield caller


@pytest.fixture
def unused_port() -> Callable[[], int]:
    """`unused_port()`: a port of this machine that nobody has at the moment."""

    def find() -> int:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return int(free.getsockname()[1])

    return find
