"""Which later targets are a place's own too, against the events themselves."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tfrec.batches import pack_windows
from tfrec.dataset import Dataset
from tfrec.errors import SettingsError
from tfrec.packing import cut_windows
from tfrec.positives import ahead, further_weights
from tfrec.settings_file import load_settings


def test_ahead_ends_in_zeros() -> None:
    found = ahead(tf.constant([[1, 2], [3, 4], [5, 6]]), 2).numpy()
    np.testing.assert_array_equal(found[:, 0], [[3, 4], [5, 6], [0, 0]])
    np.testing.assert_array_equal(found[:, 1], [[5, 6], [0, 0], [0, 0]])


def test_what_follows_in_the_session_of_the_target(rich_dataset: Callable[..., Dataset]) -> None:
    s = rich_dataset().sequences
    start, stop = cut_windows(s.offsets, 16)
    rows = pack_windows(s, start, stop, 32)
    weight = (np.random.default_rng(0).random(rows.item.shape) < 0.9) * (rows.position >= 0)
    found = further_weights(rows.inputs, tf.constant(weight, tf.float32), 3).numpy()
    user, counted = s.user_of_event, dict(zip(rows.position.ravel(), weight.ravel(), strict=True))
    end_of = {
        int(event): int(last) for first, last in zip(start, stop, strict=True) for event in range(first, last)
    }
    assert found.sum() > 50
    for q, event in enumerate(rows.position.ravel()):
        for step in (1, 2, 3) if event >= 0 else ():
            later = int(event) + step
            follows = (
                later < end_of[int(event)]
                and user[later] == user[event]
                and s.session[later] == s.session[event]
                and counted[later]
            )
            assert found[q, step - 1] == follows


def test_one_loss_alone_knows_several_targets() -> None:
    with pytest.raises(SettingsError, match="positives=2 needs kind=softmax; gbce knows one target"):
        load_settings(None, ["loss.positives=2", "loss.kind=gbce"])
