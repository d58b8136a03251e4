"""Products of what is known of a candidate, of bounded degree."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfrec")
class Cross(keras.layers.Layer):
    """x_{l+1} = x_0 ⊙ (x_l W_l + b_l) + x_l: after l layers all products of at most l + 1 features.

    Source: Wang et al., "DCN V2: Improved Deep & Cross Network", WWW 2021.

    Args:
        dimensions: D.
        layers: how many.

    Shapes: x [..., D] -> [..., D].
    """

    def __init__(self, dimensions: int, layers: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dimensions = dimensions
        self.layers = layers
        self.dense = [
            keras.layers.Dense(dimensions, name=f"dense_{i}", dtype=self.dtype_policy) for i in range(layers)
        ]

    def build(self, input_shape: Any = None) -> None:
        for layer in self.dense:
            layer.build((None, None, self.dimensions))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the crossed features, shaped as x."""
        found = x
        for layer in self.dense:
            found = x * layer(found) + found
        return found

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"dimensions": self.dimensions, "layers": self.layers}
