"""Copy scores tell an item's newest event from older ones."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfrec.dataset import Dataset
from tfrec.layers.attention import MASKED
from tfrec.layers.copying import CopyScores
from tfrec.layers.recurrence import recurrence
from tfrec.layers.relations import relations
from tfrec.settings_file import load_settings
from tfrec.spec import ModelSpec

ROW = {
    "item": [5, 6, 5, 7, 0],
    "segment": [1, 1, 1, 1, 0],
    "session": [0, 0, 1, 2, 0],
    "request_session": [0, 1, 2, 2, 0],
    "time": [0, 10, 60, 70, 0],
    "request_time": [10, 60, 70, 90, 0],
}


def test_older_events_are_scored_their_own_way(rich_dataset: Callable[..., Dataset]) -> None:
    spec = ModelSpec.of(load_settings(None, ["model.dimensions=4", "model.copy_newest=true"]), rich_dataset())
    copying = CopyScores(spec)
    copying.build()
    batch = {name: tf.constant([values], tf.int32) for name, values in ROW.items()}
    states = tf.constant(np.random.default_rng(0).normal(size=(1, 5, 4)), tf.float32)

    def scores() -> np.ndarray:
        related = relations(batch, spec)
        return copying(
            states, states, batch["item"], related, None, recurrence(batch, related.visible)
        ).numpy()[0]

    before = scores()
    copying.older.bias.assign([-3.0])
    change = np.where(before > MASKED, scores() - before, 0)
    expected = np.zeros((5, 5))
    expected[2:4, 0] = -3.0  # the first event of item 5, once it has come again
    np.testing.assert_allclose(change, expected, atol=1e-5)
