import json
import shutil
import sys
from pathlib import Path

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
