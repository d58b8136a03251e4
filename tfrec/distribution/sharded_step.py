"""A training step of workers that hold the tables of items together."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec.distribution.shards import Shards, behind
from tfrec.distribution.steps import Tensors, of_other_replicas, reported
from tfrec.schema import PADDING_ROW

SUM = tf.distribute.ReduceOp.SUM


class ShardedStep:
    """A worker's part of a training step, to be called in its replica's context.

    The loss, its gradient and what they are clipped by are those of the whole batch, as `ReplicatedStep` has
    it, and rows of items move as one process's sparse updates move them.

    Args:
        model: built with its tables apart; compiled with `SharedAdamW`, which does not clip.
        shards: where the tables are.
        clip_norm: the largest norm of the whole gradient.
        xla: compile what a worker computes by itself.
    """

    def __init__(self, model: keras.Model, shards: Shards, clip_norm: float, *, xla: bool) -> None:
        self.model = model
        self.shards = shards
        self.clip_norm = clip_norm
        self._compute = tf.function(self._loss_and_gradients, autograph=False, jit_compile=xla)

    def __call__(self, inputs: Tensors, wanted: Tensors) -> dict[str, tf.Tensor]:
        """Moves the weights, and returns the loss of the whole batch under its name.

        Args:
            inputs, wanted: a share of a batch.
        """
        context = tf.distribute.get_replica_context()
        own_rows = rows_of(inputs, wanted)
        met = tf.sort(tf.unique(context.all_gather(own_rows, axis=0))[0])
        room = own_rows.shape[0] * context.num_replicas_in_sync
        values = self.shards.fetch(met, lambda own: list(context.all_reduce(SUM, own)))
        given = behind(met, values, room)
        own, dense, of_rows = self._compute(
            inputs, wanted | of_other_replicas(wanted), *given, self.model.pretraining
        )
        of_rows = [gradient[: tf.shape(met)[0]] for gradient in of_rows]
        known = [tf.convert_to_tensor(gradient) for gradient in dense if gradient is not None]
        loss, *summed = context.all_reduce(SUM, [own, *known, *of_rows])
        scale = self.clip_norm / tf.maximum(tf.linalg.global_norm(summed), self.clip_norm)
        clipped = iter([gradient * scale for gradient in summed])
        dense = [None if gradient is None else next(clipped) for gradient in dense]
        self.model.optimizer.apply(dense, self.model.trainable_weights)
        self.shards.move(met, list(clipped))
        return reported(self.model, loss, context.num_replicas_in_sync)  # a replica a process

    def _loss_and_gradients(
        self,
        inputs: Tensors,
        wanted: Tensors,
        rows: tf.Tensor,
        values: Sequence[tf.Tensor],
        pretraining: bool,
    ) -> Any:
        del pretraining  # the model has it, and it is another program
        with tf.GradientTape() as tape, self.shards.given(rows, values):
            tape.watch(values)
            loss = self.model.compute_loss(inputs, wanted, self.model(inputs, training=True))
        dense, of_rows = tape.gradient(loss, (self.model.trainable_weights, values))
        return loss, dense, [tf.convert_to_tensor(gradient) for gradient in of_rows]


def rows_of(inputs: Tensors, wanted: Tensors) -> tf.Tensor:
    """Returns the rows of the catalogue that a share's loss looks up: [n] int32, padding among them.

    What other shares have as targets, they say themselves.
    """
    parts = (inputs["item"], wanted["item"], wanted["negatives"], tf.constant([PADDING_ROW]))
    return tf.concat([tf.reshape(tf.cast(part, tf.int32), [-1]) for part in parts], axis=0)
