"""A servable's signatures over a trained model, from raw ids to raw ids."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import tensorflow as tf

from tfrec.dataset import Facts
from tfrec.index import ExactIndex, ScannIndex, rescored
from tfrec.layers.relations import Tensors
from tfrec.prediction import barred_rows, own_events, second_scores
from tfrec.query import Query
from tfrec.requests import DTYPES, RequestReader, sequence_specs
from tfrec.schema import PADDING_ROW
from tfrec.servable import DEFAULT_SIGNATURE, SIGNATURES
from tfrec.trained import TrainedModel

LeaveOut = Literal["repeats", "session", "sequence"]


class _Asked(NamedTuple):
    """What requests ask, in the model's terms.

    Attributes:
        query: [B, D + 1] float32.
        own: [B, P] int32, rows of the sequence's items; PADDING_ROW before the first.
        in_session: [B, P] bool, which of them are of the request's session.
        second_item, second_score: as `second_scores` gives them.
    """

    query: tf.Tensor
    own: tf.Tensor
    in_session: tf.Tensor
    second_item: tf.Tensor
    second_score: tf.Tensor | None


class Servable(tf.Module):
    """The three signatures of `tfrec.servable` over a trained model.

    Args:
        trained: the model and its facts.
        index: exact or ScaNN.
        k: how many items an answer holds.
        leave_out: what is never answered beside the ids that a request leaves out: what the log
            says cannot come again (`repeats`), also the current session's items, or the whole
            sequence's.
    """

    def __init__(
        self, trained: TrainedModel, index: ExactIndex | ScannIndex, k: int, leave_out: LeaveOut
    ) -> None:
        super().__init__()
        self.model = trained.model
        self.index = index
        self.exact = index if isinstance(index, ExactIndex) else ExactIndex(index.candidates)
        self.reader = RequestReader(trained.facts, trained.model.spec)
        self.k = k
        self.leave_out = leave_out

    def recommend(self, inputs: Tensors) -> Tensors:
        """Sequences, and ids to leave out [B, E] -> item_id [B, K], score [B, K]."""
        asked = self._ask(inputs)
        barred = [barred_rows(asked.own, asked.in_session, self.model.spec.repeats)]
        if self.leave_out == "sequence":
            barred.append(asked.own)
        elif self.leave_out == "session":
            barred.append(tf.where(asked.in_session, asked.own, PADDING_ROW))
        barred.append(self.reader.items.rows(inputs["exclude_item_id"]))
        rows, scores = self.index.answer(
            asked.query, asked.second_item, asked.second_score, tf.concat(barred, axis=1), self.k
        )
        return {"item_id": self.reader.items.raw(rows), "score": scores}

    def encode(self, inputs: Tensors) -> Tensors:
        """Sequences -> query_embedding [B, D + 1], own_item_id [B, L], own_score [B, L].

        An own item's score is what `recommend` gives it, at its first place; -inf elsewhere and for
        items that cannot come again. With rules also rule_item_id and rule_score [B, R], for the
        items that rules lead to and the sequence does not hold.
        """
        asked = self._ask(inputs)
        barred = barred_rows(asked.own, asked.in_session, self.model.spec.repeats)
        items, seconds = asked.second_item, asked.second_score
        scores = rescored(self.exact.candidates, asked.query, items, seconds, barred)
        ids, own = self.reader.items.raw(items), tf.shape(asked.own)[1]
        found = {"query_embedding": asked.query, "own_item_id": ids[:, 1:own], "own_score": scores[:, 1:own]}
        settings = self.model.spec.settings
        if settings.rules:
            # Of one width whatever the sequence's, so that a server which joins requests cuts none of it.
            width = [None, settings.rules * settings.rule_events]
            found["rule_item_id"] = tf.ensure_shape(ids[:, own:], width)
            found["rule_score"] = tf.ensure_shape(scores[:, own:], width)
        return found

    def rank(self, inputs: Tensors) -> Tensors:
        """Sequences and candidate_item_id [B, C] -> next_item [B, C]: P(next event's item)."""
        asked = self._ask(inputs)
        candidate = self.reader.items.rows(inputs["candidate_item_id"])
        scores, normaliser = self.exact.score(asked.query, asked.second_item, asked.second_score, candidate)
        return {"next_item": tf.exp(scores - normaliser[:, None])}

    def _ask(self, inputs: Tensors) -> "_Asked":
        batch, place = self.reader.read(inputs)
        query: Query = self.model(batch, training=False)
        row = tf.range(tf.shape(place)[0])
        at = tf.stack([row, place], axis=-1)
        own, in_session = own_events(batch, row, place)
        items, scores = second_scores(self.model, query, at, own)
        return _Asked(tf.gather_nd(query.embedding, at), own, in_session, items, scores)

    def signatures(self, facts: Facts) -> dict[str, Callable[..., Tensors]]:
        """Returns the concrete functions by signature name."""
        specs = sequence_specs(facts.schema, self.model.spec)
        ids = DTYPES[facts.schema.item_id_type]
        more = {
            "recommend": {"exclude_item_id": tf.TensorSpec([None, None], ids, name="exclude_item_id")},
            "encode": {},
            "rank": {"candidate_item_id": tf.TensorSpec([None, None], ids, name="candidate_item_id")},
        }
        # As one dictionary, which keeps input names that are no Python names (`context.NAME`).
        found = {
            name: tf.function(
                getattr(self, name), input_signature=[specs | more[name]]
            ).get_concrete_function()
            for name in SIGNATURES
        }
        return found | {DEFAULT_SIGNATURE: found["recommend"]}
