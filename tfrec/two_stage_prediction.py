"""Answers of a model with tasks to queries of a dataset, in two stages as a servable gives them."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfrec.config import Settings
from tfrec.dataset import Dataset, Facts
from tfrec.graph_index import ExactIndex
from tfrec.layers.relations import Tensors
from tfrec.model import TwoTowerModel
from tfrec.prediction import Predictor
from tfrec.query import Query
from tfrec.ranking_lists import first_times
from tfrec.ranking_prediction import LISTS_AT_ONCE
from tfrec.schema import PADDING_ROW, UNKNOWN_ROW
from tfrec.second_stage import SecondStage
from tfrec.spec import ModelSpec

Known = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Rows of candidates [Q, C], positions of the queried events [Q] -> raw statistics [Q, C, S] float32."""


class TwoStagePredictor(Predictor):
    """Retrieves, ranks and applies rules; as `Predictor`, whose answers are those of retrieval alone.

    Under what circumstances a query was asked (the context of impressions) a dataset does not say: it counts
    as unknown.

    Args:
        model: a trained model with tasks of ranking.
        settings: of the answers; those of the model's training, or others.
        facts: of the dataset.
        known: what was known of candidates at the moments of events.
        k: how many items an answer has.
        quiet: no progress bar.
    """

    def __init__(
        self,
        model: TwoTowerModel,
        settings: Settings,
        facts: Facts,
        known: Known,
        k: int = 20,
        *,
        quiet: bool = False,
    ) -> None:
        super().__init__(model, k, quiet=quiet)
        self.retrieve = max(k, settings.answers.retrieve)
        self.known = known
        self.second_stage = SecondStage(model, settings, facts)
        self._rank = tf.function(self._rank_places, autograph=False, reduce_retracing=True)

    def __call__(self, dataset: Dataset, positions: np.ndarray) -> np.ndarray:
        s = dataset.sequences
        self._time, self._first = s.time, first_times(dataset)
        return super().__call__(dataset, positions)

    def answers(self, index: ExactIndex, inputs: Tensors, at: np.ndarray, position: np.ndarray) -> np.ndarray:
        query = self._encode(inputs, training=False)
        found = np.full((len(at), self.k), PADDING_ROW, np.int32)
        for some in np.array_split(np.arange(len(at)), -(-len(at) // LISTS_AT_ONCE)) if len(at) else ():
            chosen, moments = tf.constant(at[some]), position[some]
            rows, scores = self._answer(index, inputs, query, chosen)
            rows = rows.numpy()
            lists = _lists(self.model.spec, rows, self.known(rows, moments))
            lists["hidden"] = self._first[rows] >= self._time[moments][:, None]
            places = self._rank(query, chosen, lists, scores, index.candidates, tf.constant(moments)).numpy()
            taken = np.take_along_axis(rows, np.maximum(places, 0), axis=1)
            found[some] = np.where(places < 0, PADDING_ROW, taken)
        return found

    def _rank_places(
        self,
        query: Query,
        at: tf.Tensor,
        lists: Tensors,
        scores: tf.Tensor,
        table: tf.Tensor,
        key: tf.Tensor,
    ) -> tf.Tensor:
        found = self.second_stage.scores(query, at, lists, scores)
        return self.second_stage.order(lists["candidate"], found["score"], table, key, self.k)


def nothing_known(rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """`Known` of a model that ranks without statistics."""
    return np.zeros((*rows.shape, 0), np.float32)


def _lists(spec: ModelSpec, rows: np.ndarray, statistics: np.ndarray) -> dict[str, np.ndarray]:
    """The lists of `RankingLists.dense`, of retrieved candidates."""
    lists = {
        "candidate": rows,
        "statistics": statistics,
        "length": (rows != PADDING_ROW).sum(axis=1).astype(np.float32),
    }
    for column in spec.impressions.context if spec.impressions else ():
        categorical = column.kind == "categorical"
        lists[f"context.{column.name}"] = (
            np.full(len(rows), UNKNOWN_ROW, np.int32)
            if categorical
            else np.full(len(rows), np.nan, np.float32)
        )
    return lists
