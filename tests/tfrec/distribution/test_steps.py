"""Shares of a batch: their losses and gradients add up to those of the whole batch."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.tfrec.shown import shown_to
from tfrec.building import build_model
from tfrec.dataset import Dataset
from tfrec.epochs import Batch, Epochs
from tfrec.settings_file import load_settings

SMALL = (
    "model.dimensions=8",
    "model.blocks=1",
    "model.feed_forward=8",
    "model.max_length=15",
    "model.rules=4",
    "model.rule_events=2",
    "model.dropout=0",
    "model.id_dropout=0",
    "training.rows=4",
    "loss.in_batch=16",
    "loss.uniform=8",
)
SHARES = 2


def elsewhere_of(other: Batch, whole: Batch) -> dict[str, np.ndarray]:
    """What `of_other_replicas` gathers of two shares, by hand."""
    return {
        "elsewhere.target": other[1]["item"].reshape(-1, 1),
        "elsewhere.weight": other[1]["weight"].reshape(-1, 1),
        "total": whole[1]["weight"].sum(),
    }


def loss_and_gradients(model: keras.Model, batch: Batch) -> tuple[float, list[np.ndarray]]:
    inputs, wanted = tf.nest.map_structure(tf.constant, batch)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(inputs, wanted, model(inputs, training=True))
    found = tape.gradient(loss, model.trainable_weights, unconnected_gradients="zero")
    return float(loss), [tf.convert_to_tensor(gradient).numpy() for gradient in found]


@pytest.mark.parametrize(
    "changes",
    [
        ["loss.negatives=sampled"],
        ["loss.negatives=full"],
        ["loss.negatives=sampled", "loss.in_batch_negatives=false"],
        ["loss.negatives=sampled", "loss.kind=gbce"],
    ],
)
def test_shares_add_up(rich_dataset: Callable[..., Dataset], changes: list[str]) -> None:
    dataset, settings = rich_dataset(), load_settings(None, [*SMALL, *changes])
    epochs = Epochs(dataset, settings)
    model = build_model(dataset, settings, epochs)
    whole, (first, second, *_) = next(epochs.batches(0)), list(epochs.batches(0, range(SHARES), SHARES))
    for name, values in whole[0].items():
        np.testing.assert_array_equal(np.concatenate([first[0][name], second[0][name]]), values)
    np.testing.assert_array_equal(first[1]["negatives"], whole[1]["negatives"])
    loss, gradients = loss_and_gradients(model, whole)
    found = [
        loss_and_gradients(model, (own[0], own[1] | elsewhere_of(other, whole)))
        for own, other in ((first, second), (second, first))
    ]
    assert found[0][0] + found[1][0] == pytest.approx(loss, rel=1e-5)
    parts = zip(found[0][1], found[1][1], strict=True)
    for weight, all_of_it, (a, b) in zip(model.trainable_weights, gradients, parts, strict=True):
        np.testing.assert_allclose(a + b, all_of_it, atol=1e-5, err_msg=weight.path)


def test_a_worker_draws_its_share_without_the_others(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    tasks = "ranking.tasks={click: {label: click}}"
    epochs = Epochs(dataset, load_settings(None, [*SMALL, tasks]), impressions)
    both, second = epochs.batches(1, range(SHARES), SHARES), epochs.batches(1, [1], SHARES)
    of_both = list(both)[1::SHARES]
    for one, other in zip(second, of_both, strict=True):
        for half, whole in zip(one, other, strict=True):
            assert set(half) == set(whole)
            for name, values in half.items():
                np.testing.assert_array_equal(values, whole[name], err_msg=name)


def test_shares_of_lists_add_up(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    tasks = "{click: {label: click}, order: {label: buy}}"
    settings = load_settings(None, [*SMALL, f"ranking.tasks={tasks}", "ranking.balance=uncertainty"])
    model = build_model(dataset, settings, Epochs(dataset, settings, impressions))
    assert model.ranking_task is not None
    assert model.balance is not None
    random = np.random.default_rng(0)
    logits = random.normal(size=(6, 4, 2)).astype(np.float32)
    lists = {"weight": (random.random((6, 4)) < 0.8).astype(np.float32)}
    lists["weight"][5] = 0  # no list
    lists |= {f"label.{name}": lists["weight"] * (random.random((6, 4)) < 0.5) for name in ("click", "order")}
    whole = model.ranking_task(tf.constant(logits), lists)
    total = {"total": np.float32((lists["weight"] > 0).any(axis=1).sum())}
    # Shares of which one has more lists than the other.
    parts = [
        model.ranking_task(tf.constant(logits[part]), {n: x[part] for n, x in lists.items()} | total)
        for part in (slice(0, 2), slice(2, 6))
    ]
    np.testing.assert_allclose(parts[0] + parts[1], whole, rtol=1e-5)
    model.balance.log_variance.assign([0.3, -0.2, 0.1])
    losses = [tf.concat([[part[0]], part], axis=0) for part in (*parts, whole)]
    first, second = (model.balance(one, replicas=2) for one in losses[:2])
    assert float(first + second) == pytest.approx(float(model.balance(losses[2])), rel=1e-5)
