"""The loss and its sampling correction, against numbers worked out in numpy."""

import numpy as np
import tensorflow as tf

from tfrec.config import LossSettings
from tfrec.losses import (
    Further,
    SecondSums,
    binary_cross_entropy,
    gbce_exponent,
    log_add_exp,
    loss_function,
    mixture_cross_entropy,
)
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
        second=SecondSums(tf.constant([[1.5]]), tf.constant([np.log(np.exp(0.5) + np.exp(1.5))], tf.float32)),
    )
    z = np.exp(3) + np.exp(-1) + np.exp(0.5) + np.exp(1.5)
    np.testing.assert_allclose(loss, 2 * (np.log(z) - np.log(np.exp(-1) + np.exp(1.5))), rtol=1e-6)


def test_several_targets_share_the_normaliser_and_the_loss() -> None:
    # Beside the first target (score 3, copies 0.5): one of score 1 (copies -1), and one that counts nothing.
    total = np.log(np.exp(0.5) + np.exp(-1))
    loss = mixture_cross_entropy(
        tf.constant([[1.0, 0.0]]),
        tf.constant([[3.0, 1.0]]),
        tf.constant([2.0]),
        log_expected_count=tf.zeros(2),
        second=SecondSums(tf.constant([[0.5, -1.0, 4.0]]), tf.constant([total], tf.float32)),
        further=Further(tf.constant([[1.0, 7.0]]), tf.constant([[1.0, 0.0]])),
    )
    z = np.exp(3) + np.exp(1) + np.exp(total)
    likelihoods = np.log([np.exp(3) + np.exp(0.5), np.exp(1) + np.exp(-1)])
    np.testing.assert_allclose(loss, 2 * (np.log(z) - likelihoods.mean()), rtol=1e-6)


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


def test_smoothing_by_hand() -> None:
    # The target's own column takes no part as a negative; the catalogue's mean is of columns 1 and 2,
    # which are drawn twice and half a time on average: weights 1/2 and 2.
    given = (tf.constant([[1.0, 0.0, 0.0]]), tf.constant([[2.0, 1.0, 0.0]]), tf.constant([1.0]))
    counts = tf.concat([[1e9], tf.math.log([2.0, 0.5])], axis=0)
    z = np.log(np.exp(2) + np.exp(1) / 2 + np.exp(0) * 2)
    mean = (1.0 / 2 + 0.0 * 2) / (1 / 2 + 2)
    expected = 0.9 * (z - 2) + 0.1 * (z - mean)
    found = mixture_cross_entropy(*given, log_expected_count=counts, smoothing=0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_binary_losses_by_hand() -> None:
    # Target 1.5; negatives 0.5 and -1; an accidental hit; a column that takes no part.
    scores = tf.constant([[1.5, 0.5, -1.0, -1e9, 3.0]])
    counts = tf.constant([1e9, 0.0, 0.0, 0.0, 1e9])
    given = (tf.constant([[1.0, 0, 0, 0, 0]]), scores, tf.constant([2.0]))
    sigma = 1 / (1 + np.exp(-np.array([1.5, 0.5, -1.0])))
    for beta in (1.0, 0.3):
        expected = -2 * (beta * np.log(sigma[0]) + np.log(1 - sigma[1:]).sum())
        found = binary_cross_entropy(*given, log_expected_count=counts, beta=beta)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    # A copy of the target (0.2) joins its score; the others' (0.7 and 0.1 together) is one more negative.
    second = SecondSums(
        tf.constant([[0.2]]), tf.constant([np.log(np.exp([0.2, 0.7, 0.1]).sum())], tf.float32)
    )
    target = np.exp(1.5) + np.exp(0.2)
    other = np.exp(0.7) + np.exp(0.1)
    expected = -2 * (np.log(target / (1 + target)) + np.log(1 - sigma[1:]).sum() - np.log(1 + other))
    found = binary_cross_entropy(*given, log_expected_count=counts, second=second)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_gbce_s_exponent() -> None:
    """Between 1 (t = 0: plain BCE) and α (t = 1: all of the sampling undone)."""
    assert gbce_exponent(10, 101, 0.0) == 1.0
    np.testing.assert_allclose(gbce_exponent(10, 101, 1.0), 0.1)
    np.testing.assert_allclose(gbce_exponent(10, 101, 0.75), 0.1 * (0.75 * (1 - 10) + 10))


def test_kinds_of_loss_differ() -> None:
    given = (tf.constant([[1.0, 0.0]]), tf.constant([[1.0, 0.5]]), tf.constant([1.0]))
    found = {
        kind: float(loss_function(LossSettings(kind=kind), 5000)(*given, log_expected_count=tf.zeros(2)))
        for kind in ("softmax", "bce", "gbce")
    }
    assert len(set(found.values())) == 3
