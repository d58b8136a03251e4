"""Magnitude pruning: the smallest numbers of matrices and tables become 0 while a model trains.

The share that is 0 grows from none to the one asked for, s_t = s (1 - (1 - (t - t₀) / (t₁ - t₀))³), so that
what is left has time to stand in for what has gone.

Source: Zhu & Gupta, "To prune, or not to prune: exploring the efficacy of pruning", 2017.
"""

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec.config_training import TrainingSettings

EVERY = 100
"""Steps between two looks at what is small."""
SMALLEST = 1024
"""Numbers of a weight from which on it is worth pruning."""


class AboveThreshold(keras.constraints.Constraint):
    """Zeroes numbers up to a threshold that moves; 0 at first, which changes nothing."""

    def __init__(self) -> None:
        self.threshold = tf.Variable(0.0, trainable=False, name="threshold")

    def __call__(self, w: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.abs(w) > tf.cast(self.threshold, w.dtype), w, tf.zeros_like(w))


class Pruning(keras.callbacks.Callback):
    """Moves the thresholds; what is below them the optimizer zeroes after each of its steps.

    Thresholds depend on the weights and the step alone, and are looked at anew with each epoch, so that a run
    that was interrupted goes on as if it had not been.

    Args:
        model: to be pruned.
        settings: of the training.
        steps: of an epoch.
    """

    def __init__(self, model: keras.Model, settings: TrainingSettings, steps: int) -> None:
        super().__init__()
        self.settings = settings
        self.steps = steps
        self.epoch = 0
        self.pruned: list[tuple[Any, AboveThreshold]] = []
        for weight in prunable(model.trainable_weights):
            weight.constraint = AboveThreshold()
            self.pruned.append((weight, weight.constraint))

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if batch % EVERY == 0:
            share = sparsity_at(self.epoch * self.steps + batch, self.settings, self.steps)
            for weight, constraint in self.pruned:
                constraint.threshold.assign(threshold(weight.numpy(), share))


def prunable(weights: Iterable[Any]) -> list[Any]:
    """Returns matrices and tables that are large enough."""
    return [w for w in weights if len(w.shape) >= 2 and np.prod(w.shape) >= SMALLEST]


def sparsity_at(step: int, settings: TrainingSettings, steps: int) -> float:
    """Returns the share of numbers that are to be 0 at a step of the whole run.

    Args:
        step: from 0.
        settings: of the training.
        steps: of an epoch.
    """
    every = settings.epochs * steps
    begin, end = settings.pruning_begin * every, settings.pruning_end * every
    gone = float(np.clip((step - begin) / max(end - begin, 1.0), 0.0, 1.0))
    return settings.sparsity * (1 - (1 - gone) ** 3)


def threshold(weight: np.ndarray, share: float) -> float:
    """Returns the magnitude up to which a share of a weight's numbers lies; 0 for none of them."""
    count = math.ceil(share * weight.size)
    return float(np.partition(np.abs(weight), count - 1, axis=None)[count - 1]) if count else 0.0


def prune(weights: Iterable[Any], share: float) -> None:
    """Zeroes the smallest numbers of each matrix and table among a model's weights."""
    for weight in prunable(weights):
        value = weight.numpy()
        weight.assign(np.where(np.abs(value) > threshold(value, share), value, 0))
