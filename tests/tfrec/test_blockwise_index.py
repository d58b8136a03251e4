"""The search by blocks beside that over all scores at once."""

import numpy as np
import pytest
import tensorflow as tf

from tfrec.blockwise_index import BLOCK, CHUNK, BlockwiseIndex
from tfrec.graph_index import ExactIndex
from tfrec.layers.attention import MASKED
from tfrec.schema import FIRST_ROW, PADDING_ROW

QUERIES, WIDTH, K = 9, 8, 6


@pytest.mark.parametrize("items", [K * BLOCK + 5, CHUNK + FIRST_ROW, 2 * CHUNK + 77])
@pytest.mark.parametrize("some", [False, True])
def test_both_find_the_same(items: int, some: bool) -> None:
    random = np.random.default_rng(items)
    candidates = tf.constant(random.normal(size=(items, WIDTH)).astype(np.float32))
    query = tf.constant(random.normal(size=(QUERIES, WIDTH)).astype(np.float32))
    # The best of all, which may stand twice, are scored a second way or barred.
    best = np.argsort(-(query.numpy() @ candidates.numpy().T), axis=1)[:, :12]
    second = np.concatenate([random.integers(0, items, (QUERIES, 20)), best[:, 3:9], best[:, 3:6]], axis=1)
    second[0] = PADDING_ROW
    r = random.normal(0, 6, second.shape).astype(np.float32)
    r[second < FIRST_ROW], r[1] = MASKED, MASKED
    barred = np.concatenate(
        [best[:, :4], np.full((QUERIES, 2), PADDING_ROW), [[items - 1]] * QUERIES], axis=1
    )
    allowed = np.sort(random.choice(np.arange(FIRST_ROW, items), items * 2 // 3, replace=False)).astype(
        np.int32
    )
    listed = tf.constant(np.tile(allowed, (QUERIES, 1))) if some else None
    exact, blocks = ExactIndex(candidates), BlockwiseIndex(candidates, allowed if some else None)
    second, barred = tf.constant(second, tf.int32), tf.constant(barred, tf.int32)
    for scores in (tf.constant(r), None):
        expected, expected_score = exact.answer(query, second, scores, barred, K, listed)
        found, score = tf.function(blocks.answer)(query, second, scores, barred, K)
        np.testing.assert_allclose(score, expected_score, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(found, expected)
        assert not set(found.numpy().ravel()) & {0, 1}


def test_what_is_left_is_less_than_is_wanted() -> None:
    candidates = tf.random.stateless_normal([K * BLOCK + 2, WIDTH], [1, 2])
    rows = np.arange(5, 8, dtype=np.int32)
    none = tf.zeros([1, 1], tf.int32)
    found, score = BlockwiseIndex(candidates, np.arange(2, 194, dtype=np.int32)).answer(
        candidates[:1], none, None, tf.constant([[row for row in range(2, 194) if row not in rows]]), K
    )
    assert sorted(found.numpy()[0, :3]) == rows.tolist()
    assert found.numpy()[0, 3:].tolist() == [PADDING_ROW] * 3
    assert np.isneginf(score.numpy()[0, 3:]).all()
