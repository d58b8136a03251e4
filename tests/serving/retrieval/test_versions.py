"""Versions of an index that appear while the server runs."""

import asyncio
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from serving.retrieval import indexes as index_versions
from serving.retrieval.indexes import Indexes
from tests.serving.callers import request_of
from tests.serving.retrieval.asking import MODEL, Asked, Eventually, asked_of
from tests.tfrec.made import Made
from tests.waiting import until
from tfrec.index.changes import remove
from tfrec.index.folder import load_newest, write_index
from tfrec.index.index import Index
from tfrec.indexing import index_model
from tfrec.new_items import index_new_items

REJECTED = 'tfrec_versions_rejected_total{name="shop"}'


def test_items_come_and_go(made: Made, index: Path, asked: Asked, eventually: Eventually) -> None:
    inputs = asked_of(made)
    frame = {"item_id": [900, 901], "colour": ["red", None], "tags": [["a"], []], "price": [3.0, np.nan]}
    index_new_items(made.folder / "model", index, pd.DataFrame(frame), inherit=0)
    eventually(lambda: asked.searched(inputs) == 2)
    new = np.tile(np.array([900, 901]), (len(inputs["length"]), 1))
    found = asked.predict(inputs | {"allow_item_id": new})
    assert {*found["item_id"][:, :2].ravel().tolist()} == {900, 901}
    sequence = {
        name: value
        for name, value in inputs.items()
        if not name.endswith(("exclude_item_id", "allow_item_id"))
    }
    query = asked.predict(sequence, signature="encode")["query_embedding"]
    held = load_newest(index)
    embedding = held.embeddings(held.rows(np.array([900, 901])))
    expected = np.sort(query @ embedding.T, axis=1)[:, ::-1]
    np.testing.assert_allclose(found["score"][:, :2], expected, rtol=1e-4)
    first = asked.predict(inputs)["item_id"][0, 0]
    remove(index, [int(first), 901])
    eventually(lambda: asked.searched(inputs) == 3)
    left = asked.predict(inputs)["item_id"]
    assert first not in left
    assert 901 not in left
    # What somebody has had of the new items can come again, as the log's items can.
    had = inputs | {"item_id": inputs["item_id"].copy()}
    had["item_id"][:, 0] = 900
    assert (asked.predict(had | {"allow_item_id": new})["item_id"][:, 0] == 900).all()


def test_swaps_under_load_fail_nothing(made: Made, index: Path, asked: Asked) -> None:
    request = request_of(asked_of(made), name=MODEL)
    expected = asked.predict(asked_of(made))["item_id"]
    seen: set[int] = set()
    failed: list[Exception] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                response, call = asked.caller.prediction.Predict.with_call(request, timeout=30)
                seen.add(int(dict(call.trailing_metadata())["tfrec-index-version"]))
                found = np.frombuffer(response.outputs["item_id"].tensor_content, np.int64)
                assert (found.reshape(expected.shape) == expected).all()
            except Exception as error:
                failed.append(error)

    def wait_for(version: int) -> None:
        until(lambda: version in seen or failed, 60)

    askers = [threading.Thread(target=keep_asking) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        for version in range(1, 21):
            wait_for(version)
            newest = load_newest(index)
            newest.info = newest.info.model_copy(update={"version": version + 1})
            write_index(newest, index, base_of=index / str(version))
        wait_for(21)
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    assert failed == []
    assert seen == set(range(1, 22))


def test_a_version_that_goes_meanwhile_is_no_bad_one(made: Made, index: Path) -> None:
    """Whoever tidies a folder up may do so between a look at it and the reading of what it held."""
    rejected: list[int] = []
    indexes = Indexes(index, on_reject=lambda: rejected.append(1))
    loads = index_versions.load_index
    index_model(made.folder / "model", index, version=2, quiet=True)

    def gone(folder: Path) -> Index:
        if folder.name == "2":
            shutil.rmtree(folder)
        return loads(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_versions, "load_index", gone)
        asyncio.run(indexes.look())
    assert (indexes.versions, rejected) == ([1], [])


def test_damaged_versions_are_left_alone(
    made: Made, index: Path, asked: Asked, eventually: Eventually
) -> None:
    model, away, inputs = made.folder / "model", index.parent / "away", asked_of(made, 1)
    (index / "2").mkdir()
    (index / "6").write_text("no folder")
    (index / "3").mkdir()
    (index / "3" / "index.json").write_text("{")
    index_model(model, index, version=4, quiet=True)
    eventually(lambda: asked.searched(inputs) == 4)
    index_model(model, away, version=5, quiet=True)
    damaged = away / "5" / "base" / "embedding.npy"
    damaged.write_bytes(damaged.read_bytes()[:-8])
    (away / "5").rename(index / "5")
    eventually(lambda: asked.sample(REJECTED) >= 3)
    assert asked.searched(inputs) == 4
    assert asked.sample('tfrec_index_version{index="shop"}') == 4
    # One that is copied file by file is taken when it is whole.
    index_model(model, away, version=7, quiet=True)
    (index / "7").mkdir()
    shutil.copy2(away / "7" / "index.json", index / "7" / "index.json")
    eventually(lambda: asked.sample(REJECTED) >= 4)
    shutil.copytree(away / "7", index / "7", dirs_exist_ok=True)
    eventually(lambda: asked.searched(inputs) == 7)
