"""What requests say of candidates as the lists of the ranking network; part of a servable's graph."""

import numpy as np
import tensorflow as tf

from tfrec.config_answers import AnswerSettings
from tfrec.dataset import Facts
from tfrec.layers.relations import Tensors
from tfrec.requests import DTYPES, Lookup
from tfrec.schema import FIRST_ROW, PADDING_ROW, UNKNOWN_ROW
from tfrec.servable import RANK_ENCODED
from tfrec.spec import ModelSpec

STATISTIC, CONTEXT = "statistic.", "request_context."


class ListReader(tf.Module):
    """Turns ranking inputs of the servable contract (`tfrec.servable`) into lists of `RankingLists.dense`.

    Args:
        facts: vocabularies and schema.
        spec: the model's.
        items: of the item vocabulary.
        answers: how many candidates a request may have, and whether unknown ones.
    """

    def __init__(self, facts: Facts, spec: ModelSpec, items: Lookup, answers: AnswerSettings) -> None:
        super().__init__()
        self.spec = spec
        self.items = items
        self.answers = answers
        self.columns = spec.impressions.context if spec.impressions else ()
        self.context = {name: Lookup(values, "string") for name, values in facts.impression_context.items()}
        self.id_dtype = DTYPES[facts.schema.item_id_type]

    def specs(self, signature: str) -> dict[str, tf.TensorSpec]:
        """Returns the inputs of a signature beside the sequence, by name."""
        ranked = {
            "recommend": ["exclude_item_id", "allow_item_id"],
            "rank": ["candidate_item_id"],
            RANK_ENCODED: ["candidate_item_id"],
        }
        wide = dict.fromkeys(ranked.get(signature, ()), self.id_dtype)
        flat = {}
        if signature in ranked and self.spec.ranking.tasks:
            statistics = {STATISTIC + statistic.name: tf.float32 for statistic in self.spec.statistics}
            if signature == "recommend" and statistics:
                wide["statistic_item_id"] = self.id_dtype
            wide |= statistics
            kinds = {"categorical": tf.string, "numeric": tf.float32}
            flat = {CONTEXT + column.name: kinds[column.kind] for column in self.columns}
        if signature == RANK_ENCODED:
            wide["retrieval_score"] = tf.float32
        specs = {name: tf.TensorSpec([None, None], dtype, name=name) for name, dtype in wide.items()}
        return specs | {name: tf.TensorSpec([None], dtype, name=name) for name, dtype in flat.items()}

    def candidates(self, inputs: Tensors) -> tf.Tensor:
        """Returns the rows of `candidate_item_id`: [B, C], PADDING_ROW where there is none.

        Raises:
            tf.errors.InvalidArgumentError: a request has no candidate, or more than it may; or, unless
                they may be ranked, one that the catalogue does not have.
        """
        raw = inputs["candidate_item_id"]
        rows = self.items.rows_or_none(raw)
        count = tf.reduce_sum(tf.cast(rows != PADDING_ROW, tf.int32), axis=1)
        most, name = self.answers.max_candidates, "candidate_item_id"
        checks = [
            tf.debugging.Assert(tf.reduce_all(count > 0), [f"{name}: a user has no candidate"]),
            tf.debugging.Assert(
                tf.reduce_all(count <= most),
                [f"{name}: a user may have {most} candidates, found", tf.reduce_max(count)],
            ),
        ]
        if self.answers.unknown_candidates == "refuse":
            unknown = rows == UNKNOWN_ROW
            text = f"{name}: not in the catalogue (answers.unknown_candidates=rank would rank them anyway):"
            found = tf.boolean_mask(raw, unknown)
            checks.append(tf.debugging.Assert(~tf.reduce_any(unknown), [text, found], summarize=10))
        with tf.control_dependencies(checks):
            return tf.identity(rows)

    def of_candidates(self, inputs: Tensors, rows: tf.Tensor) -> Tensors:
        """Returns the lists of given candidates [B, C], each with its own statistics."""
        statistics = [inputs[STATISTIC + statistic.name] for statistic in self.spec.statistics]
        shape = tf.concat([tf.shape(rows), [0]], axis=0)
        of_each = tf.stack(statistics, axis=-1) if statistics else tf.zeros(shape)
        return self._lists(inputs, rows, of_each)

    def of_retrieved(self, inputs: Tensors, rows: tf.Tensor) -> Tensors:
        """Returns the lists of retrieved candidates [B, C]; their statistics are found by their ids."""
        if not self.spec.statistics:
            return self._lists(inputs, rows, tf.zeros(tf.concat([tf.shape(rows), [0]], axis=0)))
        known = self.items.rows_or_none(inputs["statistic_item_id"])
        given = tf.stack([inputs[STATISTIC + statistic.name] for statistic in self.spec.statistics], axis=-1)
        # Place 0 is that of items that are not named.
        given = tf.pad(given, [[0, 0], [1, 0], [0, 0]], constant_values=np.nan)
        size = tf.shape(known)
        at = tf.stack([tf.broadcast_to(tf.range(size[0])[:, None], size), known], axis=-1)
        number = tf.where(known >= FIRST_ROW, tf.range(1, size[1] + 1)[None], 0)
        place = tf.tensor_scatter_nd_max(tf.zeros([size[0], self.spec.items], tf.int32), at, number)
        found = tf.gather(given, tf.gather(place, rows, batch_dims=1), batch_dims=1)
        return self._lists(inputs, rows, found)

    def _lists(self, inputs: Tensors, rows: tf.Tensor, statistics: tf.Tensor) -> Tensors:
        real = tf.cast(rows != PADDING_ROW, tf.float32)
        lists = {
            "candidate": rows,
            "hidden": tf.zeros_like(rows, tf.bool),
            "statistics": statistics,
            "length": tf.reduce_sum(real, axis=1),
        }
        for column in self.columns:
            value = inputs[CONTEXT + column.name]
            categorical = column.kind == "categorical"
            lists[f"context.{column.name}"] = self.context[column.name].rows(value) if categorical else value
        return lists
