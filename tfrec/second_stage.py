"""Retrieved candidates -> answers: probabilities of the tasks, their formula, and rules."""

import numpy as np
import tensorflow as tf

from tfrec.config import Settings
from tfrec.config_answers import RETRIEVAL
from tfrec.dataset import Facts
from tfrec.layers.attention import MASKED
from tfrec.layers.relations import Tensors
from tfrec.model import TwoTowerModel
from tfrec.query import Query
from tfrec.ranking_prediction import probabilities
from tfrec.reranking import Rules
from tfrec.rescoring import embeddings_of
from tfrec.schema import PADDING_ROW


class SecondStage(tf.Module):
    """What follows retrieval, as `answers` and `ranking` of the settings say; nothing, where they are silent.

    Args:
        model: trained.
        settings: of the answers.
        facts: the catalogue.
    """

    def __init__(self, model: TwoTowerModel, settings: Settings, facts: Facts) -> None:
        super().__init__()
        self.model = model
        self.formula = settings.formula
        self.rules = Rules(settings.answers, facts, settings.seed) if settings.answers.has_rules else None

    @property
    def candidates(self) -> bool:
        """Whether it chooses among more candidates than are answered."""
        return self.formula is not None or self.rules is not None

    def scores(self, query: Query, at: tf.Tensor, lists: Tensors, retrieval: tf.Tensor) -> Tensors:
        """Returns `score` and each task's probability, [B, C] each; 0 where there is no candidate.

        Args:
            query: of packed rows.
            at: [B, 2] int32 rows and places of the requests.
            lists: see `RankingLists.dense`.
            retrieval: [B, C] float32 scores of retrieval, -inf for what it cannot score.
        """
        if self.formula is None:
            return {"score": retrieval}
        found = probabilities(self.model, query, at, lists | {"retrieval": retrieval})
        real = lists["candidate"] != PADDING_ROW
        tasks = {
            name: tf.where(real, found[..., place], 0.0)
            for place, name in enumerate(self.model.spec.ranking.tasks)
        }
        score = self.formula(tasks | {RETRIEVAL: to_best(retrieval)})
        # Where a formula has no value (the root of a negative number) a candidate is as good as the worst.
        valued = tf.math.is_finite(score)
        worst = tf.reduce_min(tf.where(valued & real, score, np.inf), axis=1, keepdims=True)
        score = tf.where(valued, score, tf.where(tf.math.is_finite(worst), worst, 0.0))
        return {"score": tf.where(real, score, 0.0)} | tasks

    def order(self, rows: tf.Tensor, score: tf.Tensor, table: tf.Tensor, key: tf.Tensor, k: int) -> tf.Tensor:
        """Returns the places of the k answers among candidates: [B, k] int32, -1 for none.

        Args:
            rows: [B, C] int32, PADDING_ROW where there is no candidate.
            score: [B, C] float32.
            table: [items, D + 1] of the candidate tower.
            key: [B] int64 of the requests, for what is drawn by lot.
            k: how many.
        """
        if self.rules is None:
            best, place = tf.math.top_k(tf.where(rows == PADDING_ROW, -np.inf, score), k)
            return tf.where(best == -np.inf, -1, place)
        value = to_best(score) if self.formula is None else between(score, rows != PADDING_ROW)
        return self.rules.choose(rows, value, embeddings_of(table, rows)[..., :-1], key, k)


def to_best(score: tf.Tensor) -> tf.Tensor:
    """Returns exp(score - that of the best candidate): [B, C] in [0, 1], of logarithmic scores.

    What has none (-inf, no item of the catalogue) is as good as the worst that has one.
    """
    scored = score > -np.inf
    found = tf.exp(score - tf.maximum(tf.reduce_max(score, axis=1, keepdims=True), MASKED))
    return tf.where(scored, found, tf.reduce_min(tf.where(scored, found, 1.0), axis=1, keepdims=True))


def between(score: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Returns where scores [B, C] lie between those of the worst and the best candidate: 0 to 1."""
    worst = tf.reduce_min(tf.where(real, score, np.inf), axis=1, keepdims=True)
    best = tf.reduce_max(tf.where(real, score, -np.inf), axis=1, keepdims=True)
    span = tf.maximum(best - worst, np.finfo(np.float32).tiny)
    return tf.where(real, (score - worst) / span, 0.0)
