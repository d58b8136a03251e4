"""What cannot come again, at each place of packed rows."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tfrec.barring import barred_items, without_barred
from tfrec.building import build_model
from tfrec.dataset import Dataset
from tfrec.epochs import Epochs
from tfrec.layers.attention import MASKED
from tfrec.schema import Repeats
from tfrec.settings_file import load_settings
from tfrec.spec import ModelSpec

# Two sequences in one row, then padding; the first has a session of three events and one of one.
ROW = {
    "item": [5, 6, 7, 8, 5, 9, 0],
    "segment": [1, 1, 1, 1, 2, 2, 0],
    "session": [1, 1, 1, 2, 1, 1, 0],
    "request_session": [1, 1, 2, 3, 1, 2, 0],
}
BATCH = {name: tf.constant([values], tf.int32) for name, values in ROW.items()}


@pytest.fixture
def barred(rich_dataset: Callable[..., Dataset]) -> Callable[..., list[set[int]]]:
    def of(repeats: Repeats, length: int) -> list[set[int]]:
        dataset = rich_dataset(repeats=repeats)
        spec = ModelSpec.of(load_settings(None, [f"model.max_length={length}"]), dataset)
        found = barred_items(BATCH, spec)
        assert found is not None
        return [set(row) - {0} for row in found.numpy()[0].tolist()]

    return of


def test_a_sequence_of_items_that_never_come_again(barred: Callable[..., list[set[int]]]) -> None:
    assert barred("never", 10) == [{5}, {5, 6}, {5, 6, 7}, {5, 6, 7, 8}, {5}, {5, 9}, set()]


def test_no_more_events_than_a_query_sees(barred: Callable[..., list[set[int]]]) -> None:
    assert barred("never", 2) == [{5}, {5, 6}, {6, 7}, {7, 8}, {5}, {5, 9}, set()]


def test_the_session_of_the_request_alone(barred: Callable[..., list[set[int]]]) -> None:
    assert barred("across_sessions", 10) == [{5}, {5, 6}, set(), set(), {5}, set(), set()]


def test_nothing_where_all_may_come_again(rich_dataset: Callable[..., Dataset]) -> None:
    assert barred_items(BATCH, ModelSpec.of(load_settings(None, []), rich_dataset())) is None


def test_scores_of_barred_rows_are_masked() -> None:
    score = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    barred = tf.constant([[7, 0], [6, 8]])
    for rows in ([6, 7, 8], [[6, 7, 8], [6, 7, 8]]):
        found = without_barred(score, tf.constant(rows), barred).numpy()
        np.testing.assert_array_equal(found, [[1, MASKED, 3], [MASKED, 5, MASKED]])


@pytest.mark.parametrize("bars", [True, False])
def test_rules_do_not_lead_to_barred_items(rich_dataset: Callable[..., Dataset], bars: bool) -> None:
    dataset = rich_dataset(repeats="across_sessions")
    small = ["model.dimensions=8", "model.feed_forward=8", "model.max_length=15", "model.rules=6"]
    settings = load_settings(None, [*small, f"loss.bar_repeats={str(bars).lower()}"])
    epochs = Epochs(dataset, settings)
    model = build_model(dataset, settings, epochs)
    given = {}

    def task(**parts: tf.Tensor) -> tf.Tensor:
        given.update(parts)
        return tf.constant(0.0)

    model.task = task
    x, y = next(epochs.batches(0))
    query = model(x)
    model.compute_loss(x, y, query)
    item, score = (t.numpy() for t in model.query_tower.rule_candidates(query.rules, y["fold"]))
    barred = barred_items(x, model.spec).numpy()
    among = (item[..., :, None] == barred[..., None, :]).any(-1)
    assert (among & (score > MASKED)).any()
    possible = np.where(among & bars, MASKED, score)
    expected = np.logaddexp.reduce(possible.astype(np.float64), axis=-1).ravel()
    np.testing.assert_allclose(given["rules"].total, expected, rtol=1e-5, atol=1e-6)
    assert (given["barred"] is not None) == bars
