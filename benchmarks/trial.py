"""One training, timed, and scored by the judge: what `accuracy` and `ablation` share."""

import resource
import statistics
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from benchmarks import judge
from tfrec import metrics
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.run import MONITOR, SECONDS
from tfrec.slices import query_slices
from tfrec.training import train

CUTOFF = 10


class Budget(keras.callbacks.Callback):
    """Ends a training with the last epoch that fits into its time.

    Args:
        seconds: wall time, validation included; the epoch that would end beyond it is not begun.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch_began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        now = time.perf_counter()
        if now - self.began + (now - self.epoch_began) > self.seconds:
            self.model.stop_training = True


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
        budget_s: see `Budget`.
        quiet: no progress bars of the training.
    """
    times = [time.perf_counter()]
    trained = train(folder / "dataset", folder / "model", settings, quiet=quiet, callbacks=[Budget(budget_s)])
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
        "epoch_train_s": [round(entry[SECONDS], 1) for entry in facts["history"]],
        "val_ndcg@10": [round(entry[MONITOR], 5) for entry in facts["history"]],
        "parameters": facts["parameters"],
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def epoch_seconds(history: list[dict[str, float]]) -> float:
    """Seconds of training an epoch, the median; the first, which compiles, counts only where it is alone."""
    seconds = [entry[SECONDS] for entry in history]
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
