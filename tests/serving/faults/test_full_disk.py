"""A disk that is full: while a version is written, while one is copied, and where the log goes.

A limit on the size of files stands for the disk in the first two; /dev/full is one in the third.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.client import Recommender, Tls
from serving.retrieval.server import RetrievalServer
from serving.retrieval.server import running as running_retrieval
from serving.retrieval.settings import RetrievalSettings
from serving.server import Server, ServerSettings, running
from tests.serving.callers import Caller, request_of, sequences
from tests.serving.certificates import make_pair
from tests.serving.faults.conftest import StartProcess
from tests.serving.faults.pair import INT_IDS, NAME, write_servable
from tests.serving.faults.processes import COMMAND, limited

COPY = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"
SAVE = """
import sys
from pathlib import Path
from tests.serving.faults.pair import write_servable
write_servable(Path(sys.argv[1]), 2)
"""
ROOT = Path(__file__).parents[3]


def run(*command: object, bytes_a_file: int | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command on a disk that takes so many bytes a file."""
    words = [*map(str, command)]
    if bytes_a_file is not None:
        words = limited("RLIMIT_FSIZE", bytes_a_file, *words)
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture
def folder(shop: Path, tmp_path: Path) -> Path:
    """`servables/tiny` and `indexes/tiny` of the test's own."""
    shutil.copytree(shop, tmp_path / "shop")
    return tmp_path / "shop"


@pytest.fixture
def embedded(folder: Path) -> Iterator[Server]:
    settings = ServerSettings(folder / "servables" / NAME, port=0, poll_interval_s=0.05)
    with running(settings) as server:
        yield server


@pytest.fixture
def retrieval(folder: Path, encoder: Server) -> Iterator[RetrievalServer]:
    settings = RetrievalSettings(
        folder / "indexes" / NAME, encoder=f"localhost:{encoder.port}", port=0, poll_interval_s=0.05
    )
    with running_retrieval(settings) as server:
        yield server


def index_searched(caller: Caller) -> str:
    _, call = caller.prediction.Predict.with_call(request_of(sequences([[101]])), timeout=30)
    return str(dict(call.trailing_metadata())["tfrec-index-version"])


def rejected(server: Any) -> float:
    return server.metrics.registry.get_sample_value("tfrec_versions_rejected_total", {"name": NAME}) or 0.0


def test_an_index_that_the_disk_has_no_room_for(
    folder: Path,
    retrieval: RetrievalServer,
    connect: Callable[[int], Caller],
    eventually: Callable[..., None],
) -> None:
    index, caller = folder / "indexes" / NAME, connect(retrieval.port)
    (folder / "sold.csv").write_text(f"item_id\n{INT_IDS[1]}\n", encoding="utf-8")
    command = [*COMMAND, "index", "--out", index, "--remove", folder / "sold.csv"]
    full = run(*command, bytes_a_file=200)
    assert full.returncode == 2
    assert "Nothing was left behind." in " ".join(full.stderr.split())
    assert "Traceback" not in full.stderr
    assert [path.name for path in index.iterdir()] == ["1"]
    assert index_searched(caller) == "1"
    assert run(*command).returncode == 0
    eventually(lambda: index_searched(caller) == "2")
    assert INT_IDS[1] not in caller.predict(sequences([[103]]))["item_id"]


def test_a_servable_that_the_disk_has_no_room_for(
    folder: Path, embedded: Server, connect: Callable[[int], Caller], eventually: Callable[..., None]
) -> None:
    servable, caller = folder / "servables" / NAME, connect(embedded.port)
    full = run(sys.executable, "-c", SAVE, servable, bytes_a_file=1000)
    assert full.returncode != 0
    assert [path.name for path in servable.iterdir()] == ["1"]
    assert caller.predict(sequences([[101]])).version == 1
    write_servable(servable, 2)
    eventually(lambda: caller.predict(sequences([[101]])).version == 2)
    assert rejected(embedded) == 0


@pytest.mark.parametrize(("part", "bytes_a_file"), [("indexes", 200), ("servables", 4000)])
def test_a_copy_that_the_disk_cuts_off(
    folder: Path,
    embedded: Server,
    retrieval: RetrievalServer,
    connect: Callable[[int], Caller],
    eventually: Callable[..., None],
    tmp_path: Path,
    part: str,
    bytes_a_file: int,
) -> None:
    """Whoever copies without a rename leaves half a version, which is reported and harms nobody."""
    server: Any = embedded if part == "servables" else retrieval
    caller, versions = connect(server.port), folder / part / NAME
    copied = run(sys.executable, "-c", COPY, versions / "1", versions / "2", bytes_a_file=bytes_a_file)
    assert "File too large" in copied.stderr
    eventually(lambda: rejected(server) >= 1)
    assert caller.predict(sequences([[101]])).version == 1
    shutil.rmtree(versions / "2")
    assert caller.predict(sequences([[101]])).version == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_log_that_cannot_be_written_stops_no_answer(
    form: str, shop: Path, start_process: StartProcess, tmp_path: Path
) -> None:
    """With every option that a connection has on the command line, so that they are seen to arrive."""
    authority = make_pair(tmp_path, "authority")
    server, client = (make_pair(tmp_path, name, authority) for name in ("server", "client"))
    options = (
        *("--log-format", form, "--log-requests", "--max-connection-age-s", 300),
        *("--tls-cert", server.certificate, "--tls-key", server.key),
        *("--tls-client-ca", authority.certificate),
    )
    ours = ("--encoder-cert", client.certificate, "--encoder-key", client.key)
    tls = Tls(authority.certificate, client.certificate, client.key)
    with Path("/dev/full").open("w") as full:
        embedded = start_process("serve", shop / "servables" / NAME, *options, stderr=full)
        encoder = ("--encoder", f"localhost:{embedded.port}", "--encoder-tls", authority.certificate, *ours)
        retrieval = start_process("retrieval", shop / "indexes" / NAME, *encoder, *options, stderr=full)
        for process in (embedded, retrieval):
            target = f"localhost:{process.port}"
            with Recommender(target, tls=tls, timeout_s=60) as recommender:
                assert [recommender.recommend([103], 1)[0].item for _ in range(20)] == [103] * 20
            # Failures write more: a line of the server's, and gRPC's own.
            credentials = tls.credentials()
            with grpc.secure_channel(target, credentials) as channel:
                call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict").future(b"\xff")
                assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
        for process in (retrieval, embedded):
            process.popen.terminate()
            assert process.popen.wait(60) == 0
