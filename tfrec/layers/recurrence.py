"""How an item comes back within a sequence: how often it had come, how long ago, whether it came again."""

from typing import NamedTuple

import tensorflow as tf

from tfrec.layers.relations import Tensors, of_asked
from tfrec.schema import FIRST_ROW


class Recurrence(NamedTuple):
    """Of packed rows [B, P].

    Attributes:
        count: [B, P] int32, earlier events of the sequence that have the event's item.
        gap: [B, P] int32, seconds since the newest of them; 0 without any.
        again: [B, P, P] bool: between event s (last axis) and request t (axis 1) its item came again.
    """

    count: tf.Tensor
    gap: tf.Tensor
    again: tf.Tensor

    def of(self, batch: Tensors) -> "Recurrence":
        """Returns what came again before the requests that are asked alone; see `of_asked`."""
        return self._replace(again=of_asked(self.again, batch))


def recurrence(batch: Tensors, visible: tf.Tensor) -> Recurrence:
    """Compares every event with the earlier ones of its sequence.

    Args:
        batch: `item`, `time`: int32 [B, P]; `rank` where rows have asides.
        visible: [B, P, P] bool, as in `Relations`.
    """
    item, time = batch["item"], batch["time"]
    here = tf.range(tf.shape(item)[1])
    same = (item[:, :, None] == item[:, None, :]) & (item >= FIRST_ROW)[:, :, None]
    earlier = same & visible & (here[:, None] != here[None, :])
    place = batch["rank"] if "rank" in batch else here[None]
    count = tf.reduce_sum(tf.cast(earlier, tf.int32), axis=-1)
    last = tf.reduce_max(tf.where(earlier, time[:, None, :], tf.int32.min), axis=-1)
    gap = tf.where(count > 0, time - last, 0)
    following = tf.reduce_min(tf.where(earlier, place[:, :, None], tf.int32.max), axis=1)
    return Recurrence(count, gap, following[:, None, :] <= place[:, :, None])
