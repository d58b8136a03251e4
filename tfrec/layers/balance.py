"""Losses of several tasks as one, by what can be known of each."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfrec")
class UncertaintyBalance(keras.layers.Layer):
    """Σ_i exp(-s_i) · loss_i + s_i / 2, s_i = log σ_i² learned: a task that stays uncertain counts less.

    Source: Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses", CVPR 2018.

    Args:
        tasks: how many losses.
    """

    def __init__(self, tasks: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tasks = tasks

    def build(self, input_shape: Any = None) -> None:
        self.log_variance = self.add_weight(
            name="log_variance", shape=(self.tasks,), initializer="zeros", dtype="float32"
        )

    def call(self, losses: tf.Tensor, replicas: int = 1) -> tf.Tensor:
        """Returns a scalar of losses [tasks], the share of one of so many replicas."""
        uncertain = tf.convert_to_tensor(self.log_variance)
        return tf.reduce_sum(tf.exp(-uncertain) * losses + uncertain / 2 / replicas)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"tasks": self.tasks}
