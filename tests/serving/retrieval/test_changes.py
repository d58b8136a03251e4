"""What changes while a retrieval server runs: indexes, models, the encoder, load."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pandas as pd
import pytest
from grpc_health.v1 import health_pb2

from serving.retrieval.server import RetrievalServer, running
from serving.retrieval.settings import RetrievalSettings
from serving.server import ServerSettings
from serving.server import running as running_embedded
from tests.serving.callers import Caller, request_of
from tests.serving.retrieval.conftest import Start
from tests.serving.retrieval.test_answers import asked_of
from tests.tfrec.made import K, Made
from tfrec.errors import DataError, SettingsError
from tfrec.export import export
from tfrec.index.changes import remove
from tfrec.index.folder import load_newest, write_index
from tfrec.indexing import index_model
from tfrec.new_items import index_new_items

SERVING, NOT_SERVING = (getattr(health_pb2.HealthCheckResponse, name) for name in ("SERVING", "NOT_SERVING"))
SERVE = "from tfrec.cli import main; main()"
Eventually = Callable[[Callable[[], Any]], None]


@pytest.fixture
def index(made: Made, tmp_path: Path) -> Path:
    """An index of its own for each test."""
    index_model(made.folder / "model", tmp_path / "indexes" / "shop", filters=["colour"], quiet=True)
    return tmp_path / "indexes" / "shop"


def health(caller: Caller) -> int:
    return caller.health.Check(health_pb2.HealthCheckRequest(), timeout=10).status


def searched(caller: Caller, made: Made) -> str:
    """The version of the index that a request was answered by."""
    _, call = caller.prediction.Predict.with_call(request_of(asked_of(made), name="shop"), timeout=30)
    return dict(call.trailing_metadata())["tfrec-index-version"]


def test_items_come_and_go_while_it_serves(
    made: Made,
    index: Path,
    encoder: Any,
    start: Start,
    calls: Callable[[int], Caller],
    eventually: Eventually,
    tmp_path: Path,
) -> None:
    caller = calls(start(index, encoder=f"localhost:{encoder.port}").port)
    inputs = asked_of(made)
    users = len(inputs["length"])
    frame = {"item_id": [900, 901], "colour": ["red", None], "tags": [["a"], []], "price": [3.0, np.nan]}
    index_new_items(made.folder / "model", index, pd.DataFrame(frame))
    eventually(lambda: searched(caller, made) == "2")
    new = np.tile(np.array([900, 901]), (users, 1))
    found = caller.predict(inputs | {"allow_item_id": new}, name="shop")
    assert {*found["item_id"][:, :2].ravel().tolist()} == {900, 901}
    query = caller.predict(
        {name: value for name, value in inputs.items() if name not in ("exclude_item_id", "allow_item_id")},
        name="shop",
        signature="encode",
    )["query_embedding"]
    held = load_newest(index)
    embedding = held.embeddings(held.rows(np.array([900, 901])))
    expected = np.sort(query @ embedding.T, axis=1)[:, ::-1]
    np.testing.assert_allclose(found["score"][:, :2], expected, rtol=1e-4)
    first = caller.predict(inputs, name="shop")["item_id"][0, 0]
    remove(index, [int(first), 901])
    eventually(lambda: searched(caller, made) == "3")
    found = caller.predict(inputs, name="shop")["item_id"]
    assert first not in found
    assert 901 not in found
    # What somebody has had of the new items can come again, as the log's items can.
    had = dict(inputs)
    had["item_id"] = np.where(had["item_id"] >= 0, had["item_id"], 0)
    had["item_id"][:, 0] = 900
    only = caller.predict(had | {"allow_item_id": new}, name="shop")["item_id"]
    assert (only[:, 0] == 900).all()


def test_swaps_under_load_fail_nothing(
    made: Made, index: Path, encoder: Any, start: Start, calls: Callable[[int], Caller]
) -> None:
    server = start(index, encoder=f"localhost:{encoder.port}")
    caller = calls(server.port)
    request = request_of(asked_of(made), name="shop")
    expected = caller.predict(asked_of(made), name="shop")["item_id"]
    seen, failed, stop = set(), [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                response, call = caller.prediction.Predict.with_call(request, timeout=30)
                seen.add(dict(call.trailing_metadata())["tfrec-index-version"])
                found = np.frombuffer(response.outputs["item_id"].tensor_content, np.int64)
                assert (found.reshape(expected.shape) == expected).all()
            except Exception as error:
                failed.append(error)

    def wait_for(version: str) -> None:
        last = time.monotonic() + 60
        while version not in seen and not failed:
            assert time.monotonic() < last, f"version {version} was never searched"

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        for version in range(2, 22):
            wait_for(str(version - 1))
            index_model_again(index, version)
        wait_for("21")
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    assert failed == []
    assert {str(version) for version in range(1, 22)} <= seen


def index_model_again(index: Path, version: int) -> None:
    """The newest version once more, as the next one."""
    newest = load_newest(index)
    newest.info = newest.info.model_copy(update={"version": version})
    write_index(newest, index, base_of=index / str(version - 1))


def test_damaged_versions_are_left_alone(
    made: Made,
    index: Path,
    encoder: Any,
    start: Start,
    calls: Callable[[int], Caller],
    eventually: Eventually,
) -> None:
    server = start(index, encoder=f"localhost:{encoder.port}")
    caller = calls(server.port)
    (index / "2").mkdir()
    (index / "6").write_text("no folder")
    (index / "3").mkdir()
    (index / "3" / "index.json").write_text("{")
    index_model(made.folder / "model", index, version=4, quiet=True)
    eventually(lambda: searched(caller, made) == "4")
    file = index / "5"
    index_model(made.folder / "model", file.parent / "away", version=5, quiet=True)
    damaged = file.parent / "away" / "5" / "base" / "embedding.npy"
    damaged.write_bytes(damaged.read_bytes()[:-8])
    (file.parent / "away" / "5").rename(file)
    rejected = 'tfrec_versions_rejected_total{name="shop"}'
    eventually(lambda: sample(server, rejected) >= 3)
    assert searched(caller, made) == "4"
    assert sample(server, 'tfrec_index_version{index="shop"}') == 4
    # One that is copied file by file is taken when it is whole.
    index_model(made.folder / "model", file.parent / "away", version=7, quiet=True)
    whole = file.parent / "away" / "7"
    (index / "7").mkdir()
    shutil.copy2(whole / "index.json", index / "7" / "index.json")
    eventually(lambda: sample(server, rejected) >= 4)
    shutil.copytree(whole, index / "7", dirs_exist_ok=True)
    eventually(lambda: searched(caller, made) == "7")


def sample(server: RetrievalServer, name: str) -> float:
    """A value as Prometheus would read it."""
    from prometheus_client import generate_latest

    lines = generate_latest(server.metrics.registry).decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


def test_a_pair_that_does_not_fit_is_refused(
    made: Made,
    index: Path,
    encoder: Any,
    start: Start,
    calls: Callable[[int], Caller],
    eventually: Eventually,
    tmp_path: Path,
) -> None:
    """The same weights, saved another time, are another model as far as anybody can tell."""
    other = tmp_path / "other"
    saved_again(made, other)
    index_model(other, tmp_path / "strange", quiet=True)
    caller = calls(start(tmp_path / "strange", name="shop", encoder=f"localhost:{encoder.port}").port)
    assert health(caller) == NOT_SERVING
    code, text = caller.refusal(asked_of(made), name="shop")
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "Build an index of that model" in text
    # The index of the encoder's model appears beside it: both spaces can be searched now.
    index_model(made.folder / "model", tmp_path / "strange", quiet=True)
    eventually(lambda: health(caller) == SERVING)
    assert caller.predict(asked_of(made), name="shop")["item_id"].shape[1] == K
    servable = made.folder / "served" / "servables" / "shop"
    index_model(other, tmp_path / "alone", quiet=True)
    with (
        pytest.raises(DataError, match="Build an index of that model"),
        running(RetrievalSettings(tmp_path / "alone", servable=servable, port=0)),
    ):
        pass


def saved_again(made: Made, folder: Path, times: int = 1) -> None:
    """The model in a file that differs."""
    shutil.copytree(made.folder / "model", folder)
    with (folder / "model.keras").open("ab") as file:
        file.write(b"\0" * times)


def test_the_encoder_and_the_index_switch_models_one_after_the_other(
    made: Made,
    index: Path,
    start: Start,
    calls: Callable[[int], Caller],
    eventually: Eventually,
    tmp_path: Path,
) -> None:
    """At no moment is a request refused: the server searches the index of whichever model embeds."""
    folder = tmp_path / "servables" / "shop"
    export(made.folder / "model", folder, k=K)
    other = tmp_path / "other"
    saved_again(made, other)
    with running_embedded(ServerSettings(folder, port=0, poll_interval_s=0.05)) as embedded:
        server = start(index, encoder=f"localhost:{embedded.port}")
        caller = calls(server.port)
        assert searched(caller, made) == "1"
        index_model(other, index, quiet=True)
        assert searched(caller, made) == "1"
        export(other, folder, k=K)
        eventually(lambda: searched(caller, made) == "2")
        assert health(caller) == SERVING
        # Two more models are indexed before the encoder takes them: its own index stays.
        for number, name in enumerate(("third", "fourth"), 3):
            saved_again(made, tmp_path / name, number)
            index_model(tmp_path / name, index, quiet=True)
            eventually(lambda number=number: max(server.indexes.versions) == number + 0)
            assert searched(caller, made) == "2"
        assert server.indexes.versions == [4, 2]


@contextlib.contextmanager
def killed_and_back(made: Made, port: int) -> Iterator[subprocess.Popen[str]]:
    """A real process that serves the servable on a port."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SERVE,
            "serve",
            str(made.folder / "served" / "servables" / "shop"),
            "--port",
            str(port),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        assert process.stdout is not None
        assert "serves on" in process.stdout.readline()
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("fallback", ["none", "popular", "last-known"])
def test_the_encoder_is_lost_and_comes_back(
    made: Made,
    start: Start,
    calls: Callable[[int], Caller],
    eventually: Eventually,
    fallback: str,
    unused_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    port = unused_port()
    shop_index = tmp_path / "indexes" / "shop"
    index_model(made.folder / "model", shop_index, quiet=True)
    server = start(shop_index, encoder=f"localhost:{port}", fallback=fallback)
    version = server.indexes.newest.info.version
    caller = calls(server.port)
    assert health(caller) == NOT_SERVING
    code, text = caller.refusal(asked_of(made), name="shop")
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "the encoder at" in text
    inputs = asked_of(made)
    with killed_and_back(made, port):
        eventually(lambda: health(caller) == SERVING and _answers(caller, inputs))
        before = caller.predict(inputs, name="shop")["item_id"]
    if fallback == "none":
        eventually(lambda: health(caller) == NOT_SERVING)
        assert caller.refusal(inputs, name="shop")[0] is grpc.StatusCode.UNAVAILABLE
    else:
        popular = made.dataset.items.values
        request = request_of(
            inputs | {"exclude_item_id": np.tile(popular[:1], (len(before), 1))}, name="shop"
        )
        response, call = caller.prediction.Predict.with_call(request, timeout=30)
        assert dict(call.trailing_metadata())["tfrec-fallback"] == "true"
        found = np.frombuffer(response.outputs["item_id"].tensor_content, np.int64).reshape(before.shape)
        np.testing.assert_array_equal(found, np.tile(popular[1 : K + 1], (len(before), 1)))
        remove(shop_index, [int(popular[5])])
        eventually(lambda: server.indexes.newest.info.version > version)
        again = caller.predict(inputs, name="shop")["item_id"]
        assert popular[5] not in again
        index_model(made.folder / "model", shop_index, quiet=True)
        eventually(lambda: server.indexes.newest.info.version > version + 1)
        again = caller.predict(inputs, name="shop")
        known = before if fallback == "last-known" else np.tile(popular[:K], (len(before), 1))
        np.testing.assert_array_equal(again["item_id"], known)
        assert health(caller) == SERVING
    with killed_and_back(made, port):
        eventually(lambda: _answers(caller, inputs) and health(caller) == SERVING)
        np.testing.assert_array_equal(caller.predict(inputs, name="shop")["item_id"], before)


def _answers(caller: Caller, inputs: dict[str, np.ndarray]) -> bool:
    """Whether the encoder takes part in an answer."""
    try:
        _, call = caller.prediction.Predict.with_call(request_of(inputs, name="shop"), timeout=30)
    except grpc.RpcError:
        return False
    return "tfrec-fallback" not in dict(call.trailing_metadata())


def test_an_encoder_that_hangs_is_not_there(
    made: Made,
    shop: Path,
    start: Start,
    calls: Callable[[int], Caller],
    eventually: Eventually,
    unused_port: Callable[[], int],
) -> None:
    port = unused_port()
    server = start(
        shop / "indexes" / "shop", encoder=f"localhost:{port}", fallback="popular", encoder_timeout_s=0.5
    )
    caller = calls(server.port)
    inputs = asked_of(made)
    live = health_pb2.HealthCheckRequest(service="live")
    with killed_and_back(made, port) as process:
        eventually(lambda: health(caller) == SERVING and _answers(caller, inputs))
        process.send_signal(signal.SIGSTOP)
        try:
            assert not _answers(caller, inputs)
            assert caller.health.Check(live, timeout=10).status == SERVING
        finally:
            process.send_signal(signal.SIGCONT)
        eventually(lambda: _answers(caller, inputs))


def test_overload_and_deadlines(
    made: Made,
    index: Path,
    encoder: Any,
    start: Start,
    calls: Callable[[int], Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from serving.retrieval import retriever

    arrived, go = threading.Event(), threading.Event()
    searches = []

    def held(*arguments: Any) -> Any:
        searches.append(1)
        arrived.set()
        assert go.wait(60)
        return find(*arguments)

    find = retriever.find
    monkeypatch.setattr(retriever, "find", held)
    server = start(index, encoder=f"localhost:{encoder.port}", max_users=3, searches=1)
    caller = calls(server.port)
    one = {name: value[:1] for name, value in asked_of(made).items()}
    first = caller.prediction.Predict.future(request_of(one, name="shop"), timeout=60)
    assert arrived.wait(60)
    late = caller.prediction.Predict.future(request_of(one, name="shop"), timeout=1)
    assert late.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
    # Nobody waits for it any more, so it makes room, and is not searched.
    two = {name: value[:2] for name, value in asked_of(made).items()}
    waiting = caller.prediction.Predict.future(request_of(two, name="shop"), timeout=60)
    codes = {caller.refusal(two, name="shop")[0] for _ in range(1)}
    assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    go.set()
    assert len(first.result().outputs) == len(waiting.result().outputs) == 2
    assert len(searches) == 2
    assert sample(server, 'tfrec_stage_seconds_count{stage="search"}') == 2
    assert sample(server, 'tfrec_stage_seconds_count{stage="encode"}') >= 3


def test_with_a_remote_encoder_there_is_no_tensorflow(shop: Path, encoder: Any, made: Made) -> None:
    script = f"""
import sys, grpc
from pathlib import Path
from serving.retrieval.server import running
from serving.retrieval.settings import RetrievalSettings
index, encoder = Path({str(shop / "indexes" / "shop")!r}), "localhost:{encoder.port}"
settings = RetrievalSettings(index, encoder=encoder, port=0)
with running(settings) as server:
    from serving.client import Recommender
    with Recommender(f"localhost:{{server.port}}", timeout_s=30) as client:
        context = {{"device": "phone", "dwell": None}}
        assert len(client.recommend([{{"item": 101, "context": context}}], 5)) == 5
heavy = {{"tensorflow", "keras", "pandas", "pyarrow", "tensorflow_serving"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_bad_settings_are_refused(shop: Path, tmp_path: Path) -> None:
    index = shop / "indexes" / "shop"
    with pytest.raises(SettingsError, match="expected one of them"):
        RetrievalSettings(index)
    with pytest.raises(SettingsError, match="expected one of them"):
        RetrievalSettings(index, encoder="a:1", servable=tmp_path)
    with pytest.raises(SettingsError, match="max_users: expected at least 1"):
        RetrievalSettings(index, encoder="a:1", max_users=0)
    with pytest.raises(SettingsError, match="needs no TLS"):
        RetrievalSettings(index, servable=tmp_path, encoder_tls=tmp_path)
    with (
        pytest.raises(DataError, match="holds no version"),
        running(RetrievalSettings(tmp_path, encoder="a:1")),
    ):
        pass
