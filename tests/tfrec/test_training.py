"""Training: it learns, ends early, and goes on after kill -9 as if nothing had happened."""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.waiting import until
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.errors import DataError, SettingsError
from tfrec.run import MONITOR, SECONDS
from tfrec.settings_file import load_settings
from tfrec.trained import TrainedModel
from tfrec.training import train
from tfrec.validation import validation_positions

SETTINGS = (
    "model.dimensions=8",
    "model.blocks=1",
    "model.rules=4",
    "model.rule_events=2",
    "model.feed_forward=8",
    "model.max_length=15",
    "training.rows=4",
    "loss.in_batch=16",
    "loss.uniform=8",
    "training.learning_rate=0.01",
)
# Of what is learned beside the items, where that makes no difference: half of what is traced.
PLAIN = ("model.pairwise=[]", "model.item_features=false", "model.context=false")
TRAIN = [sys.executable, "-c", "from tfrec.cli import main; main()", "train"]
DEADLINE_S = 600


def settings(*more: str) -> Settings:
    """Without XLA, whose compilation takes longer than these small runs; the killed run has it."""
    return load_settings(None, [*SETTINGS, "training.xla=false", *more])


def metrics_of(entry: dict[str, float]) -> dict[str, float]:
    """An epoch's entry of the history without its seconds."""
    return {name: value for name, value in entry.items() if name != SECONDS}


def test_a_run_killed_in_the_middle_ends_with_the_same_weights(rich_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    asked = (*SETTINGS, *PLAIN, "training.epochs=4", "training.patience=9")
    options = [f"--set={setting}" for setting in asked]
    command = [*TRAIN, str(rich_folder), "--out", str(out), "--quiet", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints = tmp_path / ".killed.training" / "checkpoints"
    until(lambda: list(checkpoints.glob("epoch-000[2-3]")), DEADLINE_S, lambda: process.poll() is None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    subprocess.run(command, check=True, capture_output=True)
    whole = train(rich_folder, tmp_path / "whole", load_settings(None, asked), quiet=True)
    resumed = TrainedModel.load(out)
    for ours, theirs in zip(resumed.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)
    assert [metrics_of(entry) for entry in resumed.training["history"]] == [
        metrics_of(entry) for entry in whole.training["history"]
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["killed", "whole"]


def test_it_learns_and_stops_when_it_no_longer_does(rich_folder: Path, tmp_path: Path) -> None:
    trained = train(
        rich_folder,
        tmp_path / "model",
        settings(*PLAIN, "training.epochs=30", "training.patience=2"),
        quiet=True,
    )
    history = trained.training["history"]
    values = [entry[MONITOR] for entry in history]
    assert history[-1]["loss"] < history[0]["loss"]
    assert len(history) < 30
    assert trained.training["best_epoch"] == len(history) - 2 == int(np.argmax(values)) + 1
    # The weights are those of the best epoch: asked again, they give its metric.
    from tfrec.metrics import ndcg, target_rank
    from tfrec.prediction import Predictor

    dataset = Dataset.load(rich_folder)
    at = validation_positions(dataset, trained.settings)
    answers = Predictor(trained.model, k=10, quiet=True)(dataset, at)
    found = ndcg(target_rank(answers, dataset.sequences.item[at]), 10).mean()
    assert found == pytest.approx(max(values))
    assert (tmp_path / "model" / "logs" / "train").is_dir()
    assert json.loads((tmp_path / "model" / "training.json").read_text())["parameters"] > 0


def test_an_unfinished_run_of_other_settings_is_refused(rich_folder: Path, tmp_path: Path) -> None:
    work = tmp_path / ".model.training"
    work.mkdir()
    settings("training.epochs=5").save(work / "settings.yaml")
    (work / "dataset.json").write_text(Dataset.load(rich_folder).schema.model_dump_json(indent=1))
    with pytest.raises(SettingsError, match="--restart"):
        train(rich_folder, tmp_path / "model", settings(*PLAIN, "training.epochs=1"), quiet=True)
    train(rich_folder, tmp_path / "model", settings(*PLAIN, "training.epochs=1"), quiet=True, restart=True)
    with pytest.raises(DataError, match="exists already"):
        train(rich_folder, tmp_path / "model", settings(*PLAIN, "training.epochs=1"), quiet=True)


def test_a_full_disk_is_said_and_the_run_goes_on_later(rich_folder: Path, tmp_path: Path) -> None:
    options = [f"--set={s}" for s in (*SETTINGS, *PLAIN, "training.xla=false", "training.epochs=1")]
    command = [*TRAIN, str(rich_folder), "--out", str(tmp_path / "model"), "--quiet", *options]
    full = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)),
    )
    assert full.returncode == 2
    assert "call the same command again" in full.stderr.replace("\n", " ")
    assert "Traceback" not in full.stderr
    assert not (tmp_path / "model").exists()
    subprocess.run(command, check=True, capture_output=True)
    assert TrainedModel.load(tmp_path / "model").training["epochs"] == 1


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no dataset"):
        train(tmp_path, tmp_path / "model", settings())
    with pytest.raises(DataError, match="is no model"):
        TrainedModel.load(tmp_path)
