"""An encoder that is killed, hangs and comes back, as a real process."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np

from serving.retrieval.server import LIVE
from tests.serving.callers import Answer, request_of
from tests.serving.retrieval.asking import MODEL, NOT_SERVING, SERVING, Ask, Asked, Eventually, asked_of
from tests.tfrec.made import K, Made
from tests.tfrec.ranked import Arrays
from tfrec.index.changes import remove
from tfrec.indexing import index_model

SERVE = (sys.executable, "-c", "from tfrec.cli import main; main()", "serve")


CACHE = 'cache="last-known"'


@contextlib.contextmanager
def encoder_process(shop: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Serves the servable on a port while the block runs, and is killed then."""
    process = subprocess.Popen(
        [*SERVE, str(shop / "servables" / MODEL), "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        assert process.stdout is not None
        assert "serves on" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_encoder_is_lost_and_comes_back(
    made: Made,
    shop: Path,
    index: Path,
    ask: Ask,
    eventually: Eventually,
    tmp_path: Path,
    unused_port: Callable[[], int],
) -> None:
    """One encoder of three servers, each with an index of its own and another way to do without."""
    port, inputs = unused_port(), asked_of(made)
    indexes = {way: tmp_path / way / MODEL for way in ("none", "popular", "last-known")}
    for folder in indexes.values():
        shutil.copytree(index, folder)
    servers = {way: ask(at, encoder=f"localhost:{port}", fallback=way) for way, at in indexes.items()}
    for asked in servers.values():
        # Nothing is known yet of what was never there.
        assert asked.health() == NOT_SERVING
        code, text = asked.refusal(inputs)
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "the encoder at" in text

    def all_answer() -> bool:
        return all(asked.health() == SERVING and asked.in_full(inputs) for asked in servers.values())

    with contextlib.ExitStack() as load:
        with encoder_process(shop, port):
            eventually(all_answer)
            before = {way: asked.predict(inputs)["item_id"] for way, asked in servers.items()}
            said = {
                way: load.enter_context(asked_all_along(servers[way], inputs, before[way]))
                for way in ("none", "popular")
            }
            eventually(lambda: all(len(each) > 20 for each in said.values()))
        # It was killed while it was asked.
        eventually(lambda: servers["none"].health() == NOT_SERVING)
        assert servers["none"].refusal(inputs)[0] is grpc.StatusCode.UNAVAILABLE
        answers_without_it(made, indexes["popular"], servers["popular"], eventually, None)
        answers_without_it(
            made, indexes["last-known"], servers["last-known"], eventually, before["last-known"]
        )
        with encoder_process(shop, port):
            eventually(all_answer)
            for way, asked in servers.items():
                np.testing.assert_array_equal(asked.predict(inputs)["item_id"], before[way])
            load.close()
    assert {way: set(each) for way, each in said.items()} == {
        "none": {"answered", "UNAVAILABLE"},
        "popular": {"answered", "fallback"},
    }
    assert said["none"][-1] == said["popular"][-1] == "answered"


@contextlib.contextmanager
def asked_all_along(asked: Asked, inputs: Arrays, expected: np.ndarray) -> Iterator[list[str]]:
    """Asks from a thread while the block runs, and notes what comes of each request, in the end."""
    said: list[str] = []
    stop = threading.Event()
    request = request_of(inputs, name=MODEL)

    def outcome() -> str:
        try:
            response, call = asked.caller.prediction.Predict.with_call(request, timeout=30)
        except grpc.RpcError as error:
            return str(error.code().name)
        if "tfrec-fallback" in dict(call.trailing_metadata()):
            return "fallback"
        right = np.array_equal(Answer(response)["item_id"], expected)
        return "answered" if right else "wrong"

    def keep_asking() -> None:
        while not stop.wait(0.005):
            said.append(outcome())

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        yield said
    finally:
        stop.set()
        asking.join()


def answers_without_it(
    made: Made, index: Path, asked: Asked, eventually: Eventually, known: np.ndarray | None
) -> None:
    """Checks that what was answered last is answered again, and else what is popular; of what there is."""
    inputs, popular = asked_of(made), made.dataset.items.values
    users = len(inputs["length"])
    unasked = inputs | {"exclude_item_id": np.tile(popular[:1], (users, 1))}
    assert asked.marks(unasked)["tfrec-fallback"] == "true"
    expected = np.tile(popular[1 : K + 1], (users, 1))
    np.testing.assert_array_equal(asked.predict(unasked)["item_id"], expected)
    remove(index, [int(popular[5])])
    eventually(lambda: asked.server.indexes.versions == [2])
    assert popular[5] not in asked.predict(inputs)["item_id"]
    index_model(made.folder / "model", index, quiet=True)
    eventually(lambda: asked.server.indexes.versions == [3])
    expected = np.tile(popular[:K], (users, 1)) if known is None else known
    np.testing.assert_array_equal(asked.predict(inputs)["item_id"], expected)
    assert asked.health() == SERVING
    if known is not None:
        # Of a user each: those of `unasked`, asked twice, are new, those of `inputs`, asked twice, are known.
        found = [asked.sample(f'tfrec_cache_requests_total{{{CACHE},result="{r}"}}') for r in ("hit", "miss")]
        assert found == [2 * users, 2 * users]
        assert asked.sample(f"tfrec_cache_entries{{{CACHE}}}") == users


def test_an_encoder_that_hangs_is_not_there(
    made: Made, shop: Path, index: Path, ask: Ask, eventually: Eventually, unused_port: Callable[[], int]
) -> None:
    port, inputs = unused_port(), asked_of(made)
    asked = ask(index, encoder=f"localhost:{port}", fallback="popular", encoder_timeout_s=0.5)
    with encoder_process(shop, port) as process:
        eventually(lambda: asked.health() == SERVING and asked.in_full(inputs))
        process.send_signal(signal.SIGSTOP)
        try:
            assert not asked.in_full(inputs)
            assert asked.health(LIVE) == SERVING
        finally:
            process.send_signal(signal.SIGCONT)
        eventually(lambda: asked.in_full(inputs))
