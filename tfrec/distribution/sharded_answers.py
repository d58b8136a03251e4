"""Answers of a model whose tables of items are spread over workers: each searches its own rows.

All workers ask the same queries in the same order. What one finds among its rows is complete, the scores of
the second way included; the best of all are the best of what each has found.
"""

import numpy as np
import tensorflow as tf

from tfrec.distribution.shards import Shards, behind
from tfrec.distribution.workers import Workers
from tfrec.graph_index import ExactIndex
from tfrec.layers.attention import MASKED
from tfrec.layers.relations import Tensors
from tfrec.model import TwoTowerModel
from tfrec.prediction import Predictor
from tfrec.query import Query
from tfrec.schema import FIRST_ROW, PADDING_ROW


class ShardIndex(tf.Module):
    """Exact search over a run of the catalogue's rows, behind the interface of `ExactIndex`.

    Args:
        candidates: [N, D + 1] of the rows from `begin` on.
        begin: the first of them.
    """

    def __init__(self, candidates: tf.Tensor, begin: int) -> None:
        super().__init__(name="shard_index")
        # Padding and unknown are no items; where they would stand, the index wants any rows at all.
        hidden = max(FIRST_ROW - begin, 0)
        self.begin = begin + hidden
        self.size = candidates.shape[0] - hidden
        nothing = tf.zeros([FIRST_ROW, candidates.shape[1]])
        self._index = ExactIndex(tf.concat([nothing, candidates[hidden:]], axis=0))

    def answer(
        self,
        query: tf.Tensor,
        second_item: tf.Tensor,
        second_score: tf.Tensor | None,
        barred: tf.Tensor,
        k: int,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `ExactIndex.answer`, of these rows alone."""
        here = self._place(second_item)
        if second_score is not None:
            second_score = tf.where(here == PADDING_ROW, MASKED, second_score)
        found, score = self._index.answer(query, here, second_score, self._place(barred), k)
        return tf.where(found == PADDING_ROW, PADDING_ROW, found - FIRST_ROW + self.begin), score

    def _place(self, rows: tf.Tensor) -> tf.Tensor:
        own = (rows >= self.begin) & (rows < self.begin + self.size)
        return tf.where(own, rows - self.begin + FIRST_ROW, PADDING_ROW)


class ShardedPredictor(Predictor):
    """A `Predictor` whose calls all workers make together, with the same arguments.

    Args:
        model: built with its tables apart.
        shards: where they are.
        workers: who have them.
        k, quiet: as `Predictor` has it.
    """

    def __init__(
        self, model: TwoTowerModel, shards: Shards, workers: Workers, k: int = 20, *, quiet: bool = False
    ) -> None:
        super().__init__(model, k, quiet=quiet)
        self.shards = shards
        self.workers = workers
        self._encode_given = tf.function(self._with_rows, autograph=False, jit_compile=True)

    def search(self) -> ShardIndex:
        """Returns a search of this worker's rows."""
        rows = tf.range(self.shards.begin, self.shards.end)
        with self.shards.given(rows, [tf.convert_to_tensor(weight) for weight in self.shards.weights]):
            return ShardIndex(self.model.candidate_tower(rows), self.shards.begin)

    def encoded(self, inputs: Tensors) -> Query:
        """Returns the queries of packed rows, once all workers have said what they look up."""
        met = tf.unique(tf.reshape(inputs["item"], [-1]))[0]
        met = tf.sort(tf.unique(tf.concat([met, [PADDING_ROW]], axis=0))[0])
        values = self.shards.fetch(met, self._added_up)
        return self._encode_given(inputs, *behind(met, values, inputs["item"].size + 1))

    def best_of(self, found: tf.Tensor, score: tf.Tensor) -> np.ndarray:
        """Returns the best rows [Q, k] of what all workers have found."""
        rows, scores = (self.workers.stacked(part.numpy()) for part in (found, score))
        return best_of_all(rows, scores, self.retrieve)

    def _with_rows(self, inputs: Tensors, rows: tf.Tensor, values: list[tf.Tensor]) -> Query:
        with self.shards.given(rows, values):
            return self.model(inputs, training=False)

    def _added_up(self, own: list[tf.Tensor]) -> list[tf.Tensor]:
        return [tf.constant(self.workers.sum(part.numpy())) for part in own]


def best_of_all(found: np.ndarray, score: np.ndarray, k: int) -> np.ndarray:
    """Returns the best rows [Q, k] of several parts; of equal scores those of the earlier part.

    Args:
        found: [R, Q, K] int32, of each of R parts.
        score: [R, Q, K] float32; -inf where there is no row.
        k: how many, at most K.
    """
    rows, scores = (np.concatenate(list(part), axis=1) for part in (found, score))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, order, axis=1)
