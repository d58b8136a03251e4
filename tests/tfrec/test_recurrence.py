"""How items come back within the sequences of packed rows."""

import numpy as np
import tensorflow as tf

from tfrec.layers.recurrence import recurrence

# Two sequences in one row, then padding; item 1 is unknown, and does not come back.
ROW = {
    "item": [5, 6, 5, 1, 1, 5, 5, 6, 0, 0],
    "segment": [1, 1, 1, 1, 1, 1, 2, 2, 0, 0],
    "time": [0, 10, 60, 70, 80, 200, 0, 5, 0, 0],
}
BATCH = {name: tf.constant([values], tf.int32) for name, values in ROW.items()}
TOGETHER = np.equal.outer(ROW["segment"], ROW["segment"]) & (np.array(ROW["segment"]) > 0)
FOUND = recurrence(BATCH, tf.constant(np.tril(TOGETHER)[None]))


def test_earlier_events_of_the_same_sequence_count() -> None:
    assert FOUND.count.numpy()[0].tolist() == [0, 0, 1, 0, 0, 2, 0, 0, 0, 0]


def test_the_gap_is_that_to_the_newest_of_them() -> None:
    assert FOUND.gap.numpy()[0].tolist() == [0, 0, 60, 0, 0, 140, 0, 0, 0, 0]


def test_an_event_is_older_from_the_moment_its_item_comes_again() -> None:
    expected = np.zeros((10, 10), bool)
    expected[2:, 0] = True
    expected[5:, 2] = True
    np.testing.assert_array_equal(FOUND.again.numpy()[0], expected)
