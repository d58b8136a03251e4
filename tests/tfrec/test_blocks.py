"""The blocks against numpy, by the formulas of their sources."""

import keras
import numpy as np
import pytest

from tfrec.layers.attention import rotate
from tfrec.layers.blocks import BLOCKS, GatedBlock, HSTUBlock, TransformerBlock

D, H, F = 6, 2, 5


def rms(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def silu(x: np.ndarray) -> np.ndarray:
    return x * sigmoid(x)


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(1, 4, D)).astype(np.float32)


CAUSAL = np.tril(np.ones((1, 4, 4), bool))
TERMS = np.random.default_rng(4).normal(size=(H, 1, 4, 4)).astype(np.float32)


def built(name: str, rotary: bool = False):  # type: ignore[no-untyped-def]
    keras.utils.set_random_seed(0)
    block = BLOCKS[name](D, H, F, 0.3, rotary)
    block.build((None, None, D))
    return block


@pytest.mark.parametrize("name", ["transformer", "gated"])
def test_transformer_block(x: np.ndarray, name: str) -> None:
    block = built(name)
    assert isinstance(block, TransformerBlock)

    def residual(number: int, y: np.ndarray, change: np.ndarray) -> np.ndarray:
        if not isinstance(block, GatedBlock):
            return y + change
        return y + sigmoid(rms(y) @ block.residual_gates[number].kernel.numpy()) * change

    attended = block.attention(rms(x), rms(x), CAUSAL, TERMS).numpy()
    y = residual(0, x, attended)
    gate, up, down = (layer.kernel.numpy() for layer in (block.gate, block.up, block.down))
    expected = residual(1, y, (silu(rms(y) @ gate) * (rms(y) @ up)) @ down)
    np.testing.assert_allclose(block(x, CAUSAL, TERMS), expected, atol=1e-5)


def test_hstu_block(x: np.ndarray) -> None:
    block = built("hstu")
    assert isinstance(block, HSTUBlock)
    u, v, q, k = np.split(silu(rms(x[0]) @ block.project.kernel.numpy()), 4, axis=-1)
    heads = []
    for h in range(H):
        part = slice(h * D // H, (h + 1) * D // H)
        weights = silu(q[:, part] @ k[:, part].T + TERMS[h, 0]) * CAUSAL[0] / CAUSAL[0].sum(1, keepdims=True)
        heads.append(weights @ v[:, part])
    expected = x[0] + (rms(np.concatenate(heads, axis=1)) * u) @ block.out.kernel.numpy()
    np.testing.assert_allclose(block(x, CAUSAL, TERMS)[0], expected, atol=1e-5)


@pytest.mark.parametrize("name", list(BLOCKS))
@pytest.mark.parametrize("rotary", [False, True])
def test_no_place_sees_a_later_one(x: np.ndarray, name: str, rotary: bool) -> None:
    block = built(name, rotary)
    changed = x.copy()
    changed[:, 3] += 1
    before, after = block(x, CAUSAL, TERMS).numpy(), block(changed, CAUSAL, TERMS).numpy()
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert not np.allclose(before[:, 3], after[:, 3])


@pytest.mark.parametrize("name", list(BLOCKS))
def test_rotary_places_tell_orders_apart(x: np.ndarray, name: str) -> None:
    """Without any sign of place the last one's answer is the same for any order of the others."""
    turned = x[:, [1, 2, 0, 3]]
    last = {
        rotary: [built(name, rotary)(y, CAUSAL, None).numpy()[0, 3] for y in (x, turned)]
        for rotary in (False, True)
    }
    np.testing.assert_allclose(*last[False], atol=1e-5)
    assert not np.allclose(*last[True], atol=1e-3)


def test_rotated_products_know_distances_alone() -> None:
    random = np.random.default_rng(0)
    q, k = random.normal(size=(2, 1, 1, 1, 8)).astype(np.float32)
    places = np.repeat(q, 9, axis=2), np.repeat(k, 9, axis=2)
    turned_q, turned_k = (rotate(p).numpy()[0, 0] for p in places)
    np.testing.assert_allclose(turned_q[2] @ turned_k[5], turned_q[4] @ turned_k[7], rtol=1e-4)
    np.testing.assert_allclose(turned_q[3] @ turned_k[3], (q[0, 0] @ k[0, 0].T)[0, 0], rtol=1e-4)


@pytest.mark.parametrize("name", list(BLOCKS))
def test_dropout_acts_in_training_alone(x: np.ndarray, name: str) -> None:
    block = built(name)
    np.testing.assert_array_equal(block(x, CAUSAL, TERMS), block(x, CAUSAL, TERMS, training=False))
    assert not np.allclose(block(x, CAUSAL, TERMS, training=True), block(x, CAUSAL, TERMS))


@pytest.mark.parametrize("name", list(BLOCKS))
def test_places_alone_are_those_that_see_themselves_alone(x: np.ndarray, name: str) -> None:
    block, alone = built(name), BLOCKS[name](D, H, F, 0.3, alone=True)
    alone.build((None, None, D))
    weights = {weight.path.partition("/")[2]: weight for weight in block.weights}
    compared = {weight.path.partition("/")[2] for weight in block.weights} - {
        weight.path.partition("/")[2] for weight in alone.weights
    }
    for weight in alone.weights:
        weight.assign(weights[weight.path.partition("/")[2]])
    np.testing.assert_allclose(alone(x, None, None), block(x, np.eye(4, dtype=bool)[None], None), atol=1e-6)
    assert compared == (set() if name == "hstu" else {"attention/query/kernel", "attention/key/kernel"})
