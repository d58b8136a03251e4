"""Processes that die while a log is prepared in parts, and disks that are full."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dask
import pandas as pd
import psutil
import pytest
from distributed import Client, LocalCluster

from data_prep.on_dask.workers import Workers
from tests.data_prep.engines import assert_same, in_memory
from tests.waiting import until
from tfrec.errors import DataError

DEADLINE_S = 120
HERE = "127.0.0.1:0"


def test_a_lost_worker_costs_time_alone(cluster: LocalCluster, tmp_path: Path) -> None:
    """One of the processes is killed while pieces are exchanged."""
    in_memory("completejourney", [], tmp_path / "memory")
    out = tmp_path / "parts"
    code = (
        "import data_prep\n"
        f"dask = data_prep.DaskOptions(scheduler={cluster.scheduler_address!r},"
        " partitions=5, piece_rows=90000)\n"
        f"data_prep.prepare('completejourney', [], {str(out)!r}, engine='dask', dask=dask)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    until(lambda: list(tmp_path.glob(".parts.parts-*/*.events")), DEADLINE_S, lambda: process.poll() is None)
    victim = next(iter(cluster.workers.values())).pid
    os.kill(victim, signal.SIGKILL)
    assert process.wait(DEADLINE_S) == 0
    assert_same(out, tmp_path / "memory")


def test_killed_it_leaves_no_half_dataset_and_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from tfrec.cli import main; main()", "prepare"]
    command += [
        "--source",
        "completejourney",
        "--engine",
        "dask",
        "--workers",
        "2",
        "--partitions",
        "2",
        "--out",
        str(tmp_path / "dataset"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(
        lambda: list(tmp_path.glob(".dataset.parts-*/*.events")), DEADLINE_S, lambda: process.poll() is None
    )
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert not psutil.wait_procs(children, timeout=DEADLINE_S)[1]
    assert not (tmp_path / "dataset").exists()
    subprocess.run(command, check=True, capture_output=True)
    in_memory("completejourney", [], tmp_path / "memory")
    assert_same(tmp_path / "dataset", tmp_path / "memory")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "memory"]


def test_a_part_that_kills_its_workers_is_said() -> None:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=HERE, silence_logs=50) as own,
        Client(own, set_as_default=False) as client,
        pytest.raises(DataError, match=r"died again and again.*--memory.*--partitions"),
    ):
        Workers(client).map(os._exit, [1])


def test_a_full_disk_leaves_nothing(
    small_disk: Path, tmp_path: Path, shop_log: Callable[..., pd.DataFrame]
) -> None:
    shop_log(users=3000, days=40).to_csv(tmp_path / "log.csv", index=False)
    command = [
        sys.executable,
        "-c",
        "from tfrec.cli import main; main()",
        "prepare",
        str(tmp_path / "log.csv"),
    ]
    command += [
        "--engine",
        "dask",
        "--workers",
        "1",
        "--partitions",
        "2",
        "--out",
        str(small_disk / "dataset"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = " ".join(done.stderr.split())
    assert done.returncode == 2, said
    assert "working on parts of the log" in said
    assert "No space left on device" in said
    assert list(small_disk.iterdir()) == []
