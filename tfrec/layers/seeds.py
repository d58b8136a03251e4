"""Chance in layers, set anew at each epoch, so that a run that goes on repeats an undisturbed one."""

from collections.abc import Iterator

import keras
import numpy as np


def set_seeds(model: keras.Model, seed: int, epoch: int) -> None:
    """Sets the state of every seed generator of a model from the run's seed and the epoch."""
    for number, generator in enumerate(_generators(model)):
        state = np.random.SeedSequence((seed, epoch, number)).generate_state(2, np.uint32)
        generator.state.assign(state)


def _generators(model: keras.Model) -> Iterator[keras.random.SeedGenerator]:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            yield layer.seed_generator
