"""Search over the candidates in two steps: a fast one finds many, exact scores choose among them.

The interface is that of `tfrec.graph_index.ExactIndex`.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.errors import SettingsError
from tfrec.graph_index import best_of, restricted
from tfrec.losses import log_add_exp
from tfrec.rescoring import embeddings_of, first_seen_before, matching_scores, product
from tfrec.schema import FIRST_ROW

LEAST_ITEMS = 16
"""ScaNN learns 16 codes for each pair of dimensions, and wants as many points."""


class CoarseIndex(tf.Module):
    """A fast search retrieves, then exact scores and second scores decide.

    Args:
        candidates: [items, D + 1] of all rows, padding and unknown included; a variable.
        search: [Q, D + 1] float32 queries -> rows [Q, C] int32 of good candidates; the answers are among them
            or are scored a second way.
    """

    def __init__(self, candidates: tf.Variable, search: "HalfSearch | ScannOps") -> None:
        super().__init__(name="coarse_index")
        self.candidates = candidates
        self.search = search

    def answer(
        self,
        query: tf.Tensor,
        second_item: tf.Tensor,
        second_score: tf.Tensor | None,
        barred: tf.Tensor,
        k: int,
        allowed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `ExactIndex.answer`."""
        rows = tf.concat([second_item, self.search(query)], axis=1)
        if allowed is not None:
            # Few of them may be among those found.
            rows = tf.concat([rows, allowed], axis=1)
        scores = tf.einsum("qd,qcd->qc", query, embeddings_of(self.candidates, rows))
        if second_score is not None:
            scores = log_add_exp(scores, matching_scores(rows, second_item, second_score))
        wrong = first_seen_before(rows) | (rows < FIRST_ROW)
        wrong |= tf.reduce_any(tf.equal(rows[:, :, None], barred[:, None, :]), axis=-1)
        if allowed is not None:
            listed = tf.reduce_any(tf.equal(rows[:, :, None], allowed[:, None, :]), axis=-1)
            wrong |= ~listed & restricted(allowed)
        return best_of(tf.where(wrong, -np.inf, scores), rows, k)


class HalfSearch(tf.Module):
    """Candidates of half precision: half the memory, and a product that reads half as much.

    The product of two of them has as few digits, so that it only retrieves.

    Args:
        candidates: [items, D + 1] of half precision, all rows; a variable.
        retrieve: C, how many are found.
    """

    def __init__(self, candidates: tf.Variable, retrieve: int) -> None:
        super().__init__(name="half_search")
        self.candidates = candidates
        self.retrieve = min(retrieve, int(candidates.shape[0]) - FIRST_ROW)

    def __call__(self, query: tf.Tensor) -> tf.Tensor:
        scores = product(query, self.candidates)[:, FIRST_ROW:]
        return tf.math.top_k(scores, self.retrieve)[1] + FIRST_ROW


class ScannOps(tf.Module):
    """ScaNN (Guo et al. 2020) by its TensorFlow ops, as TFRS has them.

    Args:
        candidates: [items, D + 1] float32 of all rows, padding and unknown included; a variable.
        retrieve: C, how many are found.
        allowed: [A] int32 the only rows that are found, rising; None: all items.
        settings: arguments of `tfrs.layers.factorized_top_k.ScaNN`.

    Raises:
        SettingsError: there are too few items for ScaNN.
    """

    def __init__(
        self, candidates: tf.Variable, retrieve: int, allowed: np.ndarray | None = None, **settings: Any
    ) -> None:
        super().__init__(name="scann_ops")
        from tfrec.tensorflow import tensorflow_recommenders

        rows = np.arange(FIRST_ROW, int(candidates.shape[0]), dtype=np.int32) if allowed is None else allowed
        items = len(rows)
        if items < LEAST_ITEMS:
            raise SettingsError(
                f"ScaNN needs at least {LEAST_ITEMS} items, and {items} can be answered. Use exact retrieval."
            )
        self.retrieve = min(retrieve, items)
        layer = tensorflow_recommenders().layers.factorized_top_k.ScaNN
        self.layer = layer(k=self.retrieve, **(_scann_settings(items) | settings))
        self.layer.index(tf.gather(candidates, rows), tf.constant(rows))

    def __call__(self, query: tf.Tensor) -> tf.Tensor:
        return tf.reshape(self.layer(query, k=self.retrieve)[1], [-1, self.retrieve])


def half_index(candidates: tf.Tensor, retrieve: int, precision: str) -> CoarseIndex:
    """Returns an index that keeps its candidates in half precision.

    Args:
        candidates: [items, D + 1] float32 of all rows.
        retrieve: how many are scored at full precision.
        precision: `bfloat16` or `float16`.
    """
    kept = tf.Variable(tf.cast(candidates, precision), trainable=False, name="candidates")
    return CoarseIndex(kept, HalfSearch(kept, retrieve))


def scann_index(
    candidates: tf.Tensor, retrieve: int, allowed: np.ndarray | None = None, **settings: Any
) -> CoarseIndex:
    """Returns an index that ScaNN searches.

    Args: as `ScannOps`; candidates may be a tensor.

    Raises:
        SettingsError: there are too few items for ScaNN.
    """
    kept = tf.Variable(candidates, trainable=False, name="candidates")
    return CoarseIndex(kept, ScannOps(kept, retrieve, allowed, **settings))


def _scann_settings(items: int) -> dict[str, Any]:
    """After ScaNN's own guidance: √N leaves; below 100,000 points all are searched, else a tenth."""
    leaves = max(1, int(items**0.5))
    return {
        "num_leaves": leaves,
        "num_leaves_to_search": leaves if items < 100_000 else leaves // 10,
        "num_reordering_candidates": min(items, 1000),
    }
