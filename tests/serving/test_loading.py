import gc
import json
import shutil
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from serving.loading import load_servable
from tfrec.errors import DataError


@pytest.fixture
def version(int_folder: Path, tmp_path: Path) -> Path:
    """A version of the test's own."""
    return Path(shutil.copytree(int_folder / "1", tmp_path / "1"))


def test_a_folder_that_is_none_of_ours(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "1"))
    with pytest.raises(DataError, match="is no servable of tfrec"):
        load_servable(tmp_path / "1")


def test_a_missing_graph(version: Path) -> None:
    (version / "saved_model.pb").unlink()
    with pytest.raises(DataError, match=r"it has no saved_model\.pb"):
        load_servable(version)


def test_a_graph_that_is_no_message(version: Path) -> None:
    (version / "saved_model.pb").write_bytes(b"\xff" * 100)
    with pytest.raises(DataError, match=r"cannot be read.*export it again"):
        load_servable(version)


def test_missing_variables(version: Path) -> None:
    shutil.rmtree(version / "variables")
    with pytest.raises(DataError, match="cannot be loaded"):
        load_servable(version)


def test_ops_that_do_not_load(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = version / "assets" / "servable.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"retrieval": "scann"}))
    monkeypatch.setitem(sys.modules, "scann", None)
    with pytest.raises(DataError, match=r"searches with ScaNN, whose ops do not load here.*Install scann"):
        load_servable(version)


def test_a_version_that_is_closed_is_gone(version: Path, sequences: Callable[..., Any]) -> None:
    servable = load_servable(version)
    inputs = sequences([[101]])
    assert servable.run("recommend", inputs)["item_id"].shape[0] == 1
    graph = weakref.ref(servable.session._session.graph)
    gc.disable()
    try:
        servable.close()
        with pytest.raises(KeyError):
            servable.run("recommend", inputs)
        del servable
        assert graph() is None  # at once: the garbage collector seldom comes by in a server
    finally:
        gc.enable()


def test_a_version_that_does_not_load_leaves_nothing(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(version / "variables")
    graphs: list[weakref.ref[tf.Graph]] = []
    session = tf.compat.v1.Session

    def noted(graph: tf.Graph, **options: Any) -> Any:
        graphs.append(weakref.ref(graph))
        return session(graph=graph, **options)

    monkeypatch.setattr(tf.compat.v1, "Session", noted)
    with pytest.raises(DataError):
        load_servable(version)
    gc.collect()
    assert [graph() for graph in graphs] == [None]
