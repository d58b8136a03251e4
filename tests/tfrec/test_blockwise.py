"""Sums over blocks: the same values and gradients as the sum written out."""

import numpy as np
import pytest
import tensorflow as tf

from tfrec.blockwise import Block, sum_over_blocks


def of_block(block: Block, shared: tf.Tensor) -> tf.Tensor:
    scores = tf.matmul(block["query"], shared, transpose_b=True)
    target = tf.gather(scores, block["target"], batch_dims=1)
    every = tf.concat([scores, block["log"]], axis=-1)
    return tf.reduce_sum((tf.reduce_logsumexp(every, axis=-1) - target) * block["more"][0])


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_are_those_of_the_sum(compiled: bool) -> None:
    random = np.random.default_rng(0)
    query = tf.Variable(random.normal(size=(3, 4, 5)).astype(np.float32))
    shared = tf.Variable(random.normal(size=(6, 5)).astype(np.float32))
    weight = tf.Variable(random.random((3, 4)).astype(np.float32))
    target = tf.constant(random.integers(0, 6, (3, 4)), tf.int32)
    # Logarithms of what may be 0, as scores of what somebody had are.
    log = tf.Variable(np.where(random.random((3, 4, 2)) < 0.5, -np.inf, 1.0).astype(np.float32))
    variables = [query, shared, weight, log]

    def both() -> list[tf.Tensor]:
        with tf.GradientTape(persistent=True) as tape:
            blocks = {"query": query * 2.0, "target": target, "more": (weight * 1.0,), "log": log * 1.0}
            found = 3.0 * sum_over_blocks(of_block, blocks, shared + 1.0)
            each = [
                of_block(
                    {"query": query[g] * 2.0, "target": target[g], "more": (weight[g],), "log": log[g]},
                    shared + 1.0,
                )
                for g in range(3)
            ]
            expected = 3.0 * tf.add_n(each)
        return [found, expected, *tape.gradient(found, variables), *tape.gradient(expected, variables)]

    found, expected, *gradients = tf.function(both, jit_compile=True)() if compiled else both()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for one, other in zip(gradients[:4], gradients[4:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
