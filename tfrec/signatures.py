"""A servable's signatures over a trained model, from raw ids to raw ids."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.coarse_index import CoarseIndex
from tfrec.config import Settings
from tfrec.dataset import Facts
from tfrec.graph_index import ExactIndex
from tfrec.layers.relations import Tensors
from tfrec.left_out import LeaveOut, left_out
from tfrec.prediction import own_events, second_scores
from tfrec.query import Query
from tfrec.ranking_requests import ListReader
from tfrec.requests import RequestReader, sequence_specs
from tfrec.rescoring import rescored
from tfrec.schema import PADDING_ROW
from tfrec.second_stage import SecondStage
from tfrec.sent_states import received, sent, state_specs
from tfrec.servable import DEFAULT_SIGNATURE, RANK_ENCODED, SIGNATURES
from tfrec.trained import TrainedModel


class _Asked(NamedTuple):
    """What requests ask, in the model's terms.

    Attributes:
        query: of one request a row.
        at: [B, 2] int32, where it has each of them.
        embedding: [B, D + 1] float32.
        own: [B, P] int32, rows of the sequence's items; PADDING_ROW before the first.
        in_session: [B, P] bool, which of them are of the request's session.
        second_item, second_score: as `second_scores` gives them.
    """

    query: Query
    at: tf.Tensor
    embedding: tf.Tensor
    own: tf.Tensor
    in_session: tf.Tensor
    second_item: tf.Tensor
    second_score: tf.Tensor | None


class Servable(tf.Module):
    """The signatures of `tfrec.servable` over a trained model.

    Args:
        trained: the model and its facts.
        settings: of the answers; those of the model's training, or others.
        index: exact, of half precision, or ScaNN.
        k: how many items an answer holds.
        leave_out: what is never answered beside the ids that a request leaves out: what the log
            says cannot come again (`repeats`), also the current session's items, or the whole
            sequence's.
    """

    def __init__(
        self,
        trained: TrainedModel,
        settings: Settings,
        index: ExactIndex | CoarseIndex,
        k: int,
        leave_out: LeaveOut,
    ) -> None:
        super().__init__()
        self.model = trained.model
        self.space = trained.space
        self.index = index
        self.exact = index if isinstance(index, ExactIndex) else ExactIndex(index.candidates)
        self.reader = RequestReader(trained.facts, trained.model.spec)
        self.lists = ListReader(trained.facts, trained.model.spec, self.reader.items, settings.answers)
        self.second_stage = SecondStage(trained.model, settings, trained.facts)
        self.retrieve = max(settings.answers.retrieve, k) if self.second_stage.candidates else k
        self.k = k
        self.leave_out = leave_out

    def recommend(self, inputs: Tensors) -> Tensors:
        """Sequences -> item_id [B, K], score [B, K], and of each task [B, K] probabilities."""
        asked = self._ask(inputs)
        barred = [self._left_out(asked), self.reader.items.rows_or_none(inputs["exclude_item_id"])]
        allowed = self.reader.items.rows_or_none(inputs["allow_item_id"])
        rows, scores = self.index.answer(
            asked.embedding,
            asked.second_item,
            asked.second_score,
            tf.concat(barred, axis=1),
            self.retrieve,
            allowed,
        )
        if not self.second_stage.candidates:
            return {"item_id": self.reader.items.raw(rows), "score": scores}
        lists = self.lists.of_retrieved(inputs, rows) if self.second_stage.formula else {}
        found = self.second_stage.scores(asked.query, asked.at, lists, scores)
        places = tf.range(1, tf.shape(asked.own)[1] + 1, dtype=tf.int64)
        key = inputs["request_time"] + tf.reduce_sum(tf.cast(asked.own, tf.int64) * places, axis=1)
        at = self.second_stage.order(rows, found["score"], self.exact.candidates, key, self.k)
        chosen = {name: _taken(value, at, 0.0) for name, value in found.items()}
        chosen["score"] = tf.where(at < 0, -np.inf, chosen["score"])
        return {"item_id": self.reader.items.raw(_taken(rows, at, PADDING_ROW))} | chosen

    def encode(self, inputs: Tensors) -> Tensors:
        """Sequences -> query_embedding [B, D + 1], own_item_id [B, L], own_score [B, L], space [B].

        An own item's score is what `recommend` gives it, at its first place; -inf elsewhere and for
        items that are never answered. With rules also rule_item_id and rule_score [B, R], for the
        items that rules lead to and the sequence does not hold; with tasks the states of `tfrec.sent_states`.
        """
        asked = self._ask(inputs)
        items, seconds = asked.second_item, asked.second_score
        scores = rescored(self.exact.candidates, asked.embedding, items, seconds, self._left_out(asked))
        ids, own = self.reader.items.raw(items), tf.shape(asked.own)[1]
        found = {
            "query_embedding": asked.embedding,
            "space": tf.fill([tf.shape(asked.own)[0]], tf.constant(self.space, tf.int64)),
            "own_item_id": ids[:, 1:own],
            "own_score": scores[:, 1:own],
        }
        settings = self.model.spec.settings
        if settings.rules:
            # Of one width whatever the sequence's, so that a server which joins requests cuts none of it.
            width = [None, settings.rules * settings.rule_events]
            found["rule_item_id"] = tf.ensure_shape(ids[:, own:], width)
            found["rule_score"] = tf.ensure_shape(scores[:, own:], width)
        if asked.query.looked_at is not None:
            found |= sent(asked.query.looked_at)
        return found

    def rank(self, inputs: Tensors) -> Tensors:
        """Sequences and candidate_item_id [B, C] -> score, next_item, and each task's probability, [B, C]."""
        asked = self._ask(inputs)
        rows = self.lists.candidates(inputs)
        scores, normaliser = self.exact.score(asked.embedding, asked.second_item, asked.second_score, rows)
        lists = self.lists.of_candidates(inputs, rows) if self.second_stage.formula else {}
        found = self.second_stage.scores(asked.query, asked.at, lists, scores)
        return found | {"next_item": tf.exp(scores - normaliser[:, None])}

    def rank_encoded(self, inputs: Tensors) -> Tensors:
        """What `encode` said, candidate_item_id, retrieval_score -> score, each task's chance: [B, C]."""
        rows = self.lists.candidates(inputs)
        encoded = received(inputs, self.model.query_tower.compute_dtype)
        row = tf.range(tf.shape(rows)[0])
        at = tf.stack([row, tf.zeros_like(row)], axis=-1)
        query = Query(inputs["retrieval_score"], None, None, encoded)
        return self.second_stage.scores(
            query, at, self.lists.of_candidates(inputs, rows), inputs["retrieval_score"]
        )

    def _left_out(self, asked: _Asked) -> tf.Tensor:
        """[B, P or 2 P] int32, rows of the sequence that are never answered; PADDING_ROW elsewhere."""
        return left_out(asked.own, asked.in_session, self.model.spec.repeats, self.leave_out)

    def _ask(self, inputs: Tensors) -> _Asked:
        batch, place = self.reader.read(inputs)
        query: Query = self.model(batch | {"asked": place[:, None]}, training=False)
        row = tf.range(tf.shape(place)[0])
        # A row asks one request alone.
        at = tf.stack([row, tf.zeros_like(row)], axis=-1)
        own, in_session = own_events(batch, row, place)
        items, scores = second_scores(self.model, query, at, own)
        return _Asked(query, at, tf.gather_nd(query.embedding, at), own, in_session, items, scores)

    def signatures(self, facts: Facts) -> dict[str, Callable[..., Tensors]]:
        """Returns the concrete functions by signature name."""
        sequence = sequence_specs(facts.schema, self.model.spec)
        specs = {name: sequence | self.lists.specs(name) for name in SIGNATURES}
        if self.model.spec.ranking.tasks:
            states = state_specs(self.model.spec.settings.dimensions)
            specs[RANK_ENCODED] = states | self.lists.specs(RANK_ENCODED)
        # As one dictionary, which keeps input names that are no Python names (`context.NAME`).
        found = {
            name: tf.function(getattr(self, name), [inputs], autograph=False).get_concrete_function()
            for name, inputs in specs.items()
        }
        return found | {DEFAULT_SIGNATURE: found["recommend"]}


def _taken(x: tf.Tensor, at: tf.Tensor, nothing: float) -> tf.Tensor:
    """What stands at places [B, K] of [B, C]; `nothing` at -1."""
    return tf.where(at < 0, tf.cast(nothing, x.dtype), tf.gather(x, tf.maximum(at, 0), batch_dims=1))
