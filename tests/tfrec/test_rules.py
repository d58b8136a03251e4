"""Sequential rules: counted by hand, and what their scores add to a model."""

from collections.abc import Callable

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from tfrec.batches import pack_windows
from tfrec.building import build_model
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.epochs import Epochs
from tfrec.layers.attention import MASKED
from tfrec.layers.rules import LEAST_WEIGHT, RuleScores
from tfrec.packing import cut_windows
from tfrec.rules import count_rules, fold_of_user, rule_matrix, strongest, together_matrix
from tfrec.settings_file import load_settings
from tfrec.spec import ModelSpec

A, B, C = 2, 3, 4


@pytest.fixture
def log(dataset_of: Callable[..., Dataset]) -> Dataset:
    """User 1: A B C | A, user 2: A B; the items are rows 2, 3, 4."""
    events = pd.DataFrame(
        {
            "user_id": [1, 1, 1, 1, 2, 2],
            "item_id": [10, 20, 30, 10, 10, 20],
            "timestamp": [0, 60, 120, 9000, 0, 60],
            "session_id": [1, 1, 1, 2, 3, 3],
            "role": "train",
        }
    )
    return dataset_of(events)


def test_rules_by_hand(log: Dataset) -> None:
    found = rule_matrix(log.sequences, 5).toarray()
    expected = np.zeros((5, 5))
    expected[A, B], expected[A, C], expected[B, C] = 2.0, 0.5, 1.0
    np.testing.assert_allclose(found, expected)


def test_rules_across_sessions(log: Dataset) -> None:
    found = rule_matrix(log.sequences, 5, within_session=False).toarray()
    assert found[C, A] == 1.0
    assert found[B, A] == 0.5
    np.testing.assert_allclose(found[A, A], 1 / 3)


def test_items_of_unordered_sessions_come_together(log: Dataset) -> None:
    found = together_matrix(log.sequences, 5).toarray()
    assert found[A, B] == found[B, A] == 2
    assert found[A, C] == found[C, B] == 1
    assert not found.diagonal().any()


def test_the_strongest_are_kept(log: Dataset) -> None:
    rules = strongest(rule_matrix(log.sequences, 5), 1)
    assert rules.item[A].tolist() == [B]
    assert rules.weight[A].tolist() == [2.0]
    assert rules.total[A] == 2.5
    assert rules.item[C].tolist() == [0]


def test_popular_items_are_kept_for_less() -> None:
    # 0 leads to 1 with weight 4 and to 2 with weight 2; of all rules 1 has 100, 2 has 4.
    matrix = sp.csr_matrix([[0, 4, 2, 0], [0, 0, 0, 100], [0, 0, 0, 4], [0, 0, 0, 0]], dtype=np.float32)
    assert strongest(matrix, 1).item[0].tolist() == [1]
    rules = strongest(matrix, 2, discount=0.5)  # 4 / 10 and 2 / 2
    assert rules.item[0].tolist() == [2, 1]
    assert rules.weight[0].tolist() == [2, 4]
    assert rules.total.tolist() == [6, 100, 4, 0]


def test_a_fold_s_rules_are_those_of_the_other_users(log: Dataset) -> None:
    whole, without = count_rules(log.sequences, 5, 2, 2, ordered=True)
    assert fold_of_user(2, 2).tolist() == [0, 1]
    assert whole.weight[A].tolist() == [2.0, 0.5]
    assert without.weight[0, A].tolist() == [1.0, 0.0]  # user 2 alone
    assert without.weight[1, A].tolist() == [1.0, 0.5]  # user 1 alone
    assert without.item[0, B].tolist() == [0, 0]


SMALL = (
    *("model.dimensions=8", "model.feed_forward=8", "model.max_length=15", "training.rows=4"),
    *("model.rules=6", "model.rule_events=3", "loss.in_batch=16", "loss.uniform=8"),
)


def settings_of(*more: str) -> Settings:
    return load_settings(None, [*SMALL, *more])


def test_scores_by_hand(rich_dataset: Callable[..., Dataset]) -> None:
    dataset = rich_dataset()
    settings = settings_of("model.rule_boost=0.5")
    keras.utils.set_random_seed(0)
    model = build_model(dataset, settings, Epochs(dataset, settings))
    layer = model.query_tower.rules
    assert layer is not None
    random = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign_add(random.normal(0, 0.1, weight.shape))
    start, stop = cut_windows(dataset.sequences.offsets, 16)
    rows = pack_windows(dataset.sequences, start, stop, 16)
    query = model(rows.inputs)
    item, score = (x.numpy() for x in layer.candidates(query.rules))
    row, place = np.argwhere(rows.position >= 0)[40]
    newest = rows.inputs["item"][row, max(place - 2, 0) : place + 1][::-1]
    (alpha, beta), gamma = layer.exponent.numpy(), float(layer.popularity.numpy())
    counted = rule_matrix(
        dataset.sequences.keep(dataset.sequences.is_role("train")), model.spec.items
    ).toarray()
    checked = 0
    for e, x in enumerate(newest):
        for m in range(6):
            y, found = item[row, place, 6 * e + m], score[row, place, 6 * e + m]
            if x == 0 or y == 0:
                assert found == np.float32(MASKED)
                continue
            expected = 0.5 + query.rules.score[row, place, e] + alpha * np.log(counted[x, y])
            expected -= beta * np.log(counted[x].sum())
            expected -= gamma * np.log(max(counted[y].sum(), LEAST_WEIGHT))
            np.testing.assert_allclose(found, expected, rtol=1e-4)
            checked += 1
    assert checked > 5


def test_each_of_the_newest_events_counts_by_itself(rich_dataset: Callable[..., Dataset]) -> None:
    """u_n = (A h_t)·(B h_{t-n}) / √D and a number of the place, where nothing is known of distances yet."""
    dataset = rich_dataset()
    layer = RuleScores(
        ModelSpec.of(
            load_settings(None, ["model.dimensions=8", "model.rules=4", "model.rule_events=3"]), dataset
        )
    )
    layer.build()
    start, stop = cut_windows(dataset.sequences.offsets, 16)
    inputs = pack_windows(dataset.sequences, start, stop, 16).inputs
    random = np.random.default_rng(0)
    layer.place.assign(random.normal(size=3))
    state, events = random.normal(size=(2, *inputs["item"].shape, 8)).astype(np.float32)
    found = layer(state, events, inputs)
    query, key = layer.query(state).numpy(), layer.key(events).numpy()
    row, t = 0, 5
    assert len(set(inputs["segment"][row, : t + 1])) == 1
    for n in range(3):
        expected = query[row, t] @ key[row, t - n] / np.sqrt(8) + layer.place.numpy()[n]
        np.testing.assert_allclose(found.score[row, t, n], expected, rtol=1e-5)
        assert found.item[row, t, n] == inputs["item"][row, t - n]


def test_training_does_not_read_a_user_s_own_rules(rich_dataset: Callable[..., Dataset]) -> None:
    dataset = rich_dataset()
    settings = settings_of()
    epochs = Epochs(dataset, settings)
    model = build_model(dataset, settings, epochs)
    layer = model.query_tower.rules
    assert layer is not None
    x, y = next(epochs.batches(0))
    query = model(x)
    layer.popularity.assign(0.7)
    by_fold, score = (x.numpy() for x in layer.candidates(query.rules, y["fold"]))
    _, without = count_rules(epochs.sequences, model.spec.items, 6, 8, ordered=True)
    expected = without.item[y["fold"][..., None], query.rules.item.numpy()]
    np.testing.assert_array_equal(by_fold.reshape(expected.shape), expected)
    # w(x → y), w(x) and w(y) are all of the fold's own rules; α and β are still 1.
    at = y["fold"][..., None], query.rules.item.numpy()
    led, logs = without.weight[at] > 0, np.log(np.maximum(without.total, LEAST_WEIGHT))
    found = score.reshape(expected.shape)[led]
    given = (query.rules.score.numpy() - logs[at])[..., None] - 0.7 * logs[
        y["fold"][..., None, None], expected
    ]
    np.testing.assert_allclose(
        found, (given + np.log(np.maximum(without.weight[at], LEAST_WEIGHT)))[led], rtol=1e-4
    )
    # Places of one sequence belong to one user, and so to one fold.
    for row in range(len(x["segment"])):
        for segment in set(x["segment"][row]) - {0}:
            assert len(set(y["fold"][row][x["segment"][row] == segment])) == 1
