"""Chance in layers, set anew at each epoch, so that a run that goes on repeats an undisturbed one."""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf


def set_seeds(model: keras.Model, seed: int, epoch: int, shares: Sequence[int] = (0,)) -> None:
    """Sets the state of every seed generator of a model from the run's seed and the epoch.

    Args:
        model: built, in the scope of a strategy where it has several replicas.
        seed: of the run.
        epoch: from 0.
        shares: of a batch those that the replicas of this process compute, each with chance of its own.
    """
    for number, generator in enumerate(_generators(model)):
        state = generator.state.value
        of_replicas = state.values if isinstance(state, tf.distribute.DistributedValues) else (state,)
        for share, variable in zip(shares, of_replicas, strict=True):
            entropy = (seed, epoch, number, share) if share else (seed, epoch, number)
            variable.assign(np.random.SeedSequence(entropy).generate_state(2, np.uint32))


def _generators(model: keras.Model) -> Iterator[keras.random.SeedGenerator]:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            yield layer.seed_generator
