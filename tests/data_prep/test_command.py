"""`tfrec prepare` as a process: killed, out of space, out of permission."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import data_prep
from data_prep.sources import SOURCES
from data_prep.sources.completejourney import FEATURES
from tests.waiting import until
from tfrec.dataset import Dataset
from tfrec.errors import DataError

PREPARE = [sys.executable, "-c", "from tfrec.cli import main; main()", "prepare"]
DEADLINE_S = 60


def test_killed_it_leaves_no_half_dataset(shop_log: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    shop_log(users=3000, days=40).to_csv(tmp_path / "log.csv", index=False)
    out = tmp_path / "dataset"
    command = [*PREPARE, str(tmp_path / "log.csv"), "--out", str(out), "--shards", "500"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(
        lambda: list(tmp_path.glob(".dataset.partial-*/sequences/*")),
        DEADLINE_S,
        lambda: process.poll() is None,
    )
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    subprocess.run([*command[:-1], "2"], check=True, capture_output=True)
    assert Dataset.load(out).schema.counts.events == 3000 * 40 * 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dataset", "log.csv"]


def test_a_full_disk_leaves_nothing(
    shop_log: Callable[..., pd.DataFrame], small_disk: Path, tmp_path: Path
) -> None:
    shop_log(users=3000, days=40).to_csv(tmp_path / "log.csv", index=False)
    command = [*PREPARE, str(tmp_path / "log.csv"), "--out", str(small_disk / "dataset")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "No space left on device. Nothing was left behind." in " ".join(done.stderr.split())
    assert list(small_disk.iterdir()) == []


def test_a_file_that_may_not_grow_leaves_nothing(
    shop_log: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    shop_log(users=500, days=10).to_csv(tmp_path / "log.csv", index=False)
    done = subprocess.run(
        [*PREPARE, str(tmp_path / "log.csv"), "--out", str(tmp_path / "dataset")],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert done.returncode == 2
    assert "Error:" in done.stderr
    assert "Traceback" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["log.csv"]


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = tmp_path / "log.csv"  # is not there: the place is looked at first
    with pytest.raises(DataError, match="cannot write"):
        data_prep.prepare("log", [log], tmp_path / "file" / "dataset")


AS_NOBODY = """
import os, pathlib, sys
import data_prep
os.setuid(65534)
try:
    data_prep.prepare(sys.argv[1], [*map(pathlib.Path, sys.argv[3:])], pathlib.Path(sys.argv[2]))
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("mode", [0o555, 0o700])
def test_a_folder_without_permission_is_named(mode: int) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        Path(folder).chmod(mode)
        command = [sys.executable, "-c", AS_NOBODY, "log", f"{folder}/dataset"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stderr.startswith(f"DataError: cannot write {folder}/dataset")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("source", [name for name in SOURCES if name != "completejourney"])
def test_a_log_that_may_not_be_read_is_named(source: str) -> None:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        (Path(folder) / "log.csv").write_text("user_id,item_id,timestamp\n1,2,1600000000\n")
        for log in (folder, f"{folder}/log.csv"):
            command = [sys.executable, "-c", AS_NOBODY, source, f"{place}/dataset", log]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            error = done.stderr.splitlines()[-1]
            assert error.startswith("DataError: ")
            assert folder in error


def test_errors_name_the_option(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("u,i,t,[/b]\n1,2,1600000000,0\n")
    base = [*PREPARE, str(tmp_path / "log.csv"), "--out", str(tmp_path / "dataset")]
    columns = ["--user", "u", "--item", "i", "--time", "t"]
    for options, words in (
        (["--split", "random"], "--split"),
        (["--max-events-a-day", "0"], "--max-events-a-day"),
        (["--source", "netflix"], "no source 'netflix'"),
        (["--session-gap", "0"], "--session-gap: "),
        (["--feature", "price:number"], "--feature: "),
        ([*columns, "--split", "leave_one_out"], "leaves no train event"),
        (["--user", "u", "--item", "item"], "has no column 'item'; its columns are 'u', 'i', 't', '[/b]'"),
    ):
        done = subprocess.run([*base, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert words in done.stderr.replace("\n", " ")
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "dataset").exists()


def test_flags_override_a_source_s_defaults_both_ways(tmp_path: Path) -> None:
    log = pd.DataFrame(
        {
            "household_id": ["h"] * 4,
            "basket_id": [1, 1, 1, 2],
            "product_id": [7, 7, 8, 7],
            "transaction_timestamp": pd.to_datetime(["2017-03-01"] * 3 + ["2017-03-02"]),
        }
    )
    log.to_parquet(tmp_path / "transactions.parquet")
    pd.DataFrame({"product_id": [7, 8], **dict.fromkeys(FEATURES, "x")}).to_parquet(
        tmp_path / "products.parquet"
    )

    def events(*flags: str) -> tuple[int, bool]:
        out = tmp_path / "dataset"
        command = [*PREPARE, str(tmp_path / "transactions.parquet"), "--source", "completejourney"]
        options = ["--min-item-events", "1", "--split", "none", "--overwrite", "--out", str(out), *flags]
        subprocess.run([*command, *options], check=True, capture_output=True)
        schema = Dataset.load(out).schema
        return schema.counts.events, schema.ordered_sessions

    assert events() == (3, False)
    assert events("--no-once-per-session") == (4, False)
    assert events("--no-once-per-session", "--no-keep-duplicates") == (3, False)
    assert events("--no-unordered-sessions") == (3, True)
