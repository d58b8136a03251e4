"""What workers find among their rows is, taken together, what one finds among all."""

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfrec.distribution.sharded_answers import ShardIndex, best_of_all
from tfrec.distribution.shards import part_of
from tfrec.graph_index import ExactIndex
from tfrec.layers.attention import MASKED

ITEMS, WIDTH, QUERIES, K = 23, 4, 5, 6


@given(seed=st.integers(0, 10_000), count=st.integers(1, 6), copies=st.booleans())
def test_parts_find_what_the_whole_finds(seed: int, count: int, copies: bool) -> None:
    random = np.random.default_rng(seed)
    candidates = tf.constant(random.normal(size=(ITEMS, WIDTH)), tf.float32)
    query = tf.constant(random.normal(size=(QUERIES, WIDTH)), tf.float32)
    second = tf.constant(random.integers(0, ITEMS, (QUERIES, 7)), tf.int32)
    score = random.normal(size=second.shape).astype(np.float32)
    score[:, 0] = MASKED
    scores = tf.where(second == 0, MASKED, tf.constant(score)) if copies else None
    barred = tf.constant(random.integers(0, ITEMS, (QUERIES, 3)), tf.int32)
    rows, best = ExactIndex(candidates).answer(query, second, scores, barred, K)
    found = []
    for index in range(count):
        begin, end = part_of(ITEMS, index, count)
        found.append(ShardIndex(candidates[begin:end], begin).answer(query, second, scores, barred, K))
    every = [np.stack(part) for part in zip(*found, strict=True)]
    np.testing.assert_array_equal(best_of_all(*every, K), rows)
    np.testing.assert_allclose(-np.sort(-np.concatenate(every[1], axis=1))[:, :K], best, rtol=1e-5)
