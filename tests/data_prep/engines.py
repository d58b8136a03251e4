"""The same log in parts and in memory."""

import json
from pathlib import Path

import pandas as pd
from distributed import LocalCluster
from rich.console import Console

import data_prep
from data_prep import DaskOptions, PrepareOptions

QUIET = Console(quiet=True)


def in_parts(
    cluster: LocalCluster,
    source: str,
    paths: list[Path],
    out: Path,
    options: PrepareOptions | None = None,
    partitions: int = 3,
    rows: int = 40,
) -> None:
    dask = DaskOptions(scheduler=cluster.scheduler_address, partitions=partitions, piece_rows=rows)
    data_prep.prepare(source, paths, out, options, overwrite=True, console=QUIET, engine="dask", dask=dask)


def in_memory(source: str, paths: list[Path], out: Path, options: PrepareOptions | None = None) -> None:
    data_prep.prepare(source, paths, out, options, overwrite=True, console=QUIET, engine="pandas")


def assert_same(found: Path, expected: Path) -> None:
    names = sorted(str(path.relative_to(expected)) for path in expected.rglob("*"))
    assert sorted(str(path.relative_to(found)) for path in found.rglob("*")) == names
    for name in names:
        if name.endswith(".parquet"):
            pd.testing.assert_frame_equal(pd.read_parquet(found / name), pd.read_parquet(expected / name))
    assert json.loads((found / "schema.json").read_text()) == json.loads(
        (expected / "schema.json").read_text()
    )
