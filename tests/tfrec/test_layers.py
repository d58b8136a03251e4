"""The layers, against numpy and against the formulas of their docstrings."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers.attention import Attention
from tfrec.layers.fusion import ConcatFusion, CrossFusion, GatedFusion, SumFusion


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_attention_is_softmax_of_scaled_scores() -> None:
    """softmax(QKᵀ/√d + T)V with d = D/H: the scaling is inside the softmax."""
    keras.utils.set_random_seed(0)
    layer = Attention(6, 2)
    layer.build()
    random = np.random.default_rng(0)
    x = random.normal(size=(1, 4, 6)).astype(np.float32)
    mask = np.tril(np.ones((1, 4, 4), bool))
    terms = random.normal(size=(2, 1, 4, 4)).astype(np.float32)
    q, k, v = (x[0] @ w.kernel.numpy() for w in (layer.query, layer.key, layer.value))
    heads = []
    for h in range(2):
        part = slice(3 * h, 3 * h + 3)
        scores = q[:, part] @ k[:, part].T / np.sqrt(3) + terms[h, 0]
        heads.append(_softmax(np.where(mask[0], scores, -np.inf)) @ v[:, part])
    expected = np.concatenate(heads, axis=-1) @ layer.out.kernel.numpy()
    np.testing.assert_allclose(layer(x, x, visible=mask, terms=terms)[0], expected, atol=1e-5)


@pytest.fixture
def states() -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(1)
    return tuple(tf.constant(random.normal(size=(2, 3, 4)), tf.float32) for _ in range(2))


def test_sum_fusion(states: tuple[tf.Tensor, tf.Tensor]) -> None:
    """F = E_X W_F + E_Y W_F: one matrix for both."""
    layer = SumFusion(4)
    x, y = states
    found = layer(x, y, x, visible=tf.ones((2, 3, 3), tf.bool))
    w = layer.kernel.numpy()
    np.testing.assert_allclose(found, x.numpy() @ w + y.numpy() @ w, atol=1e-5)
    assert len(layer.trainable_weights) == 1


def test_concat_and_gated_fusion(states: tuple[tf.Tensor, tf.Tensor]) -> None:
    x, y = states
    mask = tf.ones((2, 3, 3), tf.bool)
    both = np.concatenate([x, y], axis=-1)
    concat = ConcatFusion(4)
    found = concat(x, y, x, visible=mask)
    np.testing.assert_allclose(found, both @ concat.kernel.numpy() + concat.bias.numpy(), atol=1e-5)
    gated = GatedFusion(4)
    found = gated(x, y, x, visible=mask)
    gate = 1 / (1 + np.exp(-both @ gated.kernel.numpy()))
    np.testing.assert_allclose(found, gate * x.numpy() + (1 - gate) * y.numpy(), atol=1e-5)


def test_cross_fusion_begins_with_the_history_where_no_session_is(
    states: tuple[tf.Tensor, tf.Tensor],
) -> None:
    x, _ = states
    layer = CrossFusion(4, 2)
    mask = tf.ones((2, 3, 3), tf.bool)
    found = layer(x, tf.zeros_like(x), x, visible=mask)
    np.testing.assert_allclose(found, x + layer.attention(x, x, visible=mask, terms=None), atol=1e-5)
