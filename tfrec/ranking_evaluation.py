"""How good chances are: for each task, within impressions and over all candidates."""

from collections.abc import Mapping

import numpy as np

from tfrec import ranking_metrics as metrics
from tfrec.impressions import Impressions

CUTOFFS = (5, 10)


def ranking_metrics_of(
    chances: np.ndarray, labels: Mapping[str, np.ndarray], impressions: Impressions
) -> dict[str, dict[str, float]]:
    """Returns metrics by task: `auc` (mean over impressions), `auc_by_user`, `auc_overall`, `mrr`, `ndcg@5`,
    `ndcg@10`, `log_loss`, `calibration_error`.

    Args:
        chances: [N, T], tasks in the order of `labels`.
        labels: [N] 0 or 1, by task.
        impressions: I, N candidates in all.
    """
    return {
        task: list_metrics(chances[:, place], label, impressions.offsets, impressions.user_id)
        | {
            "log_loss": metrics.log_loss(chances[:, place], label),
            "calibration_error": metrics.calibration_error(chances[:, place], label),
        }
        for place, (task, label) in enumerate(labels.items())
    }


def list_metrics(
    score: np.ndarray, label: np.ndarray, offsets: np.ndarray, user: np.ndarray
) -> dict[str, float]:
    """Returns the metrics of an order, whatever the scores are; NaN where no list has both labels.

    Args:
        score: [N], higher is better.
        label: [N] 0 or 1.
        offsets: [I + 1] of lists.
        user: [I] whose each list is.
    """
    rank = metrics.ranks(score, offsets)
    found = {"auc": metrics.auc(score, label, offsets), "mrr": metrics.mrr(rank, label, offsets)}
    found |= {f"ndcg@{k}": metrics.ndcg(rank, label, offsets, k) for k in CUTOFFS}
    by_user = np.argsort(np.repeat(np.unique(user, return_inverse=True)[1], np.diff(offsets)), kind="stable")
    counts = np.bincount(np.repeat(np.unique(user, return_inverse=True)[1], np.diff(offsets)))
    users = np.append(0, np.cumsum(counts)).astype(np.int64)
    everything = np.array([0, len(score)])
    found["auc_by_user"] = metrics.auc(score[by_user], label[by_user], users)
    found["auc_overall"] = metrics.auc(score, label, everything)
    return {name: float(_mean(values)) for name, values in found.items()}


def _mean(values: np.ndarray) -> float:
    """The mean of the lists that say something."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
