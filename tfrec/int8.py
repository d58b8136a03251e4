"""A byte a number: tables and candidates as a servable of `precision=int8` keeps them.

Rows have a scale each, after Keras's quantisation by the largest magnitude. Only what is kept is small:
numbers are taken back to float32 where they are used.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Int8Table(tf.Module):
    """Rows of bytes in the place of a table.

    Args:
        table: [rows, D] float32.
        dtype: of what is looked up; that of the layer's computations, which Keras casts weights to by itself.
    """

    def __init__(self, table: Any, dtype: str = "float32") -> None:
        super().__init__(name="int8_table")
        numbers = np.asarray(table, np.float32)
        values, scale = keras.quantizers.abs_max_quantize(numbers, axis=-1, to_numpy=True)
        self.dtype = dtype
        self.values = tf.Variable(values, trainable=False, name="values")
        self.scale = tf.Variable(1 / np.asarray(scale, np.float32), trainable=False, name="scale")

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns [..., D] of rows [...]."""
        found = tf.cast(tf.gather(self.values, rows), tf.float32) * tf.gather(self.scale, rows)
        return tf.cast(found, self.dtype)


class Int8Candidates(Int8Table):
    """Candidates in bytes, their biases apart: these are of another size than the rest of a row.

    Args:
        candidates: [items, D + 1] float32 of all rows.
    """

    def __init__(self, candidates: tf.Tensor) -> None:
        super().__init__(candidates[:, :-1])
        self.bias = tf.Variable(candidates[:, -1], trainable=False, name="bias")

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns [..., D + 1] float32 of rows [...]."""
        return tf.concat([super().gather(rows), tf.gather(self.bias, rows)[..., None]], axis=-1)

    def product(self, query: tf.Tensor) -> tf.Tensor:
        """Returns the products with queries [Q, D + 1]: [Q, items] float32."""
        found = tf.matmul(query[:, :-1], tf.cast(self.values, tf.float32), transpose_b=True)
        return found * self.scale[:, 0] + query[:, -1:] * self.bias
