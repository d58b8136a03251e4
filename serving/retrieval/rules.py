"""Rules of what is answered, as `tfrec.reranking` has them in a servable's graph, without TensorFlow."""

import numpy as np
from numpy.typing import NDArray

from tfrec.index.ids import NO_ROW
from tfrec.index.index import Index, Rows
from tfrec.index.segment import NO_CODE


def choose(
    index: Index,
    rows: Rows,
    value: NDArray[np.float32],
    key: int,
    k: int,
) -> NDArray[np.int64]:
    """Returns the places of a user's answers among the candidates, in order: [k], -1 for none.

    The next answer is the candidate with the highest (1 - d) · value - d · similarity to the most similar
    answer before it (Carbonell and Goldstein 1998, maximal marginal relevance), d the diversity; with the
    probability of exploration it is drawn by lot instead (ε-greedy), or by Thompson sampling. None takes a
    candidate of whose kind there are as many as may be.

    Args:
        index: whose info has the rules.
        rows: [C], NO_ROW where there is no candidate.
        value: [C] in [0, 1].
        key: of the request; requests with one key draw the same lots.
        k: how many.
    """
    answers = index.info.answers
    chosen = np.full(k, -1, np.int64)
    open_ = rows != NO_ROW
    nearest = np.zeros(len(rows), np.float32)
    like = _embeddings(index, rows) if answers.diversity else None
    lots = np.random.default_rng([index.info.seed, key])
    drawn = _drawn(index, rows, lots) if answers.explore and answers.explore_by == "thompson" else None
    kinds = _Kinds(index, rows)
    for number in range(k):
        allowed = open_ & kinds.open
        if not allowed.any():
            break
        utility = (1 - answers.diversity) * value - answers.diversity * nearest
        if answers.explore and lots.random() < answers.explore:
            utility = lots.random(len(rows)) if drawn is None else utility + (1 - answers.diversity) * drawn
        place = int(np.argmax(np.where(allowed, utility, -np.inf)))
        chosen[number] = place
        open_[place] = False
        kinds.take(place)
        if like is not None:
            to_this = like @ like[place]
            nearest = to_this if number == 0 else np.maximum(nearest, to_this)
    return chosen


class _Kinds:
    """Counts answers of a kind.

    Attributes:
        open: [C] bool, candidates of whose kinds there may be more.
    """

    def __init__(self, index: Index, rows: Rows) -> None:
        self.open = np.ones(len(rows), bool)
        self._codes = [
            (np.where(rows == NO_ROW, NO_CODE, index.columns[name].codes[rows]), most)
            for name, most in index.info.answers.at_most.items()
        ]
        self._counts: list[dict[int, int]] = [{} for _ in self._codes]

    def take(self, place: int) -> None:
        for (codes, most), counts in zip(self._codes, self._counts, strict=True):
            kind = int(codes[place])
            if kind == NO_CODE:
                continue
            counts[kind] = counts.get(kind, 0) + 1
            if counts[kind] == most:
                self.open &= codes != kind


def _drawn(index: Index, rows: Rows, lots: np.random.Generator) -> NDArray[np.float32]:
    """[C] how far the value of each candidate lies from its mean in this request."""
    deviation = index.info.answers.uncertainty / np.sqrt(1.0 + index.count[rows])
    found: NDArray[np.float32] = (deviation * lots.standard_normal(len(rows))).astype(np.float32)
    return found


def _embeddings(index: Index, rows: Rows) -> NDArray[np.float32]:
    """[C, D], of length 1 each; zeros where there is no candidate."""
    found = np.zeros((len(rows), index.info.dimensions - 1), np.float32)
    real = rows != NO_ROW
    found[real] = index.embeddings(rows[real])[:, :-1]
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
