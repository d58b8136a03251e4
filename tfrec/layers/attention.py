"""Multi-head attention with pairwise terms."""

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
        rotary: turn queries and keys by their places (Su et al. 2021, RoFormer), so that their
            product knows the distance between them.
        alone: each position sees the key at its own place alone: its weight is 1 whatever the score would
            be, so there are no scores.

    Input: queries [B, P, D], keys [B, S, D], visible [B, P, S] bool (True: seen), terms
    [H, B, P, S] float32 or None. Output: [B, P, D]. A position that sees nothing gets the mean
    of all values, to be left out by the caller. Alone, what is visible and the terms count for nothing.
    """

    def __init__(
        self, dimensions: int, heads: int, rotary: bool = False, alone: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dimensions = dimensions
        self.heads = heads
        self.rotary = rotary
        self.alone = alone
        self.query = None if alone else self._dense("query")
        self.key = None if alone else self._dense("key")
        self.value, self.out = self._dense("value"), self._dense("out")

    def _dense(self, name: str) -> keras.layers.Dense:
        return keras.layers.Dense(self.dimensions, use_bias=False, name=name, dtype=self.dtype_policy)

    def build(self, input_shape: Any = None) -> None:
        for layer in (self.query, self.key, self.value, self.out):
            if layer is not None:
                layer.build((None, None, self.dimensions))

    def call(
        self, queries: tf.Tensor, keys: tf.Tensor, visible: tf.Tensor | None, terms: tf.Tensor | None
    ) -> tf.Tensor:
        if self.query is None or self.key is None:
            return self.out(self.value(keys))
        assert visible is not None
        q, k, v = (
            split_heads(x, self.heads) for x in (self.query(queries), self.key(keys), self.value(keys))
        )
        if self.rotary:
            q, k = rotate(q), rotate(k)
        scores = (
            tf.cast(tf.matmul(q, k, transpose_b=True), tf.float32) * (self.dimensions / self.heads) ** -0.5
        )
        if terms is not None:
            scores += tf.cast(tf.transpose(terms, [1, 0, 2, 3]), tf.float32)
        scores = tf.where(visible[:, None], scores, MASKED)
        mixed = tf.matmul(tf.cast(tf.nn.softmax(scores), v.dtype), v)
        return self.out(join_heads(mixed))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "dimensions": self.dimensions,
            "heads": self.heads,
            "rotary": self.rotary,
            "alone": self.alone,
        }


def split_heads(x: tf.Tensor, heads: int) -> tf.Tensor:
    """[B, P, D] -> [B, H, P, D / H]."""
    shape = tf.shape(x)
    x = tf.reshape(x, [shape[0], shape[1], heads, x.shape[-1] // heads])
    return tf.transpose(x, [0, 2, 1, 3])


def join_heads(x: tf.Tensor) -> tf.Tensor:
    """[B, H, P, D / H] -> [B, P, D]."""
    shape = tf.shape(x)
    x = tf.transpose(x, [0, 2, 1, 3])
    return tf.reshape(x, [shape[0], shape[2], x.shape[-2] * x.shape[-1]])


def rotate(x: tf.Tensor) -> tf.Tensor:
    """[..., P, d] with the pair (i, i + d/2) of place p turned by p · 10000^(-2i/d)."""
    half = x.shape[-1] // 2
    places = tf.range(tf.shape(x)[-2], dtype=tf.float32)
    speed = 10_000.0 ** (-tf.range(half, dtype=tf.float32) / half)
    angle = places[:, None] * speed
    cos, sin = tf.cast(tf.cos(angle), x.dtype), tf.cast(tf.sin(angle), x.dtype)
    a, b = x[..., :half], x[..., half : 2 * half]
    return tf.concat([a * cos - b * sin, a * sin + b * cos, x[..., 2 * half :]], axis=-1)
