"""The Transformer block: pre-norm attention with pairwise terms, and a gated feed-forward layer."""

from typing import Any

import keras
import tensorflow as tf

MASKED = -1e9
"""A score that no softmax sees, and that bfloat16 and float32 can hold."""


@keras.saving.register_keras_serializable("tfrec")
class Attention(keras.layers.Layer):
    """Multi-head softmax(Q Kᵀ / √d + T) V (Vaswani et al. 2017), d = D / H, T pairwise terms.

    Args:
        dimensions: D.
        heads: H.

    Input: queries [B, P, D], keys [B, S, D], visible [B, P, S] bool (True: seen), terms
    [H, B, P, S] float32 or None. Output: [B, P, D]. A position that sees nothing gets the mean
    of all values, to be left out by the caller.
    """

    def __init__(self, dimensions: int, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dimensions = dimensions
        self.heads = heads
        self.query, self.key, self.value, self.out = (
            keras.layers.Dense(dimensions, use_bias=False, name=name, dtype=self.dtype_policy)
            for name in ("query", "key", "value", "out")
        )

    def build(self, input_shape: Any = None) -> None:
        for layer in (self.query, self.key, self.value, self.out):
            layer.build((None, None, self.dimensions))

    def call(
        self, queries: tf.Tensor, keys: tf.Tensor, visible: tf.Tensor, terms: tf.Tensor | None
    ) -> tf.Tensor:
        q, k, v = self._split(self.query(queries)), self._split(self.key(keys)), self._split(self.value(keys))
        scores = (
            tf.cast(tf.matmul(q, k, transpose_b=True), tf.float32) * (self.dimensions / self.heads) ** -0.5
        )
        if terms is not None:
            scores += tf.cast(tf.transpose(terms, [1, 0, 2, 3]), tf.float32)
        scores = tf.where(visible[:, None], scores, MASKED)
        mixed = tf.matmul(tf.cast(tf.nn.softmax(scores), v.dtype), v)
        shape = tf.shape(queries)
        return self.out(tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [shape[0], shape[1], self.dimensions]))

    def _split(self, x: tf.Tensor) -> tf.Tensor:
        """[B, P, D] -> [B, H, P, D / H]."""
        shape = tf.shape(x)
        x = tf.reshape(x, [shape[0], shape[1], self.heads, self.dimensions // self.heads])
        return tf.transpose(x, [0, 2, 1, 3])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"dimensions": self.dimensions, "heads": self.heads}


@keras.saving.register_keras_serializable("tfrec")
class TransformerBlock(keras.layers.Layer):
    """x + Attention(norm(x)), then x + SwiGLU(norm(x)) (Shazeer 2020), RMS norms, dropout on both.

    Args:
        dimensions: D.
        heads: H.
        feed_forward: hidden units of the gated layer.
        dropout: share of a residual's numbers that training leaves out.

    Input: x [B, P, D], visible [B, P, P] bool, terms [H, B, P, P] float32 or None. Output: [B, P, D].
    """

    def __init__(self, dimensions: int, heads: int, feed_forward: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dimensions = dimensions
        self.heads = heads
        self.feed_forward = feed_forward
        self.dropout = dropout
        policy = self.dtype_policy
        self.norms = [keras.layers.RMSNormalization(name=f"norm_{i}", dtype=policy) for i in range(2)]
        self.attention = Attention(dimensions, heads, name="attention", dtype=policy)
        self.gate = keras.layers.Dense(
            feed_forward, activation="silu", use_bias=False, name="gate", dtype=policy
        )
        self.up = keras.layers.Dense(feed_forward, use_bias=False, name="up", dtype=policy)
        self.down = keras.layers.Dense(dimensions, use_bias=False, name="down", dtype=policy)
        self.drops = [keras.layers.Dropout(dropout, dtype=policy) for _ in range(2)]

    def build(self, input_shape: Any = None) -> None:
        shape = (None, None, self.dimensions)
        for layer in (*self.norms, self.attention, self.gate, self.up):
            layer.build(shape)
        self.down.build((None, None, self.feed_forward))

    def call(
        self, x: tf.Tensor, visible: tf.Tensor, terms: tf.Tensor | None, training: bool | None = None
    ) -> tf.Tensor:
        normed = self.norms[0](x)
        x += self.drops[0](self.attention(normed, normed, visible, terms), training=training)
        normed = self.norms[1](x)
        return x + self.drops[1](self.down(self.gate(normed) * self.up(normed)), training=training)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "dimensions": self.dimensions,
            "heads": self.heads,
            "feed_forward": self.feed_forward,
            "dropout": self.dropout,
        }
