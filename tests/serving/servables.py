"""Tiny real SavedModels whose answers can be worked out by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.synthetic import CatalogueModule, Tensors, save_version

INT_IDS = [101, 102, 103, 104, 105, 106]
STRING_IDS = ["apple", "bread", "crème", "dates", "eggs", "figs"]

MAX_LENGTH = 4
K = 5


class Counting(CatalogueModule):
    """An item's score is how much the sequence holds of it, and a little less for later items.

    The event `view` weighs 1, `purchase` 2, any other 1; within an hour before the request 0.5 more;
    in the request's session 0.25 more; and its price, where events have one.
    """

    def __init__(self, ids: Sequence[int] | Sequence[str], version: int, **options: Any) -> None:
        table = np.concatenate([np.eye(len(ids)), -0.0625 * np.arange(len(ids))[:, None]], axis=1)
        super().__init__(ids, table, version=version, max_length=MAX_LENGTH, k=K, **options)

    def query(self, inputs: Tensors) -> tf.Tensor:
        weight = 1.0 + tf.cast(inputs["event_type"] == "purchase", tf.float32)
        recent = inputs["request_time"][:, None] - inputs["time"] <= 3600
        weight += 0.5 * tf.cast(recent, tf.float32)
        if self.session_ids:
            same = inputs["session_id"] == inputs["request_session_id"][:, None]
            weight += 0.25 * tf.cast(same, tf.float32)
        if "price" in self.context:
            weight += inputs["context.price"]
        weight = tf.where(self.counted(inputs), weight, 0.0)
        items = tf.one_hot(self.rows.lookup(inputs["item_id"]), len(self.ids))
        amounts = tf.einsum("bl,bln->bn", weight, items)
        return tf.concat([amounts, tf.ones_like(amounts[:, :1])], axis=1)


def write_tiny(
    folder: Path, version: int, ids: Sequence[int] | Sequence[str] = tuple(INT_IDS), **options: Any
) -> Path:
    """Writes `folder/<version>/`."""
    return save_version(Counting(list(ids), version, **options), folder)


class Staged(Counting):
    """Events whose type tells the graph what to do with the batch.

    `refuse` complains about the request, `break` fails for a reason that is not the request's, and `slow`
    takes about a second.
    """

    def query(self, inputs: Tensors) -> tf.Tensor:
        kinds = inputs["event_type"]
        refuse = tf.debugging.assert_equal(tf.reduce_any(kinds == "refuse"), False, "no such event")
        with tf.control_dependencies([refuse]):
            read = tf.cond(
                tf.reduce_any(kinds == "break"),
                lambda: tf.strings.length(tf.io.read_file("no/such/file")),
                lambda: 0,
            )
        turns = tf.where(tf.reduce_any(kinds == "slow"), 300, 0)
        square = tf.random.normal([400, 400]) / 20
        product = tf.while_loop(
            lambda turn, _: turn < turns, lambda turn, x: (turn + 1, tf.tanh(x @ square)), (0, square)
        )[1]
        return super().query(inputs) + 0 * (product[0, 0] + tf.cast(read, tf.float32))
