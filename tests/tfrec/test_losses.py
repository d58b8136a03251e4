"""The loss and its sampling correction, against numbers worked out in numpy."""

import numpy as np
import tensorflow as tf

from tfrec.losses import log_add_exp, mixture_cross_entropy
from tfrec.negatives import draw_uniform, log_expected_count
from tfrec.schema import FIRST_ROW


def test_loss_by_hand() -> None:
    # Scores 2, 1, 0; the target is the first; columns 1 and 2 are drawn 4 times and half a time on average.
    loss = mixture_cross_entropy(
        tf.constant([[1.0, 0.0, 0.0]]),
        tf.constant([[2.0, 1.0, 0.0]]),
        tf.constant([1.0]),
        log_expected_count=tf.math.log([7.0, 4.0, 0.5]),
    )
    expected = np.log(np.exp(2) + np.exp(1) / 4 + np.exp(0) / 0.5) - 2
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_copies_share_the_normaliser() -> None:
    # r = 0.5 and 1.5; the second is a copy of the target.
    loss = mixture_cross_entropy(
        tf.constant([[0.0, 1.0]]),
        tf.constant([[3.0, -1.0]]),
        tf.constant([2.0]),
        log_expected_count=tf.zeros(2),
        copy_target=tf.constant([1.5]),
        copy_total=tf.constant([np.log(np.exp(0.5) + np.exp(1.5))], tf.float32),
    )
    z = np.exp(3) + np.exp(-1) + np.exp(0.5) + np.exp(1.5)
    np.testing.assert_allclose(loss, 2 * (np.log(z) - np.log(np.exp(-1) + np.exp(1.5))), rtol=1e-6)


def test_weights_of_zero_count_nothing() -> None:
    loss = mixture_cross_entropy(
        tf.eye(2),
        tf.constant([[1.0, 2.0], [9.0, -9.0]]),
        tf.constant([1.0, 0.0]),
        log_expected_count=tf.zeros(2),
    )
    np.testing.assert_allclose(loss, np.log(np.e + np.e**2) - 1, rtol=1e-6)


def test_corrected_sum_is_unbiased() -> None:
    """The mean of the sampled normaliser is the sum over the whole catalogue: sign and size of logQ."""
    random = np.random.default_rng(0)
    items, in_batch, uniform = 12, 6, 5
    share = random.dirichlet(np.ones(items)).astype(np.float32)
    scores = random.normal(size=items)
    table = np.concatenate([np.zeros(FIRST_ROW), share]).astype(np.float32)
    total = 0.0
    draws = 20_000
    counts = np.exp(
        log_expected_count(
            np.arange(items) + FIRST_ROW, tf.constant(table), in_batch, uniform, items + FIRST_ROW
        ).numpy()
    )
    for _ in range(draws):
        drawn = np.append(
            random.choice(items, in_batch, p=share / share.sum()),
            draw_uniform(random, items + FIRST_ROW, uniform) - FIRST_ROW,
        )
        total += (np.exp(scores[drawn]) / counts[drawn]).sum()
    np.testing.assert_allclose(total / draws, np.exp(scores).sum(), rtol=0.02)


def test_uniform_draws_are_items_of_the_catalogue() -> None:
    rows = draw_uniform(np.random.default_rng(1), 5, 1000)
    assert set(rows.tolist()) == {2, 3, 4}
    assert rows.dtype == np.int32


def test_log_add_exp_of_extremes() -> None:
    found = log_add_exp(tf.constant([1000.0, -1e9, 0.0]), tf.constant([999.0, 0.0, -1e9])).numpy()
    np.testing.assert_allclose(found, [1000 + np.log1p(np.exp(-1)), 0, 0], rtol=1e-6)
