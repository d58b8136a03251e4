"""The best of many columns, by blocks, beside a sort."""

import numpy as np
import pytest
import tensorflow as tf

from tfrec.graph_index import BLOCK, MANY, best_of
from tfrec.schema import PADDING_ROW


@pytest.mark.parametrize("width", [MANY * BLOCK * 3, MANY * BLOCK * 3 + 1, 5000])
@pytest.mark.parametrize("values", [3, 10**6])
def test_the_best_of_blocks_are_the_best(width: int, values: int) -> None:
    """With few values nearly all are equal, and the first ones are to be found."""
    random = np.random.default_rng(0)
    scores = random.integers(0, values, (40, width)).astype(np.float32)
    scores[0, 5:] = -np.inf
    scores[1] = -np.inf
    scores[2, :-2] = -np.inf
    found, best = (tensor.numpy() for tensor in best_of(tf.constant(scores), None, 3))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    expected = np.take_along_axis(scores, order, axis=1)
    np.testing.assert_array_equal(best, expected)
    np.testing.assert_array_equal(found, np.where(np.isinf(expected), PADDING_ROW, order))


def test_fewer_than_are_wanted() -> None:
    found, best = best_of(tf.constant([[3.0, 4.0]]), tf.constant([[7, 9]]), 4)
    assert found.numpy().tolist() == [[9, 7, PADDING_ROW, PADDING_ROW]]
    assert best.numpy()[0, 2:].tolist() == [-np.inf, -np.inf]
