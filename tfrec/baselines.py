"""What a model has to beat: answers that need no learning.

Each baseline counts the train events of a dataset and answers queries from what the query's user
did before. They share one form, that of an answerer: `(dataset, positions) -> rows`, where
`positions` [Q] int64 are the places of the queried events in the flat arrays of the dataset and
`rows` [Q, K] int32 are item rows, best first, PADDING_ROW where the catalogue has no more. Items
that the log does not show again (`DatasetSchema.repeats`) are left out.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from tfrec.dataset import Dataset
from tfrec.progress import track
from tfrec.queries import barred, first_of_user, spans
from tfrec.rules import rule_matrix
from tfrec.schema import FIRST_ROW, PADDING_ROW

K = 20
RECENT_S = 30 * 86400
RULE_CONTEXT = 4  # newest events that form a query
_TIE = 1e-6  # popularity decides among equal scores, which differ by more than this or not at all
_CELLS = 2**23  # scores held at a time


class Baseline(Protocol):
    """The form of a baseline; `k` is K, and `quiet` leaves out the progress bar."""

    def __call__(
        self, dataset: Dataset, positions: np.ndarray, *, k: int = K, quiet: bool = False
    ) -> np.ndarray: ...


Scores = Callable[[np.ndarray], sp.csr_matrix | None]


def popular(dataset: Dataset, positions: np.ndarray, *, k: int = K, quiet: bool = False) -> np.ndarray:
    """The items with the most train events in its last 30 days (in all, for a log without clock times)."""
    return _answer(dataset, positions, lambda chunk: None, k, "popular", quiet)


def own(dataset: Dataset, positions: np.ndarray, *, k: int = K, quiet: bool = False) -> np.ndarray:
    """The user's own most frequent items, then the popular ones: strong where people come back to things."""
    sequences = dataset.sequences

    def scores(chunk: np.ndarray) -> sp.csr_matrix:
        query, at = spans(first_of_user(sequences, chunk), chunk)
        return _matrix(np.ones(len(at)), query, sequences.item[at], (len(chunk), dataset.items.size))

    return _answer(dataset, positions, scores, k, "own", quiet)


def sequential_rules(
    dataset: Dataset, positions: np.ndarray, *, k: int = K, quiet: bool = False
) -> np.ndarray:
    """What followed the user's newest items within a session, then the popular ones.

    A rule x → y weighs Σ 1/d over the train sessions in which y came d ≤ 10 events after x. The
    newest 4 events are the query, the n-th newest with weight 1/n.
    Source: Kamehkhosh, Jannach, Ludewig, "A comparison of frequent pattern techniques and a deep
    learning method for session-based recommendation", RecTemp 2017.
    """
    sequences = dataset.sequences
    rules = rule_matrix(sequences.keep(sequences.is_role("train")), dataset.items.size)

    def scores(chunk: np.ndarray) -> sp.csr_matrix:
        query, at = spans(np.maximum(first_of_user(sequences, chunk), chunk - RULE_CONTEXT), chunk)
        weight = 1.0 / (chunk[query] - at)
        return _matrix(weight, query, sequences.item[at], (len(chunk), dataset.items.size)) @ rules

    return _answer(dataset, positions, scores, k, "sequential rules", quiet)


BASELINES: Mapping[str, Baseline] = {
    "popular": popular,
    "own": own,
    "sequential_rules": sequential_rules,
}


def _answer(
    dataset: Dataset, positions: np.ndarray, scores: Scores, k: int, name: str, quiet: bool
) -> np.ndarray:
    """The best k items of each query by its scores, popular ones first among equals."""
    tie = _TIE * _popularity(dataset)
    size = max(1, _CELLS // dataset.items.size)
    chunks = [positions[at : at + size] for at in range(0, len(positions), size)]
    answers = [np.zeros((0, k), np.int32)]
    for chunk in track(chunks, name, len(chunks), quiet=quiet):
        dense = np.tile(tie, (len(chunk), 1))
        found = scores(chunk)
        if found is not None:
            dense += found.toarray()
        query, at = barred(dataset.sequences, chunk, dataset.schema.repeats)
        dense[query, dataset.sequences.item[at]] = -np.inf
        dense[:, :FIRST_ROW] = -np.inf
        answers.append(best(dense, k))
    return np.concatenate(answers)


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """Returns the columns of the k highest scores of each row: [Q, k] int32, PADDING_ROW for -inf.

    Args:
        scores: [Q, N] float64.
    """
    top = min(k, scores.shape[1])
    columns = np.argpartition(-scores, top - 1, axis=1)[:, :top]
    found = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    columns = np.where(np.isneginf(found), PADDING_ROW, columns)
    columns = np.take_along_axis(columns, order, axis=1).astype(np.int32)
    return np.pad(columns, ((0, 0), (0, k - top)), constant_values=PADDING_ROW)


def _popularity(dataset: Dataset) -> np.ndarray:
    """Each item row's place by recent, then all train events, then row: [N], from 1 (first) to 0."""
    sequences, size = dataset.sequences, dataset.items.size
    train = sequences.is_role("train")
    recent = train
    if dataset.schema.has_clock and train.any():
        recent = train & (sequences.time >= sequences.time[train].max() - RECENT_S)
    counts = [-np.bincount(sequences.item[events], minlength=size) for events in (train, recent)]
    place = np.empty(size)
    place[np.lexsort(counts)] = np.linspace(1.0, 0.0, size)
    return place


def _matrix(weight: np.ndarray, row: np.ndarray, column: np.ndarray, shape: tuple[int, int]) -> sp.csr_matrix:
    """A sparse matrix in which entries of the same place add up."""
    return sp.csr_matrix((weight, (row, column)), shape)
