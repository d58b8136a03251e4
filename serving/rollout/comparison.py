"""How far the answers of two versions differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.rollout.answers import Answer

_LEAST_SHARED = 3
"""Of fewer items an order says little."""


@dataclass(frozen=True)
class Comparison:
    """Answers to the same requests, of the newer version beside the current version.

    Attributes:
        users: how many have an answer of both versions, and items from one of them at least.
        k: how many of the best answers count for the overlap.
        overlap: mean over users of the share of the current version's k best items that the newer one has
            among its k best.
        worst_overlap: the least of them.
        worst_request: whose it is.
        score_drift: mean over shared items of all users of |score - score|; None where none is shared.
        rank_correlation: mean over users of Spearman's correlation of the shared items' places; None where
            no user has three shared items.
    """

    users: int
    k: int
    overlap: float
    worst_overlap: float
    worst_request: str
    score_drift: float | None
    rank_correlation: float | None


def compare(newer: Sequence[Answer], current: Sequence[Answer], k: int) -> Comparison | None:
    """Compares answers to the same requests; None where there is nothing to compare.

    Args:
        newer: a request's answer each.
        current: the same requests' answers, in the same order.
        k: how many of the best answers count for the overlap.
    """
    answered = [
        (_scored(ours), _scored(theirs), ours.path)
        for ours, theirs in zip(newer, current, strict=True)
        if ours.refusal is None and theirs.refusal is None
    ]
    pairs = [(ours, theirs, path) for ours, theirs, path in answered if ours or theirs]
    if not pairs:
        return None
    overlaps = [overlap(list(ours), list(theirs), k) for ours, theirs, _ in pairs]
    shared = [
        np.array([(ours[item], theirs[item]) for item in ours if item in theirs]).reshape(-1, 2)
        for ours, theirs, _ in pairs
    ]
    drifts = np.concatenate([np.abs(scores[:, 0] - scores[:, 1]) for scores in shared])
    orders = [
        (np.array([place for place, item in enumerate(ours) if item in theirs]), _places(ours, theirs))
        for ours, theirs, _ in pairs
    ]
    correlations = [rank_correlation(a, b) for a, b in orders if len(a) >= _LEAST_SHARED]
    worst = int(np.argmin(overlaps))
    return Comparison(
        users=len(pairs),
        k=k,
        overlap=float(np.mean(overlaps)),
        worst_overlap=overlaps[worst],
        worst_request=pairs[worst][2],
        score_drift=float(drifts.mean()) if drifts.size else None,
        rank_correlation=float(np.mean(correlations)) if correlations else None,
    )


def overlap(ours: Sequence[object], theirs: Sequence[object], k: int) -> float:
    """The share of their k best that is among our k best; 0 where they have none."""
    best = set(theirs[:k])
    return len(best & set(ours[:k])) / max(1, len(best))


def rank_correlation(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Spearman's correlation of two orders of the same n > 1 items, by 1 - 6 Σd² / (n (n² - 1)).

    Args:
        a: [n] places without ties; only their order counts.
        b: [n] places of the same items in another order.
    """
    n = len(a)
    distance = np.argsort(np.argsort(a)) - np.argsort(np.argsort(b))
    return 1 - 6 * float((distance.astype(np.float64) ** 2).sum()) / (n * (n**2 - 1))


def _scored(answer: Answer) -> dict[int | bytes, float]:
    """Item: score, best first, each at its first place; places without an item have no finite score."""
    scored: dict[int | bytes, float] = {}
    for item, score in zip(answer.items, answer.scores.tolist(), strict=True):
        if np.isfinite(score):
            scored.setdefault(item, score)
    return scored


def _places(ours: dict[int | bytes, float], theirs: dict[int | bytes, float]) -> NDArray[np.int64]:
    """Where they have our items that they have."""
    place = {item: at for at, item in enumerate(theirs)}
    return np.array([place[item] for item in ours if item in place], np.int64)
