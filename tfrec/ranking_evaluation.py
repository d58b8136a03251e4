"""How good the probabilities of candidates are, for each task: within impressions, over all, by slices."""

import numpy as np

from tfrec import ranking_metrics as metrics
from tfrec.dataset import Dataset
from tfrec.impressions import Impressions
from tfrec.model import TwoTowerModel
from tfrec.ranking_prediction import RankingPredictor
from tfrec.ranking_results import RankingEvaluation, Slice, TaskResult
from tfrec.ranking_slices import Masks, impression_slices

CUTOFFS = (5, 10)


def evaluate_ranking(
    model: TwoTowerModel, dataset: Dataset, impressions: Impressions, role: str, *, quiet: bool = False
) -> RankingEvaluation:
    """Returns the figures of a model on the impressions of a role.

    Args:
        model: with tasks of ranking.
        dataset: in the rows of the model's vocabularies.
        impressions: of the dataset, of all roles: thresholds are chosen on those of val.
        role: "test" or "val".
        quiet: no progress bars.
    """
    predictor = RankingPredictor(model, quiet=quiet)
    asked = impressions.take(np.flatnonzero(impressions.is_role(role)))
    val = impressions.take(np.flatnonzero(impressions.is_role("val")))
    probabilities = predictor(dataset, asked)
    val_probabilities = probabilities if role == "val" else predictor(dataset, val)
    slices = impression_slices(asked, dataset)
    tasks = {}
    for place, (name, task) in enumerate(model.spec.ranking.tasks.items()):
        if task.kind == "regression":
            tasks[name] = number_result(
                probabilities[:, place], asked.values[task.label], asked.weight, slices
            )
            continue
        label, of_val = asked.labels[task.label], val.labels[task.label]
        known = val_probabilities[:, place], of_val, val.weight
        threshold = best_threshold(*known) if of_val.any() else None
        tasks[name] = task_result(probabilities[:, place], label, asked, threshold, slices)
    return RankingEvaluation(
        source=dataset.schema.source,
        role=role,
        impressions=len(asked),
        candidates=len(asked.item),
        sampled=asked.stands_for is not None,
        tasks=tasks,
    )


def task_result(
    probability: np.ndarray, label: np.ndarray, asked: Impressions, threshold: float | None, slices: Masks
) -> TaskResult:
    """Returns a task's figures.

    Args:
        probability: [N] of the candidates.
        label: [N] 0 or 1.
        asked: the impressions.
        threshold: probabilities from which on the label is predicted; None: nothing is.
        slices: [I] bool by slice and bucket.
    """
    found = list_metrics(probability, label, asked.offsets, asked.user_id)
    weight = asked.weight
    found |= {
        "log_loss": metrics.log_loss(probability, label, weight),
        "calibration_error": metrics.calibration_error(probability, label, weight),
    }
    if threshold is not None:
        found |= decisions(probability >= threshold, label, weight)
    predicted, observed, _ = metrics.calibration(probability, label, weight)
    within = metrics.auc(probability, label, asked.offsets)
    return TaskResult(
        share=float(np.average(label, weights=weight)) if len(label) else 0.0,
        metrics=found,
        threshold=threshold,
        predicted=predicted.tolist(),
        observed=observed.tolist(),
        slices={
            name: {
                bucket: Slice(impressions=int(mask.sum()), auc=_mean_or_none(within[mask]))
                for bucket, mask in buckets.items()
            }
            for name, buckets in slices.items()
        },
    )


def number_result(predicted: np.ndarray, number: np.ndarray, weight: np.ndarray, slices: Masks) -> TaskResult:
    """Returns the figures of a regression.

    Args:
        predicted: [N] of the candidates.
        number: [N], NaN where there is none.
        weight: [N] of the candidates.
        slices: [I] bool by slice and bucket; there is no AUC of numbers.
    """
    known = np.isfinite(number)
    found: dict[str, float] = {}
    bins: tuple[np.ndarray, np.ndarray] = (np.zeros(0), np.zeros(0))
    if known.any():
        found = metrics.number_errors(predicted[known], number[known], weight[known])
        bins = metrics.calibration(predicted[known], number[known], weight[known])[:2]
    return TaskResult(
        kind="regression",
        share=float(np.average(known, weights=weight)) if len(known) else 0.0,
        metrics=found,
        threshold=None,
        predicted=bins[0].tolist(),
        observed=bins[1].tolist(),
        slices={
            name: {bucket: Slice(impressions=int(mask.sum()), auc=None) for bucket, mask in buckets.items()}
            for name, buckets in slices.items()
        },
    )


def list_metrics(
    score: np.ndarray, label: np.ndarray, offsets: np.ndarray, user: np.ndarray
) -> dict[str, float]:
    """Returns the metrics of an order, whatever the scores are; none where no list has both labels.

    Args:
        score: [N], higher is better.
        label: [N] 0 or 1.
        offsets: [I + 1] of lists.
        user: [I] whose each list is.
    """
    rank = metrics.ranks(score, offsets)
    found = {"auc": metrics.auc(score, label, offsets), "mrr": metrics.mrr(rank, label, offsets)}
    found |= {f"ndcg@{k}": metrics.ndcg(rank, label, offsets, k) for k in CUTOFFS}
    owner = np.repeat(np.unique(user, return_inverse=True)[1], np.diff(offsets))
    by_user = np.argsort(owner, kind="stable")
    users = np.append(0, np.cumsum(np.bincount(owner))).astype(np.int64)
    found["auc_by_user"] = metrics.auc(score[by_user], label[by_user], users)
    found["auc_overall"] = metrics.auc(score, label, np.array([0, len(score)]))
    means = {name: _mean_or_none(values) for name, values in found.items()}
    return {name: value for name, value in means.items() if value is not None}


def decisions(predicted: np.ndarray, label: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Returns precision, recall and F1 of predicting the label: [N] bool, of candidates with weights."""
    hits = float(weight[predicted & (label > 0)].sum())
    precision = hits / max(float(weight[predicted].sum()), 1.0)
    recall = hits / max(float(weight[label > 0].sum()), 1.0)
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def best_threshold(probability: np.ndarray, label: np.ndarray, weight: np.ndarray) -> float:
    """Returns the probability from which on the label is to be predicted for the highest F1."""
    order = np.argsort(-probability, kind="stable")
    counts = (label * weight)[order].astype(np.float64)
    f1 = 2 * np.cumsum(counts) / (np.cumsum(weight[order].astype(np.float64)) + counts.sum())
    # Candidates of one probability are predicted together or not at all.
    ends = np.append(np.diff(probability[order]) != 0, True)
    return float(probability[order][np.argmax(np.where(ends, f1, -1.0))])


def _mean_or_none(values: np.ndarray) -> float | None:
    """The mean of the lists that say something."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
