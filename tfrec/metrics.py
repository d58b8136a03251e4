"""How good answers are: pure functions of ranks and answers.

A query has one target, the item of the event that came next. Q queries, K places in an answer,
N items in the catalogue. The accuracy metrics return one number a query, so that a caller takes
their mean over all queries or over a slice of them.
"""

import numpy as np

from tfrec.schema import FIRST_ROW, PADDING_ROW


def target_rank(answers: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Returns the place of each query's target in its answer, from 1; inf where it is missing: [Q] float64.

    Args:
        answers: [Q, K] item rows, best first.
        targets: [Q] item rows; what the vocabulary does not know is never found.
    """
    hit = (answers == targets[:, None]) & (targets >= FIRST_ROW)[:, None]
    return np.where(hit.any(axis=1), hit.argmax(axis=1) + 1.0, np.inf)


def recall(rank: np.ndarray, k: int) -> np.ndarray:
    """Recall@k = [rank ≤ k]; with one target a query it is the hit rate. [Q] float64.

    Source: Manning, Raghavan, Schütze, "Introduction to Information Retrieval", 2008, 8.3.
    """
    return (rank <= k).astype(np.float64)


def ndcg(rank: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k = 1 / log₂(rank + 1) where rank ≤ k, else 0. [Q] float64.

    With one target the ideal gain is 1 / log₂ 2 = 1, so that the discounted gain is normalised already.
    Source: Järvelin, Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002.
    """
    return np.where(rank <= k, 1.0 / np.log2(rank + 1.0), 0.0)


def mrr(rank: np.ndarray, k: int) -> np.ndarray:
    """MRR@k = 1 / rank where rank ≤ k, else 0; its mean is the mean reciprocal rank. [Q] float64.

    Source: Voorhees, "The TREC-8 question answering track report", 1999.
    """
    return np.where(rank <= k, 1.0 / rank, 0.0)


def coverage(answers: np.ndarray, k: int, items: int) -> float:
    """The share of the catalogue's N items that stand in the first k places of at least one answer.

    Source: Herlocker et al., "Evaluating collaborative filtering recommender systems", TOIS 2004
    ("catalog coverage"); with lists of k: Ge et al., "Beyond accuracy", RecSys 2010.

    Args:
        answers: [Q, K] item rows.
        items: N.
    """
    shown = np.unique(answers[:, :k])
    return float((shown >= FIRST_ROW).sum() / items) if items else 0.0


def novelty(answers: np.ndarray, k: int, train_count: np.ndarray) -> float:
    """Mean self-information of what is recommended, in bits: the mean of −log₂ p(i) over the first k places.

    p(i) is item i's share of the train events; an item without any counts as one event. Higher is
    rarer, and so newer to the average user.
    Source: Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems",
    PNAS 2010; Castells, Hurley, Vargas, "Novelty and diversity in recommender systems", 2015.

    Args:
        answers: [Q, K] item rows; places with PADDING_ROW are left out.
        train_count: [N] train events of each item, in row order from FIRST_ROW on.

    Returns:
        0 where no place holds an item.
    """
    shown = answers[:, :k]
    shown = shown[shown != PADDING_ROW] - FIRST_ROW
    if not len(shown):
        return 0.0
    information = np.log2(train_count.sum()) - np.log2(np.maximum(train_count, 1))
    return float(information[shown].mean())
