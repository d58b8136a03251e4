"""Metrics of scores among given candidates: how well labels are told apart and predicted.

Shapes: N candidates in all, in I lists; list i's are `offsets[i]:offsets[i + 1]`. Lists whose labels are all
the same say nothing of an order, and have NaN.
"""

import numpy as np

EPSILON = 1e-7
"""No probability counts as nearer to 0 or 1 in the log loss."""


def ranks(score: np.ndarray, offsets: np.ndarray, seed: int = 0) -> np.ndarray:
    """Returns each candidate's place in its list, from 1, the best: [N] int64. Ties are drawn by lot."""
    of_list = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    lot = np.random.default_rng(seed).permutation(len(score))
    order = np.lexsort((lot, -score, of_list))
    place = np.empty(len(score), np.int64)
    place[order] = np.arange(len(score)) - offsets[of_list[order]] + 1
    return place


def auc(score: np.ndarray, label: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Returns the share of pairs whose candidate with the label is above, ties for half: [I] float64.

    Of one list of all candidates (offsets 0 and N) it is the AUC itself.
    """
    of_list = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((score, of_list))
    # The middle of the places of those with one score.
    opens = np.ones(len(score), bool)
    opens[1:] = (np.diff(score[order]) != 0) | (np.diff(of_list[order]) != 0)
    tie = np.cumsum(opens) - 1
    sizes = np.bincount(tie)
    first = np.flatnonzero(opens) - offsets[of_list[order][opens]]
    middle = np.empty(len(score))
    middle[order] = (first + (sizes + 1) / 2)[tie]
    have = _sums(label, offsets)
    lack = np.diff(offsets) - have
    above = _sums(middle * label, offsets) - have * (have + 1) / 2
    return _ratio(above, have * lack)


def mrr(rank: np.ndarray, label: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Returns the mean of 1 / rank over the candidates with the label: [I] float64."""
    have = _sums(label, offsets)
    return _ratio(_sums(label / rank, offsets), np.where(have < np.diff(offsets), have, 0))


def ndcg(rank: np.ndarray, label: np.ndarray, offsets: np.ndarray, k: int) -> np.ndarray:
    """Returns the discounted gain of the best k, as a share of the highest possible: [I] float64."""
    have = _sums(label, offsets)
    gain = _sums(np.where(rank <= k, label / np.log2(rank + 1.0), 0.0), offsets)
    best = np.append(0, np.cumsum(1 / np.log2(np.arange(1, k + 1) + 1.0)))
    ideal = best[np.minimum(have, k).astype(np.int64)]
    return _ratio(gain, np.where(have < np.diff(offsets), ideal, 0))


def log_loss(probability: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Returns the mean of -log of the probability of what came: a float.

    Args:
        probability, label: [N].
        weight: [N] what each counts; None: alike.
    """
    p = np.clip(probability.astype(np.float64), EPSILON, 1 - EPSILON)
    return float(-np.average(np.where(label > 0, np.log(p), np.log1p(-p)), weights=weight))


def number_errors(predicted: np.ndarray, number: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Returns rmse, mae, and r2: 1 - squared errors / squared distances to the mean; 0 where all are equal.

    Args:
        predicted, number, weight: [N].
    """
    error = predicted.astype(np.float64) - number
    square = np.average(error**2, weights=weight)
    variance = np.average((number - np.average(number, weights=weight)) ** 2, weights=weight)
    return {
        "rmse": float(np.sqrt(square)),
        "mae": float(np.average(np.abs(error), weights=weight)),
        "r2": float(1 - square / variance) if variance > 0 else 0.0,
    }


def calibration(
    probability: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None, bins: int = 10
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns mean probability, share of labels and weight, [bins], of bins of as many candidates each.

    Args: as `log_loss`.
    """
    weight = np.ones(len(label)) if weight is None else weight
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, max(len(order), 1))) if len(part)]
    return (
        np.array([np.average(probability[part], weights=weight[part]) for part in parts]),
        np.array([np.average(label[part], weights=weight[part]) for part in parts]),
        np.array([weight[part].sum() for part in parts]),
    )


def calibration_error(
    probability: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None, bins: int = 10
) -> float:
    """Returns the mean distance between predicted and found shares.

    The expected calibration error of Naeini et al. 2015, with bins of as many candidates each.

    Args: as `log_loss`.
    """
    predicted, found, count = calibration(probability, label, weight, bins)
    return float(np.sum(np.abs(predicted - found) * count) / max(count.sum(), EPSILON))


def _sums(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sums over lists, of which some may be empty: [I]."""
    return np.diff(np.append(0.0, np.cumsum(values, dtype=np.float64))[offsets])


def _ratio(value: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.divide(value, by, out=np.full(len(value), np.nan), where=by > 0)
