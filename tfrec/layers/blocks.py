"""The blocks that an encoder is a stack of, one interface.

Input: x [B, P, D], visible [B, P, P] bool (None where places stand alone), terms [H, B, P, P] float32 or
None. Output: [B, P, D].
"""

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.activations import silu
from tfrec.layers.attention import Attention, join_heads, rotate, split_heads


class Block(keras.layers.Layer):
    """Base of blocks.

    Args:
        dimensions: D.
        heads: H.
        feed_forward: hidden units of the SwiGLU layer; `HSTUBlock` has none and takes no notice.
        dropout: share of a residual's numbers that training leaves out.
        rotary: see `Attention`.
        alone: each place sees itself alone.
    """

    def __init__(
        self,
        dimensions: int,
        heads: int,
        feed_forward: int,
        dropout: float,
        rotary: bool = False,
        alone: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dimensions = dimensions
        self.heads = heads
        self.feed_forward = feed_forward
        self.dropout = dropout
        self.rotary = rotary
        self.alone = alone

    def dense(self, units: int, name: str, activation: Any = None) -> keras.layers.Dense:
        """Returns a linear layer without bias."""
        return keras.layers.Dense(
            units, activation=activation, use_bias=False, name=name, dtype=self.dtype_policy
        )

    def norm(self, name: str) -> keras.layers.RMSNormalization:
        """Returns an RMS norm."""
        return keras.layers.RMSNormalization(name=name, dtype=self.dtype_policy)

    def drop(self, name: str) -> keras.layers.Dropout:
        """Returns the dropout of a residual."""
        return keras.layers.Dropout(self.dropout, name=name, dtype=self.dtype_policy)

    def get_config(self) -> dict[str, Any]:
        names = ("dimensions", "heads", "feed_forward", "dropout", "rotary", "alone")
        return super().get_config() | {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("tfrec")
class TransformerBlock(Block):
    """x + Attention(norm(x)), then x + SwiGLU(norm(x)) (Shazeer 2020), RMS norms, dropout on both."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.norms = [self.norm(f"norm_{i}") for i in range(2)]
        self.attention = Attention(
            self.dimensions, self.heads, self.rotary, self.alone, name="attention", dtype=self.dtype_policy
        )
        self.gate = self.dense(self.feed_forward, "gate", silu)
        self.up = self.dense(self.feed_forward, "up")
        self.down = self.dense(self.dimensions, "down")
        self.drops = [self.drop(f"drop_{i}") for i in range(2)]

    def build(self, input_shape: Any = None) -> None:
        shape = (None, None, self.dimensions)
        for layer in (*self.norms, self.attention, self.gate, self.up):
            layer.build(shape)
        self.down.build((None, None, self.feed_forward))

    def call(
        self, x: tf.Tensor, visible: tf.Tensor | None, terms: tf.Tensor | None, training: bool | None = None
    ) -> tf.Tensor:
        normed = self.norms[0](x)
        x = self._add(0, x, normed, self.attention(normed, normed, visible, terms), training)
        normed = self.norms[1](x)
        return self._add(1, x, normed, self.down(self.gate(normed) * self.up(normed)), training)

    def _add(
        self, number: int, x: tf.Tensor, normed: tf.Tensor, change: tf.Tensor, training: bool | None
    ) -> tf.Tensor:
        return x + self.drops[number](change, training=training)


@keras.saving.register_keras_serializable("tfrec")
class GatedBlock(TransformerBlock):
    """A Transformer block whose residuals are gated: x + sigmoid(norm(x) W) · change.

    Source: Borisyuk et al., "From Features to Transformers: Redefining Ranking for Scalable
    Impact" (LiGR), 2024.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.residual_gates = [self.dense(self.dimensions, f"residual_gate_{i}", "sigmoid") for i in range(2)]

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        for layer in self.residual_gates:
            layer.build((None, None, self.dimensions))

    def _add(
        self, number: int, x: tf.Tensor, normed: tf.Tensor, change: tf.Tensor, training: bool | None
    ) -> tf.Tensor:
        gate = self.residual_gates[number](normed)
        return x + self.drops[number](gate * change, training=training)


@keras.saving.register_keras_serializable("tfrec")
class HSTUBlock(Block):
    """x + W(norm(A V) ⊙ U), with U, V, Q, K = SiLU(norm(x) W) and A = SiLU(Q Kᵀ + T) / n.

    Attention that is not normalised keeps how strongly, and how often, something was met; n is the
    number of events that a place sees.

    Source: Zhai et al., "Actions Speak Louder than Words: Trillion-Parameter Sequential
    Transducers for Generative Recommendations", ICML 2024.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.norms = [self.norm(f"norm_{i}") for i in range(2)]
        self.project = self.dense(4 * self.dimensions, "project", silu)
        self.out = self.dense(self.dimensions, "out")
        self.drops = [self.drop("drop")]

    def build(self, input_shape: Any = None) -> None:
        shape = (None, None, self.dimensions)
        for layer in (*self.norms, self.project, self.out):
            layer.build(shape)

    def call(
        self, x: tf.Tensor, visible: tf.Tensor | None, terms: tf.Tensor | None, training: bool | None = None
    ) -> tf.Tensor:
        u, v, q, k = tf.split(self.project(self.norms[0](x)), 4, axis=-1)
        v, q, k = (split_heads(part, self.heads) for part in (v, q, k))
        if self.alone:
            score = tf.reduce_sum(tf.cast(q, tf.float32) * tf.cast(k, tf.float32), axis=-1, keepdims=True)
            mixed = tf.cast(silu(score), v.dtype) * v
        else:
            mixed = self._mixed(q, k, v, visible, terms)
        return x + self.drops[0](self.out(self.norms[1](join_heads(mixed)) * u), training=training)

    def _mixed(
        self, q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, visible: tf.Tensor, terms: tf.Tensor | None
    ) -> tf.Tensor:
        if self.rotary:
            q, k = rotate(q), rotate(k)
        scores = tf.cast(tf.matmul(q, k, transpose_b=True), tf.float32)
        if terms is not None:
            scores += tf.cast(tf.transpose(terms, [1, 0, 2, 3]), tf.float32)
        seen = tf.cast(visible, tf.float32)[:, None]
        weights = silu(scores) * seen / tf.maximum(tf.reduce_sum(seen, axis=-1, keepdims=True), 1.0)
        return tf.matmul(tf.cast(weights, v.dtype), v)


BLOCKS: dict[str, type[Block]] = {
    "transformer": TransformerBlock,
    "gated": GatedBlock,
    "hstu": HSTUBlock,
}
