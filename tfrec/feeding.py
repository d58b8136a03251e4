"""Batches of the epochs to come, made while the step before them runs."""

from collections.abc import Iterator

import tensorflow as tf

from tfrec.distribution.workers import Workers
from tfrec.epochs import Batch, Epochs


def batches_of(epochs: Epochs, first: int, last: int, workers: Workers | None = None) -> tf.data.Dataset:
    """This process's shares of all batches to come, prepared while the step before them runs."""
    workers = workers or Workers()
    shares, of = workers.shares, workers.replicas

    def batches() -> Iterator[Batch]:
        for epoch in range(first, last):
            yield from epochs.batches(epoch, shares, of)

    signature = tf.nest.map_structure(
        lambda array: tf.TensorSpec(array.shape, array.dtype), next(iter(epochs.batches(0, shares, of)))
    )

    data = tf.data.Dataset.from_generator(batches, output_signature=signature)
    if workers.strategy is None:
        return data.prefetch(4)
    # What is known to have an end could have it in the middle of a step, for which shapes would stay open.
    endless = data.repeat().prefetch(4)
    return workers.strategy.distribute_datasets_from_function(lambda _: endless)
