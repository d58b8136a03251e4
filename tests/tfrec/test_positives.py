"""Which later targets are a place's own too, against the events themselves."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tfrec.batches import pack_windows
from tfrec.building import build_model
from tfrec.dataset import Dataset
from tfrec.epochs import Epochs
from tfrec.errors import SettingsError
from tfrec.layers.attention import MASKED
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


def test_copies_and_rules_are_summed_for_each_target(rich_dataset: Callable[..., Dataset]) -> None:
    small = ["model.dimensions=8", "model.feed_forward=8", "model.max_length=15", "model.rules=6"]
    dataset, settings = rich_dataset(), load_settings(None, [*small, "loss.positives=3"])
    epochs = Epochs(dataset, settings)
    model = build_model(dataset, settings, epochs)
    given: dict[str, tf.Tensor] = {}

    def task(**parts: tf.Tensor) -> tf.Tensor:
        given.update(parts)
        return tf.constant(0.0)

    model.task = task
    x, y = next(epochs.batches(0))
    query = model(x)
    model.compute_loss(x, y, query)
    np.testing.assert_array_equal(given["further"], further_weights(x, y["weight"], 2))
    item, score = (t.numpy() for t in model.query_tower.rule_candidates(query.rules, y["fold"]))
    items = {"copies": np.broadcast_to(x["item"][:, None], query.copy_score.shape), "rules": item}
    scores = {"copies": query.copy_score.numpy(), "rules": score}
    wanted = y["item"].ravel()
    for kind, of in items.items():
        of, r = of.reshape(len(wanted), -1), scores[kind].reshape(len(wanted), -1).astype(np.float64)
        for step in range(3):
            own = np.where(of[: len(of) - step] == wanted[step:, None], r[: len(r) - step], MASKED)
            found = given[kind].target.numpy()[: len(own), step]
            np.testing.assert_allclose(found, np.logaddexp.reduce(own, axis=-1), rtol=1e-5, atol=1e-5)


def test_one_loss_alone_knows_several_targets() -> None:
    with pytest.raises(SettingsError, match="positives=2 needs kind=softmax; gbce knows one target"):
        load_settings(None, ["loss.positives=2", "loss.kind=gbce"])
