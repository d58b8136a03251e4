"""A log in parts, prepared by worker processes, becomes the dataset that it becomes in memory."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from distributed import LocalCluster
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import data_prep
from data_prep import DaskOptions, PrepareOptions
from data_prep.on_dask import workers
from data_prep.text import read_text, read_text_in_pieces
from tests.data_prep.engines import QUIET, assert_same, in_memory, in_parts
from tfrec.errors import DataError, SettingsError

A_DAY = 86_400


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


def test_a_missing_column_is_named(cluster: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item,timestamp\n1,2,1600000000\n")
    with pytest.raises(DataError, match=r"no column 'item_id'.*Did you mean 'item'"):
        in_parts(cluster, "log", [tmp_path / "log.csv"], tmp_path / "out")


def test_no_scheduler_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ANSWER_S", 0.5)
    dask = DaskOptions(scheduler="tcp://127.0.0.1:1")
    with pytest.raises(SettingsError, match=r"tcp://127.0.0.1:1: no Dask scheduler answers"):
        data_prep.prepare("completejourney", [], tmp_path / "out", console=QUIET, engine="dask", dask=dask)
