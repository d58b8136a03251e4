"""Several replicas and processes train the model that one would."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.tfrec.test_training import PLAIN, TRAIN
from tests.tfrec.test_training import SETTINGS as SMALL
from tests.waiting import until
from tfrec.errors import SettingsError
from tfrec.schema import FIRST_ROW
from tfrec.settings_file import load_settings
from tfrec.trained import TrainedModel
from tfrec.training import train

# Gradients are clipped by their length, which one process takes before an item's rows are summed. Without
# that and without chance in layers nothing but the order of sums is left.
SETTINGS = (
    *SMALL,
    *PLAIN,
    "model.dropout=0",
    "model.id_dropout=0",
    "training.clip_norm=1000000",
    "training.epochs=3",
    "training.patience=9",
    "training.xla=false",
)
ON_TWO_CPUS = """
import sys, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tfrec.cli import main
main()
"""
DEADLINE_S = 300


@pytest.fixture(scope="module")
def alone(rich_folder: Path) -> TrainedModel:
    return train(rich_folder, rich_folder.parent / "alone", load_settings(None, SETTINGS), quiet=True)


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


def start_two(
    rich_folder: Path, out: Path, *more: str, words: Sequence[str] = ()
) -> list[subprocess.Popen[str]]:
    """Two processes of a cluster that train one model, the chief first."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    options = [f"--set={s}" for s in (*SETTINGS, *more)]
    command = [*TRAIN, str(rich_folder), "--out", str(out), "--strategy", "multiworker", *options, *words]
    return [
        subprocess.Popen(
            command,
            env={
                **os.environ,
                "TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": {"index": i}}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(2)
    ]


def assert_same(one: TrainedModel, other: TrainedModel) -> None:
    for ours, theirs in zip(one.model.weights, other.model.weights, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-4, err_msg=ours.path)
    for ours, theirs in zip(one.training["history"], other.training["history"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert ours["val_ndcg@10"] == pytest.approx(theirs["val_ndcg@10"], abs=0.01)


def test_two_devices_of_a_machine(rich_folder: Path, alone: TrainedModel) -> None:
    out = rich_folder.parent / "mirrored"
    command = [sys.executable, "-c", ON_TWO_CPUS, "train", str(rich_folder), "--out", str(out), "--strategy"]
    options = [f"--set={s}" for s in SETTINGS]
    done = subprocess.run(
        [*command, "mirrored", *options], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same(TrainedModel.load(out), alone)


def kill_one_of(processes: Sequence[subprocess.Popen[str]], out: Path) -> None:
    """Kills the second of two workers after the first epoch; the other says what to do, and ends."""
    chief, other = processes
    checkpoints = out.parent / f".{out.name}.training" / "checkpoints"
    until(
        lambda: list(checkpoints.glob("epoch-*")),
        DEADLINE_S,
        lambda: chief.poll() is None or pytest.fail(chief.communicate()[0]),
    )
    other.send_signal(signal.SIGKILL)
    said, _ = chief.communicate(timeout=DEADLINE_S)
    other.communicate()
    if chief.returncode == 0:
        pytest.fail("the chief was done before the other worker was killed")
    assert "worker 0 of 2 stops" in said
    assert "goes on from the last checkpoint" in said
    assert not out.exists()


def test_two_processes(rich_folder: Path, alone: TrainedModel) -> None:
    out = rich_folder.parent / "workers"
    for process in start_two(rich_folder, out):
        said, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, said
    assert_same(TrainedModel.load(out), alone)
    assert not (rich_folder.parent / ".workers.training").exists()


def test_workers_hold_tables_together(rich_folder: Path, alone: TrainedModel) -> None:
    """As sparse updates of one process, clipped and averaged; one of them is killed on the way."""
    more = ("training.sparse_updates=true", "loss.negatives=sampled", "training.clip_norm=0.5")
    more = (*more, "training.average=0.2")
    # Each worker draws its rows by itself: what they begin with is given.
    begin, out = rich_folder.parent / "alone", rich_folder.parent / "sharded"
    asked = load_settings(None, [*SETTINGS, *more])
    one = train(rich_folder, rich_folder.parent / "sparse", asked, quiet=True, begin_from=begin)
    words = ("--from", str(begin))
    kill_one_of(start_two(rich_folder, out, *more, words=words), out)
    for process in start_two(rich_folder, out, *more, words=words):
        said, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, said
    two = TrainedModel.load(out)
    assert two.training["begun_with"] == {"items": alone.facts.items.size - FIRST_ROW, "new_items": 0}
    for ours, theirs in zip(two.model.weights, one.model.weights, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5, err_msg=ours.path)
    for ours, theirs in zip(two.training["history"], one.training["history"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
        assert ours["val_ndcg@10"] == pytest.approx(theirs["val_ndcg@10"], abs=1e-6)


def test_workers_share_users_and_tables(rich_folder: Path, alone: TrainedModel) -> None:
    """What is counted is counted in all of the log; each learns from its users, and both ask the same."""
    out = rich_folder.parent / "portions"
    more = ("training.share_users=true", "training.sparse_updates=true", "loss.negatives=sampled")
    for process in start_two(rich_folder, out, *more, "training.epochs=2"):
        said, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, said
    found = TrainedModel.load(out)
    np.testing.assert_allclose(found.model.target_share, alone.model.target_share, rtol=1e-6)
    ours, theirs = (trained.model.query_tower.rules for trained in (found, alone))
    np.testing.assert_allclose(ours.weight, theirs.weight, rtol=1e-5)
    np.testing.assert_allclose(ours.total, theirs.total, rtol=1e-5)
    first, last = (entry["loss"] for entry in found.training["history"])
    assert last < first
    assert found.training["history"][-1]["val_ndcg@10"] > 0.3


def test_rows_that_cannot_be_shared_are_refused(rich_folder: Path) -> None:
    from tfrec.distribution.workers import Workers

    workers = Workers()
    workers.replicas = 3
    with pytest.raises(SettingsError, match=r"training.rows is 4.*multiple of 3"):
        train(rich_folder, rich_folder.parent / "three", load_settings(None, SETTINGS), workers=workers)
