"""Small logs on disk."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from distributed import LocalCluster
from rich.console import Console

import data_prep
from data_prep import PrepareOptions
from tfrec.dataset import Dataset

QUIET = Console(quiet=True)
HERE = "127.0.0.1:0"


@pytest.fixture(scope="session")
def shop_log() -> Callable[..., pd.DataFrame]:
    """`shop_log(users=…, days=…)`: every user has a session of three items a day."""
    return _shop_log


def _shop_log(users: int = 4, days: int = 4) -> pd.DataFrame:
    rows = [
        (f"u{user}", (user * 7 + day + place) % 11, 1_600_000_000 + day * 86_400 + user * 3600 + place * 60)
        for user in range(users)
        for day in range(days)
        for place in range(3)
    ]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., Dataset]:
    """`prepared(frame, **options)` writes a CSV, prepares it and returns the dataset."""

    def run(frame: pd.DataFrame, **options: object) -> Dataset:
        path, out = tmp_path / "log.csv", tmp_path / "dataset"
        frame.to_csv(path, index=False)
        chosen = PrepareOptions.model_validate(options)
        data_prep.prepare("log", [path], out, chosen, overwrite=True, console=QUIET)
        return Dataset.load(out)

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 64 KiB."""
    if shutil.which("mount") is None:
        pytest.skip("there is no mount")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only who may mount can make a disk that fills up")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """Two worker processes."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=HERE, silence_logs="ERROR") as own:
        yield own
