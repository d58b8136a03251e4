"""One training, timed, and scored by the judge: what `accuracy`, `ablation` and `curves` share."""

import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from benchmarks import judge
from tfrec import metrics, training
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.run import Run
from tfrec.slices import query_slices
from tfrec.trained import TrainedModel

TRAIN_S = "train_s"
"""In the history of a training: seconds in the steps of an epoch, compilation included, validation not."""

CUTOFF = 10


class TimedRun(Run):
    """A run whose history holds `TRAIN_S`, and which ends after the first epoch beyond its time.

    Args:
        budget_s: wall time, validation included; the epoch that would end beyond it is not begun.
        arguments: of `Run`.
    """

    def __init__(self, *arguments: Any, budget_s: float = float("inf"), **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.budget_s = budget_s

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch_began = time.perf_counter()
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {} if logs is None else logs
        logs[TRAIN_S] = time.perf_counter() - self.epoch_began
        super().on_epoch_end(epoch, logs)
        now = time.perf_counter()
        if now - self.began + (now - self.epoch_began) > self.budget_s:
            self.trained.stop_training = True


def train_timed(
    dataset: Path, out: Path, settings: Settings, budget_s: float = float("inf"), *, quiet: bool = False
) -> TrainedModel:
    """Trains as `tfrec.training.train` does, with the seconds of each epoch in the history."""
    with _timed(budget_s):
        return training.train(dataset, out, settings, quiet=quiet)


@contextmanager
def _timed(budget_s: float) -> Iterator[None]:
    """Inside, `train` makes timed runs: it takes no callbacks, and a loop of our own would drift from it."""

    def timed_run(*arguments: Any, **named: Any) -> TimedRun:
        return TimedRun(*arguments, budget_s=budget_s, **named)

    with mock.patch.object(training, "Run", timed_run):
        yield


def run_trial(
    dataset: str,
    folder: Path,
    settings: Settings,
    role: str,
    budget_s: float = float("inf"),
    quiet: bool = False,
) -> dict[str, Any]:
    """Trains on `folder/dataset`, lets the judge score the answers, and returns the figures.

    Args:
        dataset: the judge's name of the log.
        folder: what `judge.prepare` has written; `folder/model` and answers are written beside it.
        settings: of the run.
        role: "test" or "val".
        budget_s: see `TimedRun`.
        quiet: no progress bars of the training.
    """
    times = [time.perf_counter()]
    trained = train_timed(folder / "dataset", folder / "model", settings, budget_s, quiet=quiet)
    times.append(time.perf_counter())
    queries = Dataset.load(folder / "dataset").in_rows_of(trained.facts)
    found = judge.score(dataset, trained.model, queries, folder, role)
    times.append(time.perf_counter())
    train_s, answer_s = np.diff(times)
    facts = trained.training
    return {
        **found,
        "slices": ndcg_by_slice(queries, pd.read_parquet(folder / "answers.parquet"), role),
        "train_s": round(float(train_s), 1),
        "answer_s": round(float(answer_s), 1),
        "epoch_s": round(epoch_seconds(facts["history"]), 2),
        "epochs": facts["epochs"],
        "best_epoch": facts["best_epoch"],
        "val_ndcg@10": [round(entry["val_ndcg@10"], 5) for entry in facts["history"]],
        "parameters": facts["parameters"],
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def epoch_seconds(history: list[dict[str, float]]) -> float:
    """Seconds of training an epoch, the median; the first, which compiles, counts only where it is alone."""
    seconds = [entry[TRAIN_S] for entry in history]
    return statistics.median(seconds[1:] or seconds)


def ndcg_by_slice(queries: Dataset, answers: pd.DataFrame, role: str) -> dict[str, dict[str, list[float]]]:
    """Returns [NDCG@10, queries] by slice and bucket, as `tfrec.slices` cuts them.

    Args:
        queries: that were asked.
        answers: columns event_id, item_id (raw) and rank.
        role: of the queried events.
    """
    sequences = queries.sequences
    at = np.flatnonzero(sequences.is_role(role))
    known = queries.items.rows(answers.item_id.to_numpy())
    targets = pd.Series(sequences.item[at], index=sequences.event_id[at])
    hits = answers[targets.loc[answers.event_id].to_numpy() == known]
    rank = hits.set_index("event_id")["rank"].reindex(sequences.event_id[at]).to_numpy(float)
    gain = metrics.ndcg(np.nan_to_num(rank, nan=np.inf), CUTOFF)
    return {
        name: {label: [round(float(gain[mask].mean()), 5), int(mask.sum())] for label, mask in masks.items()}
        for name, masks in query_slices(sequences, at).items()
    }
