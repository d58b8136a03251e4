"""Datasets that grow with their logs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from tfrec.cli.prepare import register
from tfrec.dataset import Dataset

Shop = Callable[..., pd.DataFrame]
OPTIONS = ["--split", "global_time", "--split-days", "1", "--min-item-events", "2", "--shards", "2"]


def invoke(*words: str | Path) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


def tfrec(*words: str | Path) -> str:
    done = invoke(*words)
    assert done.exit_code == 0, repr(done.exception)
    return done.output


def refused(*words: str | Path) -> str:
    done = invoke(*words)
    assert done.exception is not None
    return str(done.exception)


@pytest.fixture
def days(shop_log: Shop, tmp_path: Path) -> list[Path]:
    """A log in two files: five days, and four more with an item that is new."""
    events = shop_log(users=5, days=9)
    late = events.timestamp >= events.timestamp.min() + 5 * 86_400
    events.loc[late & (events.item_id == 3), "item_id"] = 77
    (tmp_path / "log").mkdir()
    files = [tmp_path / "log" / name for name in ("old.csv", "new.csv")]
    events[~late].to_csv(files[0], index=False)
    events[late].to_csv(files[1], index=False)
    return files


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_it_is_the_dataset_of_the_whole_log(days: list[Path], tmp_path: Path) -> None:
    whole, grows = tmp_path / "whole", tmp_path / "grows"
    tfrec("prepare", *days, "--out", whole, *OPTIONS)
    tfrec("prepare", days[0], "--out", grows, *OPTIONS)
    assert 77 not in Dataset.load(grows).items.values
    said = tfrec("prepare", days[1], "--onto", grows)
    assert "grown by 60 events, 0 users, " in said
    assert tree(grows) == tree(whole)
    assert 77 in Dataset.load(grows).items.values


def test_another_folder_leaves_the_older_one(days: list[Path], tmp_path: Path) -> None:
    older, newer = tmp_path / "older", tmp_path / "newer"
    tfrec("prepare", days[0], "--out", older, *OPTIONS)
    before = tree(older)
    tfrec("prepare", days[1], "--onto", older, "--out", newer, "--split", "last_session")
    assert tree(older) == before
    assert Dataset.load(newer).schema.split == "last_session"
    assert Dataset.load(newer).schema.shards == 2


def test_a_folder_of_files_is_read_again_with_what_came_to_it(days: list[Path], tmp_path: Path) -> None:
    later = days[1].rename(tmp_path / "later.csv")
    tfrec("prepare", tmp_path / "log", "--out", tmp_path / "dataset")
    first = Dataset.load(tmp_path / "dataset").schema.counts.events
    later.rename(days[1])
    tfrec("prepare", "--onto", tmp_path / "dataset")
    assert Dataset.load(tmp_path / "dataset").schema.counts.events == first + 60


def test_log_and_dataset_can_be_moved_together(
    days: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "log").rename(tmp_path / "here" / "log")
    items = pd.DataFrame({"item_id": np.arange(11), "colour": ["red", "blue"] * 5 + ["red"]})
    items.to_csv(tmp_path / "here" / "items.csv", index=False)
    monkeypatch.chdir(tmp_path / "here")
    tfrec("prepare", "log/old.csv", "--out", "dataset", "--items", "items.csv")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").rename(tmp_path / "there")
    tfrec("prepare", "there/log/new.csv", "--onto", "there/dataset")
    assert [f.name for f in Dataset.load(tmp_path / "there" / "dataset").schema.item_features] == ["colour"]


def test_what_cannot_grow_is_said(days: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    tfrec("prepare", days[0], "--out", out)
    before = tree(out)
    assert "is of source log" in refused("prepare", days[1], "--onto", out, "--source", "movielens")
    days[0].rename(tmp_path / "gone.csv")
    assert "old.csv: no such file" in refused("prepare", days[1], "--onto", out)
    assert tree(out) == before
    (out / "recipe.json").write_text("{", encoding="utf-8")
    assert "recipe.json cannot be read" in refused("prepare", days[1], "--onto", out)
    (out / "recipe.json").unlink()
    assert "has no recipe.json" in refused("prepare", days[1], "--onto", out)
