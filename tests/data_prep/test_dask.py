"""A log in parts, prepared by worker processes, becomes the dataset that it becomes in memory."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from distributed import LocalCluster
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

import data_prep
from data_prep import DaskOptions, PrepareOptions, engines
from data_prep.on_dask import workers
from data_prep.sizes import free_memory, memory_needed
from data_prep.sources import source_named
from data_prep.text import read_text, read_text_in_pieces
from tfrec.errors import DataError, SettingsError

QUIET = Console(quiet=True)
DEADLINE_S = 120
A_DAY = 86_400


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two worker processes."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs="ERROR") as own:
        yield own


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


@pytest.mark.parametrize("partitions", [1, 2, 7])
def test_a_real_log(cluster: LocalCluster, tmp_path: Path, partitions: int) -> None:
    in_memory("completejourney", [], tmp_path / "memory")
    in_parts(cluster, "completejourney", [], tmp_path / "parts", partitions=partitions, rows=400_000)
    assert_same(tmp_path / "parts", tmp_path / "memory")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["memory", "parts"]


@st.composite
def logs(draw: st.DrawFn) -> tuple[pd.DataFrame, PrepareOptions]:
    rows = draw(st.integers(30, 200))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    frame = pd.DataFrame(
        {
            "user": rng.integers(0, 12, rows),
            "item": rng.integers(0, 15, rows),
            "time": draw(st.sampled_from([1_600_000_000, 1_600_000_000_000]))
            + rng.integers(0, 9, rows) * A_DAY,
            "kind": rng.choice(["view", "buy", ""], rows),
            "visit": rng.integers(0, 4, rows),
            "price": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
            "place": rng.choice(["home", "list", ""], rows),
        }
    )
    if draw(st.booleans()):
        frame["user"] = "ü" + frame["user"].astype(str)
    if draw(st.booleans()):
        frame["time"] = np.arange(rows)  # positions
    options = PrepareOptions(
        user="user",
        item="item",
        time="time",
        event=draw(st.sampled_from([None, "kind"])),
        session=draw(st.sampled_from([None, "visit"])),
        context=draw(st.sampled_from([{}, {"price": "auto", "place": "auto"}])),
        ordered_sessions=draw(st.booleans()),
        once_per_session=draw(st.booleans()),
        drop_repeats=draw(st.booleans()),
        min_item_events=draw(st.integers(1, 4)),
        min_user_events=draw(st.integers(1, 4)),
        max_events_a_day=draw(st.sampled_from(["auto", "none", 9])),
        max_rejected_share=1,
        split=draw(st.sampled_from(["last_session", "leave_one_out", "none"])),
        shards=draw(st.integers(1, 3)),
    )
    return frame, options


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs(), partitions=st.integers(1, 5), files=st.integers(1, 3))
def test_any_log(
    cluster: LocalCluster,
    tmp_path: Path,
    log: tuple[pd.DataFrame, PrepareOptions],
    partitions: int,
    files: int,
) -> None:
    frame, options = log
    folder = tmp_path / "log"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for number, rows in enumerate(np.array_split(np.arange(len(frame)), files)):
        if number == 1:
            frame.iloc[rows].to_parquet(folder / "1.parquet", row_group_size=30)
        else:
            frame.iloc[rows].to_csv(folder / f"{number}.csv", index=False)
    refused = None
    try:
        in_memory("log", [folder], tmp_path / "memory", options)
    except DataError as error:
        refused = str(error)
    if refused is None:
        in_parts(cluster, "log", [folder], tmp_path / "parts", options, partitions)
        assert_same(tmp_path / "parts", tmp_path / "memory")
    else:
        with pytest.raises(DataError, match=re.escape(refused)):
            in_parts(cluster, "log", [folder], tmp_path / "parts", options, partitions)


def test_rows_that_cannot_be_read_keep_their_numbers(cluster: LocalCluster, tmp_path: Path) -> None:
    rows = (f"u{row % 7},{row % 11},{1_600_000_000 + row * 4000}" for row in range(300))
    lines = [b"user_id,item_id,timestamp", *(row.encode() for row in rows)]
    for row, text in ((3, b"u1,2"), (40, b"u1,,1600000000"), (41, b"a,b,c,d"), (42, b"u\xff,1,1600000000")):
        lines[row] = text
    for row in (170, 299, 300):
        lines[row] = b"u1,1,never"
    (tmp_path / "log.csv").write_bytes(b"\n".join(lines) + b"\n")
    in_memory("log", [tmp_path / "log.csv"], tmp_path / "memory")
    in_parts(cluster, "log", [tmp_path / "log.csv"], tmp_path / "parts")
    assert_same(tmp_path / "parts", tmp_path / "memory")
    rejected = pd.read_parquet(tmp_path / "parts" / "rejected.parquet")
    assert sorted(rejected["row_number"]) == [4, 41, 42, 43, 171, 300, 301]
    strict = PrepareOptions(max_rejected_share=0.01)
    with pytest.raises(DataError, match=r"7 of 300 rows cannot be read.*item_id is missing") as error:
        in_parts(cluster, "log", [tmp_path / "log.csv"], tmp_path / "strict", strict)
    with pytest.raises(DataError) as expected:
        in_memory("log", [tmp_path / "log.csv"], tmp_path / "strict", strict)
    assert str(error.value).split(" For example")[0] == str(expected.value).split(" For example")[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "memory", "parts"]


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_pieces_of_text_are_the_text(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "log.csv"
    lines = ["a,b", *(f"{n},x{n}" if n % 5 else f"{n}" for n in range(40)), "broken"]
    path.write_text("\n".join(lines))
    whole, pieces = read_text(path), list(read_text_in_pieces(path, ["a", "b"], rows))
    assert [row for piece in pieces for row in piece.table.to_pylist()] == whole.table.to_pylist()
    assert [line for piece in pieces for line in piece.broken] == whole.broken
    numbers = [piece.row_numbers(np.arange(piece.table.num_rows)) for piece in pieces]
    assert np.concatenate(numbers).tolist() == whole.row_numbers(np.arange(whole.table.num_rows)).tolist()


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
    limit = time.monotonic() + DEADLINE_S
    while not list(tmp_path.glob(".parts.parts-*/*.events")):
        assert process.poll() is None
        assert time.monotonic() < limit
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
    limit = time.monotonic() + DEADLINE_S
    while not list(tmp_path.glob(".dataset.parts-*/*.events")):
        assert process.poll() is None
        assert time.monotonic() < limit
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert not psutil.wait_procs(children, timeout=DEADLINE_S)[1]
    assert not (tmp_path / "dataset").exists()
    subprocess.run(command, check=True, capture_output=True)
    in_memory("completejourney", [], tmp_path / "memory")
    assert_same(tmp_path / "dataset", tmp_path / "memory")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "memory"]


def test_a_missing_column_is_named(cluster: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item,timestamp\n1,2,1600000000\n")
    with pytest.raises(DataError, match=r"no column 'item_id'.*Did you mean 'item'"):
        in_parts(cluster, "log", [tmp_path / "log.csv"], tmp_path / "out")


def test_no_scheduler_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ANSWER_S", 0.5)
    dask = DaskOptions(scheduler="tcp://127.0.0.1:1")
    with pytest.raises(SettingsError, match=r"tcp://127.0.0.1:1: no Dask scheduler answers"):
        data_prep.prepare("completejourney", [], tmp_path / "out", console=QUIET, engine="dask", dask=dask)


def test_what_needs_the_whole_log_is_refused(tmp_path: Path) -> None:
    for source, change in (("judge", {}), ("completejourney", {"sampled_impressions": {"negatives": 3}})):
        options = PrepareOptions.model_validate(source_named(source).defaults.model_dump() | change)
        with pytest.raises(SettingsError, match=r"--engine dask works on parts.*--engine pandas"):
            data_prep.prepare(source, [tmp_path], tmp_path / "out", options, console=QUIET, engine="dask")


def test_a_log_beyond_memory_is_worked_on_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = source_named("completejourney")
    console = Console(record=True, width=200, file=(tmp_path / "screen").open("w"))

    def chosen(options: PrepareOptions = known.defaults) -> str:
        return engines.chosen_engine("auto", known, [], options, console)

    need = memory_needed(known.files([], known.defaults))
    assert 1_469_307 * 100 < need < 1_469_307 * 1000
    assert chosen() == "pandas"
    monkeypatch.setattr(engines, "free_memory", lambda: 2 * need - 2)
    assert chosen() == "dask"
    assert "Dask works on parts of it" in console.export_text()
    sampled = PrepareOptions.model_validate({"sampled_impressions": {"negatives": 3}})
    assert chosen(sampled) == "pandas"
    assert "statistics of impressions are counted over all of it" in console.export_text()


def test_memory_of_a_container_is_what_its_limit_leaves(tmp_path: Path) -> None:
    for name, text in (("max", "1000000"), ("current", "700000"), ("stat", "anon 1\ninactive_file 200000")):
        (tmp_path / f"memory.{name}").write_text(text + "\n")
    assert free_memory(tmp_path) == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(tmp_path) > 500_000
