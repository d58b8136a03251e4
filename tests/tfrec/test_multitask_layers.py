"""Experts, cross layers and the balance of losses, against loops in numpy."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers.balance import UncertaintyBalance
from tfrec.layers.cross import Cross
from tfrec.layers.experts import Experts

D, TASKS = 5, 2


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum()


def shaken(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Builds a layer and moves all its weights, so that no bias is 0."""
    layer.build((None, None, D))
    random = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign_add(random.normal(0, 0.5, weight.shape))
    return layer


def features() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, 4, D)).astype(np.float32)


@pytest.mark.parametrize(("shared", "own", "levels"), [(3, 0, 1), (2, 1, 1), (2, 3, 2)])
def test_each_task_weighs_the_experts_that_it_may_use(shared: int, own: int, levels: int) -> None:
    layer, x = shaken(Experts(TASKS, D, shared, own, levels)), features()
    found = layer(tf.constant(x)).numpy()
    assert found.shape == (3, 4, TASKS, D)
    by_name = {part.name: part for part in (*layer.experts, *layer.gates)}
    for at in np.ndindex(3, 4):
        groups = [x[at]] * (TASKS + 1)
        for level in range(levels):
            # Without own experts the shared ones are the only group.
            names = [f"experts_{level}_{task if own else -1}" for task in range(TASKS)]
            names.append(f"experts_{level}_{TASKS if own else 0}")
            said: list[list[np.ndarray]] = []
            for group, name in enumerate(names):
                said.append([])
                if name in by_name:
                    kernel, bias = by_name[name].kernel.numpy(), by_name[name].bias.numpy()
                    said[-1] = [silu(groups[group] @ kernel[:, e] + bias[e]) for e in range(len(bias))]
            seen = [said[task] + said[-1] for task in range(TASKS)] + [[*itertools.chain(*said)]]
            gates = [by_name.get(f"gate_{level}_{group}") for group in range(TASKS + 1)]
            groups = [
                softmax(groups[g] @ gate.kernel.numpy()) @ np.stack(seen[g])
                for g, gate in enumerate(gates)
                if gate is not None
            ]
        np.testing.assert_allclose(found[at], groups, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("shared", "own", "levels"), [(3, 0, 1), (2, 2, 2)])
def test_every_expert_and_gate_learns(shared: int, own: int, levels: int) -> None:
    layer, x = shaken(Experts(TASKS, D, shared, own, levels)), features()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(tf.constant(x)) ** 2)
    gradients = tape.gradient(loss, layer.trainable_weights)
    assert all(gradient is not None and np.abs(gradient).max() > 1e-6 for gradient in gradients)


def test_a_task_s_own_experts_say_nothing_to_others() -> None:
    layer, x = shaken(Experts(TASKS, D, shared=1, own=2)), tf.constant(features())
    before = layer(x).numpy()
    layer.experts[0].kernel.assign_add(tf.ones_like(layer.experts[0].kernel))
    after = layer(x).numpy()
    assert (np.abs(after - before)[:, :, 0] > 1e-4).any()
    np.testing.assert_array_equal(after[:, :, 1], before[:, :, 1])


@pytest.mark.parametrize("numbers", [{"shared": 0}, {"shared": 1}, {"shared": 2, "levels": 2}])
def test_what_would_reach_nobody_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a gate would weigh nothing"):
        Experts(TASKS, D, **numbers)


def test_cross_layers_by_hand() -> None:
    layer, x = shaken(Cross(D, layers=2)), features()
    expected = x
    for dense in layer.dense:
        expected = x * (expected @ dense.kernel.numpy() + dense.bias.numpy()) + expected
    np.testing.assert_allclose(layer(tf.constant(x)), expected, rtol=1e-4, atol=1e-5)


def test_the_balance_by_hand() -> None:
    layer = UncertaintyBalance(2)
    layer.build()
    layer.log_variance.assign([0.3, -1.0])
    expected = np.exp(-0.3) * 2 + 0.3 / 2 + np.exp(1.0) * 0.5 - 1.0 / 2
    assert float(layer(tf.constant([2.0, 0.5]))) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("layer", [Experts(TASKS, D, 2, 1, 2), Cross(D, 2), UncertaintyBalance(3)])
def test_layers_come_back_from_their_config(layer: keras.layers.Layer) -> None:
    again = type(layer).from_config(layer.get_config())
    shapes = []
    for one in (layer, again):
        one.build((None, None, D))
        shapes.append([weight.shape for weight in one.weights])
    assert shapes[0] == shapes[1] != []
