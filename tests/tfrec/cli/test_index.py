"""`tfrec index` and `tfrec retrieval`, as people call them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from serving.client import Recommender
from tests.tfrec.made import K, Made
from tfrec.cli.index import register
from tfrec.errors import DataError, MissingExtraError, SettingsError
from tfrec.export import export
from tfrec.index.folder import load_newest
from tfrec.index.id_files import read_item_ids


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`run(argument, …)`: the command; what it raises is not turned into words."""
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    register(app)
    return lambda *arguments: CliRunner().invoke(app, [str(one) for one in arguments])


def test_an_index_is_built_and_changed(made: Made, run: Callable[..., Result], tmp_path: Path) -> None:
    model, out = made.folder / "model", tmp_path / "indexes" / "shop"
    built = run(model, "--out", out, "--kind", "scann", "--leaves", 4, "--recall", 0.9, "--filter", "colour")
    assert built.exit_code == 0, built.output
    assert "recall@10" in built.output
    assert "of 4 leaves" in built.output
    frame = pd.DataFrame({"item_id": [900], "colour": ["red"], "tags": [["a"]], "price": [1.0]})
    frame.to_parquet(tmp_path / "items.parquet")
    added = run(model, "--out", out, "--add", tmp_path / "items.parquet")
    assert "1 added, 0 removed" in added.output
    (tmp_path / "gone.csv").write_text("item_id,why\n900,sold out\n")
    removed = run("--out", out, "--remove", tmp_path / "gone.csv")
    assert removed.exit_code == 0, removed.output
    index = load_newest(out)
    assert (index.info.version, index.info.items, index.info.added) == (3, len(made.dataset.catalogue), 0)
    assert index.info.columns == ("colour",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "x"], "name the model's folder"),
        (["m", "--out", "x", "--add", "a.csv", "--remove", "b.csv"], "expected one of them"),
        (["m", "--out", "x", "--add", "a.csv", "--leaves", "3"], "keeps the settings"),
        (["m", "--out", "x", "--reorder", "0"], None),
    ],
)
def test_bad_calls(
    made: Made, run: Callable[..., Result], arguments: list[str], words: str | None, tmp_path: Path
) -> None:
    given = [str(made.folder / "model") if one == "m" else one for one in arguments]
    if words is None:
        given, words = [*given, "--kind", "scann"], "reorder: Input should be greater than or equal to 1"
    found = run(*[str(tmp_path / one) if one == "x" else one for one in given])
    assert isinstance(found.exception, SettingsError)
    assert words in str(found.exception)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "item\n3\n", "no column item_id; found item"),
        ("a.csv", "item_id\n3\nx\n", "line 3: item_id: expected a whole number, found 'x'"),
        ("a.csv", "item_id\n", "holds no items"),
        ("a.parquet", "nothing", "no Parquet file"),
        ("none.csv", None, "cannot be read"),
    ],
)
def test_bad_lists_of_items(name: str, content: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=words):
        read_item_ids(path, text=False)


def test_lists_of_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"item_id": ["a", "b"], "x": [1, 2]}).to_parquet(path)
    assert read_item_ids(path, text=True) == ["a", "b"]
    (tmp_path / "a.csv").write_text("x,item_id\n1,007\n")
    assert read_item_ids(tmp_path / "a.csv", text=True) == ["007"]
    assert read_item_ids(tmp_path / "a.csv", text=False) == [7]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"tfrec\[prepare\]"):
        read_item_ids(path, text=True)


def test_the_server_as_a_program(made: Made, run: Callable[..., Result], tmp_path: Path) -> None:
    """Both in one process, ended by SIGTERM; and a call without an encoder."""
    out = tmp_path / "indexes" / "shop"
    run(made.folder / "model", "--out", out)
    export(made.folder / "model", tmp_path / "servables" / "shop", k=K)
    words = [sys.executable, "-c", "from tfrec.cli import main; main()", "retrieval", str(out), "--port", "0"]
    surroundings = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    process: Any = subprocess.Popen(
        [*words, "--servable", str(tmp_path / "servables" / "shop")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=surroundings,
    )
    with process:
        told = process.stdout.readline()
        assert told.startswith("shop is retrieved on 127.0.0.1:"), told
        context = {"device": "phone", "dwell": None}
        with Recommender(told.split()[-1], timeout_s=60) as client:
            assert len(client.recommend([{"item": 101, "context": context}], 5)) == 5
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    done = subprocess.run(words, capture_output=True, text=True, env=surroundings, check=False)
    assert done.returncode == 2
    assert "expected one of them" in " ".join(done.stderr.split())
