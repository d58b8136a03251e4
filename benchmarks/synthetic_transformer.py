"""A servable as costly as a trained model of Complete Journey's size, with random weights."""

import numpy as np
import tensorflow as tf

from benchmarks.synthetic import CatalogueModule, Tensors

ITEMS, WIDTH, LENGTH, BLOCKS, HEADS = 13_000, 64, 256, 2, 4


class TransformerModule(CatalogueModule):
    """Item and position embeddings, causal Transformer blocks, and the newest event's output as the query.

    Args:
        version: what the scores show.
        items: N.
        width: D.
        max_length: L.
        blocks: Transformer blocks.
        k: items in an answer.
    """

    def __init__(
        self,
        version: int = 1,
        *,
        items: int = ITEMS,
        width: int = WIDTH,
        max_length: int = LENGTH,
        blocks: int = BLOCKS,
        k: int = 20,
    ) -> None:
        rng = np.random.default_rng(7)

        def weights(*shape: int) -> tf.Variable:
            return tf.Variable(rng.normal(0, shape[0] ** -0.5, shape).astype(np.float32))

        table = np.concatenate([rng.normal(0, 1, (items, width)), np.zeros((items, 1))], axis=1)
        super().__init__(range(1, items + 1), table, version=version, max_length=max_length, k=k)
        self.positions = weights(max_length, width)
        self.blocks = [
            {
                "qkv": weights(width, 3 * width),
                "out": weights(width, width),
                "up": weights(width, 4 * width),
                "down": weights(4 * width, width),
            }
            for _ in range(blocks)
        ]

    def query(self, inputs: Tensors) -> tf.Tensor:
        length = tf.minimum(inputs["length"], self.max_length)
        rows = tf.maximum(self.rows.lookup(inputs["item_id"]), 0)
        hidden = tf.gather(self.table, rows)[..., :-1] + self.positions[: tf.shape(rows)[1]]
        seen = tf.linalg.band_part(tf.ones([tf.shape(rows)[1]] * 2, tf.bool), -1, 0)
        for block in self.blocks:
            hidden += attention(_norm(hidden), block["qkv"], seen) @ block["out"]
            hidden += tf.nn.gelu(_norm(hidden) @ block["up"]) @ block["down"]
        newest = tf.gather(_norm(hidden), tf.maximum(length - 1, 0), batch_dims=1)
        return tf.concat([newest, tf.ones_like(newest[:, :1])], axis=1)


def attention(hidden: tf.Tensor, weights: tf.Variable, seen: tf.Tensor) -> tf.Tensor:
    """softmax(QKᵀ/√d)V over the places that are seen; [B, L, D] -> [B, L, D]."""
    size = weights.shape[0] // HEADS

    def heads(tensor: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(tensor)
        return tf.transpose(tf.reshape(tensor, [shape[0], shape[1], HEADS, size]), [0, 2, 1, 3])

    Q, K, V = (heads(part) for part in tf.split(hidden @ weights, 3, axis=-1))
    scores = tf.where(seen, tf.matmul(Q, K, transpose_b=True) * size**-0.5, -1e9)
    mixed = tf.transpose(tf.nn.softmax(scores) @ V, [0, 2, 1, 3])
    return tf.reshape(mixed, tf.shape(hidden))


def _norm(hidden: tf.Tensor) -> tf.Tensor:
    mean, variance = tf.nn.moments(hidden, axes=[-1], keepdims=True)
    return (hidden - mean) * tf.math.rsqrt(variance + 1e-6)
