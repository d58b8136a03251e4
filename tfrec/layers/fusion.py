"""Late fusions: how the encoded history E_X and the encoded current session E_Y become one state.

With early fusion, the default, there is nothing to do here: both went through one Transformer as
one sequence. Every late fusion takes, for each request position, E_X (what the encoder says at
the last event of the history) and E_Y (what it says at the last event of the current session;
zeros where the request opens it).
"""

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.attention import Attention


class _Fusion(keras.layers.Layer):
    """Base: E_X, E_Y, the encoded events [B, P, D], the history among them [B, P, P] -> [B, P, D]."""

    def __init__(self, dimensions: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dimensions = dimensions

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"dimensions": self.dimensions}


@keras.saving.register_keras_serializable("tfrec")
class SumFusion(_Fusion):
    """F = E_X W_F + E_Y W_F."""

    def build(self, input_shape: Any = None) -> None:
        self.kernel = self.add_weight(name="W_F", shape=(self.dimensions, self.dimensions))

    def call(
        self, history: tf.Tensor, current: tf.Tensor, events: tf.Tensor, visible: tf.Tensor
    ) -> tf.Tensor:
        return tf.matmul(history, self.kernel) + tf.matmul(current, self.kernel)


class _OfBoth(_Fusion):
    """Base of fusions by one linear layer over both: [E_X; E_Y] W + b."""

    def build(self, input_shape: Any = None) -> None:
        self.kernel = self.add_weight(name="W", shape=(2 * self.dimensions, self.dimensions))
        self.bias = self.add_weight(name="b", shape=(self.dimensions,), initializer="zeros")

    def linear(self, history: tf.Tensor, current: tf.Tensor) -> tf.Tensor:
        """[E_X; E_Y] W + b: [B, P, D]."""
        return tf.matmul(tf.concat([history, current], axis=-1), self.kernel) + self.bias


@keras.saving.register_keras_serializable("tfrec")
class ConcatFusion(_OfBoth):
    """F = [E_X; E_Y] W + b."""

    def call(
        self, history: tf.Tensor, current: tf.Tensor, events: tf.Tensor, visible: tf.Tensor
    ) -> tf.Tensor:
        return self.linear(history, current)


@keras.saving.register_keras_serializable("tfrec")
class GatedFusion(_OfBoth):
    """F = g E_X + (1 - g) E_Y, g = sigmoid([E_X; E_Y] W + b), a gate for each dimension."""

    def call(
        self, history: tf.Tensor, current: tf.Tensor, events: tf.Tensor, visible: tf.Tensor
    ) -> tf.Tensor:
        gate = tf.sigmoid(self.linear(history, current))
        return gate * history + (1 - gate) * current


@keras.saving.register_keras_serializable("tfrec")
class CrossFusion(_Fusion):
    """F = S + Attention(S, history, history), S the current session, or E_X where there is none yet.

    Args:
        dimensions: D.
        heads: H.
    """

    def __init__(self, dimensions: int, heads: int, **kwargs: Any) -> None:
        super().__init__(dimensions, **kwargs)
        self.heads = heads
        self.attention = Attention(dimensions, heads, name="attention", dtype=self.dtype_policy)

    def build(self, input_shape: Any = None) -> None:
        self.attention.build()

    def call(
        self, history: tf.Tensor, current: tf.Tensor, events: tf.Tensor, visible: tf.Tensor
    ) -> tf.Tensor:
        empty = tf.reduce_all(tf.equal(current, 0), axis=-1, keepdims=True)
        state = tf.where(empty, history, current)
        return state + self.attention(state, events, visible, None)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"heads": self.heads}


def late_fusion(name: str, dimensions: int, heads: int, dtype: Any = None) -> keras.layers.Layer | None:
    """Returns the layer of a `model.fusion` setting, None for `early`."""
    if name == "early":
        return None
    if name == "cross":
        return CrossFusion(dimensions, heads, name="fusion", dtype=dtype)
    kinds = {"sum": SumFusion, "concat": ConcatFusion, "gated": GatedFusion}
    return kinds[name](dimensions, name="fusion", dtype=dtype)
