"""Retrieval servers over small trained models, with the encoder in the process and elsewhere."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.retrieval.server import running
from serving.retrieval.settings import RetrievalSettings
from serving.server import ServerSettings
from serving.server import running as running_embedded
from tests.serving.callers import Caller
from tests.serving.retrieval.asking import MODEL, Ask, Asked
from tests.tfrec.made import K, Made
from tfrec.export import export
from tfrec.indexing import index_model


@pytest.fixture(scope="session")
def shop(made: Made) -> Path:
    """A folder with `servables/shop` and `indexes/shop` of one model."""
    folder = made.folder / "served"
    export(made.folder / "model", folder / "servables" / MODEL, k=K)
    index_model(made.folder / "model", folder / "indexes" / MODEL, filters=["colour"], quiet=True)
    return folder


@pytest.fixture(scope="session")
def encoder(shop: Path) -> Iterator[Any]:
    """An embedded server of `servables/shop`, in place of a TensorFlow Serving."""
    with running_embedded(ServerSettings(shop / "servables" / MODEL, port=0)) as server:
        yield server


@pytest.fixture
def index(made: Made, tmp_path: Path) -> Path:
    """An index of the model, of a test's own."""
    index_model(made.folder / "model", tmp_path / "indexes" / MODEL, filters=["colour"], quiet=True)
    return tmp_path / "indexes" / MODEL


@pytest.fixture
def ask() -> Iterator[Ask]:
    """See `Ask`."""
    with contextlib.ExitStack() as stack:

        def begin(index: Path, **options: Any) -> Asked:
            # However busy the machine is, an encoder that is there is waited for.
            ours = {"port": 0, "poll_interval_s": 0.05, "name": MODEL, "encoder_timeout_s": 60.0}
            options = ours | options
            server = stack.enter_context(running(RetrievalSettings(index, **options)))
            caller = Caller(f"localhost:{server.port}")
            stack.enter_context(caller.channel)
            return Asked(server, caller)

        yield begin


@pytest.fixture
def asked(ask: Ask, index: Path, encoder: Any) -> Asked:
    """A server of `index` whose encoder is elsewhere."""
    return ask(index, encoder=f"localhost:{encoder.port}")


@pytest.fixture
def unused_port() -> Callable[[], int]:
    """`unused_port()`: a port of this machine that nobody has at the moment."""

    def find() -> int:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return int(free.getsockname()[1])

    return find
