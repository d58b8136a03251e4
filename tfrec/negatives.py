"""Samplers of negatives, each with its sampling probabilities."""

import numpy as np
import tensorflow as tf

from tfrec.schema import FIRST_ROW


def draw_uniform(random: np.random.Generator, items: int, count: int) -> np.ndarray:
    """Returns rows of the catalogue, drawn uniformly and with replacement: [count] int32.

    Args:
        random: the source of chance.
        items: rows of the item table, padding and unknown included.
        count: how many rows.
    """
    return random.integers(FIRST_ROW, items, count, dtype=np.int32)


def log_expected_count(
    rows: tf.Tensor, target_share: tf.Tensor, in_batch: tf.Tensor, uniform: int, items: int
) -> tf.Tensor:
    """Returns how often a draw of both samplers is expected to hold each of the rows, as a logarithm.

    A row's item comes as an in-batch negative in proportion to its share of the targets, and as a
    uniform one in proportion to one in the catalogue: m = in_batch · share + uniform / N.

    Args:
        rows: [C] int32.
        target_share: [items] float32: each item's share of all training targets.
        in_batch: scalar, how many targets of the batch serve as negatives.
        uniform: how many rows are drawn uniformly.
        items: rows of the item table, padding and unknown included.
    """
    expected = in_batch * tf.gather(target_share, rows) + uniform / (items - FIRST_ROW)
    return tf.math.log(tf.maximum(expected, 1e-12))
