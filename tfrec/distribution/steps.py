"""A training step of several replicas: the loss and its gradient are those of the whole batch.

Each replica has a share of the batch's rows. What a loss needs of the other shares are the targets, which
serve as negatives, and the number of them all: ids and a number, gathered before the step is computed, so
that the rest can be one compiled program. Tables of items are on every replica: no embeddings are sent.
"""

from typing import Any

import keras
import tensorflow as tf

from tfrec.optimizer import AdamW

Tensors = dict[str, tf.Tensor]


def of_other_replicas(wanted: Tensors) -> Tensors:
    """Returns what a share's loss must know of the others, to be given beside `wanted`.

    Args:
        wanted: `item` and `weight` [B, P], and with tasks of ranking `list.weight` [M, C], of a share.

    Returns:
        `elsewhere.target` [Q, R - 1] int32 and `elsewhere.weight` [Q, R - 1] float32 of the Q places of the
        other shares, `total`, the sum of all weights, and with lists `list.total`, how many there are in all.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    queries = wanted["item"].shape.num_elements()

    def gathered(part: tf.Tensor) -> tf.Tensor:
        # This replica's own first, the others behind it.
        every = context.all_gather(tf.reshape(part, [1, queries]), axis=0)
        return tf.ensure_shape(tf.roll(every, -context.replica_id_in_sync_group, axis=0), [replicas, queries])

    weight = gathered(wanted["weight"])
    found = {
        "elsewhere.target": tf.transpose(gathered(wanted["item"])[1:]),
        "elsewhere.weight": tf.transpose(weight[1:]),
        "total": tf.reduce_sum(weight),
    }
    if "list.weight" in wanted:
        some = tf.reduce_any(wanted["list.weight"] > 0, axis=1)
        count = tf.reduce_sum(tf.cast(some, tf.float32))
        found["list.total"] = context.all_reduce(tf.distribute.ReduceOp.SUM, count)
    return found


class ReplicatedStep:
    """A replica's part of a training step, to be called in its context.

    Args:
        model: its `compute_loss` takes what `of_other_replicas` returns; compiled with `SummedAdamW`.
        xla: compile what a replica computes by itself.
        processes: among how many the replicas are spread.
    """

    def __init__(self, model: keras.Model, *, xla: bool, processes: int) -> None:
        self.model = model
        self.processes = processes
        self._compute = tf.function(self._loss_and_gradients, autograph=False, jit_compile=xla)

    def __call__(self, inputs: Tensors, wanted: Tensors) -> dict[str, tf.Tensor]:
        """Moves the weights, and returns the loss of the whole batch under its name.

        Args:
            inputs, wanted: a share of a batch.
        """
        own, gradients = self._compute(inputs, wanted | of_other_replicas(wanted), self.model.pretraining)
        self.model.optimizer.apply(gradients, self.model.trainable_weights)
        loss = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, own)
        return reported(self.model, loss, self.processes)

    def _loss_and_gradients(self, inputs: Tensors, wanted: Tensors, pretraining: bool) -> Any:
        del pretraining  # the model has it, and it is another program
        with tf.GradientTape() as tape:
            loss = self.model.compute_loss(inputs, wanted, self.model(inputs, training=True))
        return loss, tape.gradient(loss, self.model.trainable_weights)


def reported(model: keras.Model, loss: tf.Tensor, processes: int) -> dict[str, tf.Tensor]:
    """Returns the loss of a step as Keras wants it of so many processes, and keeps it for their mean."""
    for metric in model.metrics:
        metric.update_state(loss)  # the only one: Keras's mean over the steps of an epoch
    # Of several processes Keras takes the mean over the first axis, which a scalar has not.
    return {"loss": loss if processes == 1 else loss[None]}


class SharedAdamW(AdamW):
    """AdamW of replicas that give it the same gradients, those of the whole batch."""

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        return grads_and_vars  # summed already


class SummedAdamW(SharedAdamW):
    """AdamW whose gradients are summed over replicas before they are clipped, not after.

    A share's gradient is a part of the batch's: what it is clipped by must be the length of the whole. Of one
    process TensorFlow takes it before the rows of an item are summed: it differs a little.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        context = tf.distribute.get_replica_context()
        known = [tf.convert_to_tensor(g) for g in grads if g is not None]
        summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, known))
        super().apply([None if g is None else next(summed) for g in grads], trainable_variables)
