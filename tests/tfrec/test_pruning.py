"""Pruning: the schedule by hand, what is zeroed, and a run that ends as sparse as it was asked to."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.tfrec.test_training import PLAIN, settings
from tfrec.distribution.workers import Workers
from tfrec.errors import SettingsError
from tfrec.pruning import EVERY, AboveThreshold, prunable, prune, sparsity_at
from tfrec.training import train

SPARSE = ("model.dimensions=32", "model.feed_forward=32", "training.sparsity=0.6", "training.epochs=2")


class Stop(keras.callbacks.Callback):
    """Breaks a run off at the end of its first epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        raise KeyboardInterrupt


class Seen(keras.callbacks.Callback):
    """Notes the share of zeros of the weights as a step leaves them."""

    def __init__(self) -> None:
        super().__init__()
        self.shares: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.shares.append(zeros(self.model.trainable_weights))


def zeros(weights: list[keras.Variable]) -> float:
    pruned = [w.numpy() for w in prunable(weights)]
    return sum((w == 0).sum() for w in pruned) / sum(w.size for w in pruned)


def test_the_schedule_is_a_cubic_between_begin_and_end() -> None:
    s = settings(*SPARSE, "training.pruning_begin=0.25", "training.pruning_end=0.75").training
    assert [sparsity_at(step, s, 100) for step in (0, 50, 150, 200)] == [0.0, 0.0, 0.6, 0.6]
    assert sparsity_at(100, s, 100) == pytest.approx(0.6 * (1 - 0.5**3))


def test_the_smallest_numbers_are_zeroed_and_stay_zero() -> None:
    weight = keras.Variable(np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32))
    small = keras.Variable(np.ones((4, 4), np.float32))
    before = weight.numpy()
    prune([weight, small], 0.75)
    gone = weight.numpy() == 0
    assert gone.mean() == 0.75
    assert np.abs(before[gone]).max() < np.abs(before[~gone]).min()
    np.testing.assert_array_equal(weight.numpy()[~gone], before[~gone])
    assert (small.numpy() == 1).all()
    constraint = AboveThreshold()
    np.testing.assert_array_equal(constraint(tf.constant(before)), before)
    constraint.threshold.assign(0.5)
    np.testing.assert_array_equal(constraint(tf.constant(before)) != 0, np.abs(before) > 0.5)


def test_a_run_gets_sparse_ends_so_and_goes_on_alike(rich_folder: Path, tmp_path: Path) -> None:
    asked, seen = settings(*SPARSE, *PLAIN), Seen()
    whole = train(rich_folder, tmp_path / "whole", asked, quiet=True, callbacks=[seen])
    assert zeros(whole.model.trainable_weights) >= 0.6
    assert len(seen.shares) // 2 <= EVERY  # an epoch's first step alone looks
    first, second = seen.shares[: len(seen.shares) // 2], seen.shares[len(seen.shares) // 2 :]
    # Half of the steps are over when the second epoch begins: 0.6 of the way from 0.2 to 0.7.
    assert max(first) < 0.05
    expected = sparsity_at(len(first), asked.training, len(first))
    assert min(second) > expected - 0.1
    with pytest.raises(KeyboardInterrupt):
        train(rich_folder, tmp_path / "broken", asked, quiet=True, callbacks=[Stop()])
    resumed = train(rich_folder, tmp_path / "broken", asked, quiet=True)
    for ours, theirs in zip(resumed.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)


def test_pruning_of_several_replicas_is_refused(rich_folder: Path, tmp_path: Path) -> None:
    two = Workers()
    two.replicas = 2
    with pytest.raises(SettingsError, match=r"training\.sparsity is for one process"):
        train(rich_folder, tmp_path / "model", settings(*SPARSE), quiet=True, workers=two)
