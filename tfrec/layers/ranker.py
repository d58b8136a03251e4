"""Probabilities of given candidates, from the state of a request, its events, and what is known of each."""

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.attention import Attention
from tfrec.layers.blocks import BLOCKS
from tfrec.layers.cross import Cross
from tfrec.layers.experts import Experts
from tfrec.layers.relations import Tensors
from tfrec.schema import FIRST_ROW, PADDING_ROW
from tfrec.spec import ModelSpec


@keras.saving.register_keras_serializable("tfrec")
class Ranker(keras.layers.Layer):
    """Lists of candidates -> logits of the tasks, each of the probability given its parent task.

    A candidate is the sum of what its embedding e, the request's state h, their product h ∘ e, its
    statistics, its score in retrieval, the context of the request and the length of its list give; then
    come attention over the events of the sequence (Zhou et al. 2018, DIN, here with the softmax of a
    Transformer) and blocks in which the candidates of a list see each other (Pei et al. 2019, PRM); without
    such blocks one remains, in which each sees itself alone. By setting the sum is crossed with itself
    first, and experts come before the head.
    Statistics are taken as log(1 + x), standardised; what is missing has a weight of its own.

    Args:
        spec: the model's.

    Shapes: M lists, C candidates, P places of a packed row, S statistics, T tasks.
    """

    def __init__(self, spec: ModelSpec | dict[str, Any], **kwargs: Any) -> None:
        # Statistics become logarithms in float32 whatever the policy: in bfloat16 300 clicks are 301.
        super().__init__(**kwargs, autocast=False)
        self.spec = ModelSpec.model_validate(spec)
        s, policy = self.spec.settings, self.dtype_policy
        own = self.spec.ranking
        given = ["embedding", "state", "product"]
        given += ["statistics"] if self.spec.statistics else []
        given += ["retrieval"] if self.spec.scored else []
        self.parts = {
            name: keras.layers.Dense(s.dimensions, use_bias=name == "embedding", name=name, dtype=policy)
            for name in given
        }
        self.cross = self.experts = self.attention = self.attention_norm = None
        if own.cross:
            self.cross = Cross(s.dimensions, own.cross, name="cross", dtype=policy)
        if own.attention:
            self.attention = Attention(s.dimensions, s.heads, name="attention", dtype=policy)
            self.attention_norm = keras.layers.RMSNormalization(name="attention_norm", dtype=policy)
        self.blocks = [
            BLOCKS[s.block](
                s.dimensions,
                s.heads,
                s.feed_forward,
                own.dropout,
                alone=not self.spec.list_blocks,
                name=f"list_{i}",
                dtype=policy,
            )
            for i in range(max(self.spec.list_blocks, 1))
        ]
        self.norm = keras.layers.RMSNormalization(name="norm", dtype=policy)
        if own.sharing != "shared":
            per_task = own.experts if own.sharing == "ple" else 0
            self.experts = Experts(
                len(own.tasks),
                s.dimensions,
                own.experts,
                per_task,
                own.expert_levels,
                name="experts",
                dtype=policy,
            )
        # Of one representation for all tasks, or of one for each.
        equation, axes = ("mctd,dt->mct", "t") if self.experts is not None else ("mcd,dt->mct", "t")
        self.head = keras.layers.EinsumDense(
            equation, output_shape=(None, len(own.tasks)), bias_axes=axes, name="head", dtype="float32"
        )

    def build(self, input_shape: Any = None) -> None:
        dimensions = self.spec.settings.dimensions
        shape = (None, None, dimensions)
        widths = {"statistics": 2 * len(self.spec.statistics), "retrieval": 2}
        for name, layer in self.parts.items():
            layer.build((None, None, widths.get(name, dimensions)))
        for layer in (self.cross, self.attention, self.attention_norm, *self.blocks, self.norm, self.experts):
            if layer is not None:
                layer.build(shape)
        self.head.build(
            shape if self.experts is None else (None, None, len(self.spec.ranking.tasks), dimensions)
        )
        init = keras.initializers.RandomNormal(stddev=0.05)
        facts = self.spec.impressions
        sizes = {c.name: c.size if c.kind == "categorical" else 1 for c in facts.context} if facts else {}
        self.tables = {
            name: self.add_weight(name=f"table_{name}", shape=(size, dimensions), initializer=init)
            for name, size in sizes.items()
        }
        self.length = self.add_weight(name="length", shape=(dimensions,), initializer="zeros")

    def call(
        self,
        lists: Tensors,
        embedding: tf.Tensor,
        state: tf.Tensor,
        events: tf.Tensor,
        visible: tf.Tensor,
        retrieval: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns logits [M, C, T].

        Args:
            lists: `candidate` [M, C] int32, PADDING_ROW where there is none; `statistics` [M, C, S] float32,
                raw; `length` [M] float32; `context.NAME` [M].
            embedding: [M, C, D] of the candidates.
            state: [M, D] of the requests.
            events: [M, P, D], what the encoder says of the places of each request's row.
            visible: [M, P] bool, which of them the request may look at.
            retrieval: [M, C] float32, the candidates' scores in retrieval; None: they are no input.
        """
        real = lists["candidate"] != PADDING_ROW
        given = {"embedding": embedding, "product": embedding * state[:, None]}
        if self.spec.statistics:
            given["statistics"] = self._statistics(lists["statistics"])
        if retrieval is not None:
            given["retrieval"] = _scores(retrieval, (lists["candidate"] >= FIRST_ROW) & ~lists["hidden"])
        x = tf.add_n([self.parts[name](value) for name, value in given.items()])
        x += (self.parts["state"](state) + self._circumstances(lists))[:, None]
        if self.cross is not None:
            x = self.cross(x)
        if self.attention is not None and self.attention_norm is not None:
            seen = tf.broadcast_to(visible[:, None], [*_shape(real), tf.shape(visible)[-1]])
            x += self.attention(self.attention_norm(x), events, seen, None)
        together = real[:, :, None] & real[:, None, :] if self.spec.list_blocks else None
        for block in self.blocks:
            x = block(x, together, None, training=training)
        x = self.norm(x)
        return self.head(x if self.experts is None else self.experts(x))

    def _statistics(self, raw: tf.Tensor) -> tf.Tensor:
        """[M, C, 2 S] standardised logarithms, 0 where missing, and what is missing."""
        # What never lacked in training cannot say so in a request: it counts as 0.
        lacks = tf.constant([s.lacks for s in self.spec.statistics])
        raw = tf.where(tf.math.is_finite(raw) | lacks, raw, 0.0)
        known = tf.math.is_finite(raw)
        mean, std = (
            tf.constant([getattr(s, name) for s in self.spec.statistics], tf.float32)
            for name in ("mean", "std")
        )
        logs = tf.math.log1p(tf.maximum(tf.where(known, raw, 0.0), 0.0))
        missing = tf.cast(~known, tf.float32)
        return tf.concat([tf.where(known, (logs - mean) / std, 0.0), missing], axis=-1)

    def _circumstances(self, lists: Tensors) -> tf.Tensor:
        """[M, D] of the context and of the length of the list."""
        facts = self.spec.impressions
        length = tf.math.log1p(lists["length"])
        if facts is not None and facts.sampled:
            length = tf.zeros_like(length)  # it would tell how many of the list have a label
        found = length[:, None] * tf.cast(self.length, tf.float32)
        for column in facts.context if facts else ():
            value, table = lists[f"context.{column.name}"], self.tables[column.name]
            if column.kind == "categorical":
                there = tf.cast(value != PADDING_ROW, tf.float32)[:, None]
                found += tf.cast(tf.gather(table, value), tf.float32) * there
            else:
                standard = tf.where(tf.math.is_finite(value), (value - column.mean) / column.std, 0.0)
                found += standard[:, None] * tf.cast(table, tf.float32)
        return tf.cast(found, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"spec": self.spec.model_dump(mode="json")}


def _scores(score: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """[M, C, 2] scores in retrieval, 0 where there is none, and where there is one."""
    known &= tf.math.is_finite(score)
    return tf.stack([tf.where(known, score, 0.0), tf.cast(known, tf.float32)], axis=-1)


def _shape(x: tf.Tensor) -> list[tf.Tensor]:
    return tf.unstack(tf.shape(x))
