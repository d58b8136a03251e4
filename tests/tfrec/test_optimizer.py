"""AdamW: it moves weights as Keras's does, in far fewer operations."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.optimizer import AdamW

STEPS = 6


def weights() -> list[keras.Variable]:
    rng = np.random.default_rng(3)
    shapes = {"table": (7, 3), "kernel": (3, 4), "bias": (4,)}
    return [
        keras.Variable(rng.normal(size=shape), dtype="float32", name=name) for name, shape in shapes.items()
    ]


def optimizer_of(kind: type[keras.optimizers.AdamW]) -> Any:
    rate = keras.optimizers.schedules.CosineDecay(0.0, STEPS, warmup_target=0.1, warmup_steps=2)
    optimizer = kind(
        rate, beta_2=0.98, weight_decay=0.02, global_clipnorm=1.0, use_ema=True, ema_momentum=0.7
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def gradients(step: int) -> list[Any]:
    """The first is of three rows, one of which comes twice."""
    rng = np.random.default_rng(step)
    rows = tf.IndexedSlices(
        tf.constant(rng.normal(size=(3, 3)), tf.float32), tf.constant([1, 4, 1]), tf.constant([7, 3])
    )
    return [rows, *(tf.constant(rng.normal(size=shape), tf.float32) for shape in ((3, 4), (4,)))]


def step_of(optimizer: Any, moved: list[keras.Variable], xla: bool = False) -> Any:
    return tf.function(lambda *found: optimizer.apply(list(found), moved), jit_compile=xla)


@pytest.mark.parametrize("xla", [False, True])
def test_weights_move_as_keras_has_it(xla: bool) -> None:
    found = []
    for kind in (AdamW, keras.optimizers.AdamW):
        moved, optimizer = weights(), optimizer_of(kind)
        optimizer.build(moved)
        step = step_of(optimizer, moved, xla)
        for number in range(STEPS):
            step(*gradients(number))
        optimizer.finalize_variable_values(moved)
        found.append([np.array(each) for each in (*moved, *optimizer.variables)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def operations(kind: type[keras.optimizers.AdamW], times: int) -> int:
    """Of a step of so many times the weights."""
    moved = [weight for _ in range(times) for weight in weights()]
    optimizer = optimizer_of(kind)
    optimizer.build(moved)
    step = step_of(optimizer, moved)
    return len(step.get_concrete_function(*(tf.zeros(each.shape) for each in moved)).graph.get_operations())


def test_each_weight_costs_half_the_operations() -> None:
    ours, theirs = (operations(kind, 5) - operations(kind, 1) for kind in (AdamW, keras.optimizers.AdamW))
    assert ours < 0.55 * theirs


def test_the_rate_is_the_schedule_s_between_steps() -> None:
    moved, optimizer = weights(), optimizer_of(AdamW)
    optimizer.build(moved)
    rates = []
    for number in range(3):
        rates.append(float(optimizer.learning_rate))
        optimizer.apply(gradients(number), moved)
    np.testing.assert_allclose(rates, [0, 0.05, 0.1], rtol=1e-6)


def test_what_it_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="amsgrad: expected False"):
        AdamW(amsgrad=True)
