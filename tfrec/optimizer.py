"""AdamW whose step works out once what all weights share."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf


class Shared(NamedTuple):
    """What a step works out for all weights, scalars of float32.

    Attributes:
        rate: the learning rate.
        alpha: the rate with both moments' corrections for their beginning at 0.
        m, v: what a new gradient, and its square, count in the moments.
        average: what a new weight counts in the moving average: all in the first step.
        decay: what a weight loses of itself.
    """

    rate: tf.Tensor
    alpha: tf.Tensor
    m: tf.Tensor
    v: tf.Tensor
    average: tf.Tensor
    decay: tf.Tensor


class AdamW(keras.optimizers.AdamW):
    """Keras's AdamW (Loshchilov & Hutter 2019) in half of its operations.

    Keras works out the learning rate, its schedule and the powers of both betas anew for each weight.
    With fifty weights that is a third of all operations of a training step, which are traced and
    compiled before the first.

    Raises:
        ValueError: `amsgrad` is asked for, which no setting of tfrec does.
    """

    _momentums: list[Any]
    _velocities: list[Any]
    _model_variables_moving_average: list[Any]
    _shared: Shared | None = None  # within a step: it belongs to that graph
    _within = 0  # replicas whose step it is: they meet in it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.amsgrad:
            raise ValueError("amsgrad: expected False, found True; keras.optimizers.AdamW has it")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves a weight and its moments.

        Args:
            gradient: of the weight; slices are made dense.
            variable: TensorFlow's own.
            learning_rate: the step's has it already.
        """
        index, shared = self._get_variable_index(variable), self.shared_as(variable.dtype)
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        m, v = (tf.convert_to_tensor(each[index]) for each in (self._momentums, self._velocities))
        m += (gradient - m) * shared.m
        v += (tf.square(gradient) - v) * shared.v
        self.assign(self._momentums[index], m)
        self.assign(self._velocities[index], v)
        variable.assign_sub(m * shared.alpha / (tf.sqrt(v) + self.epsilon))

    def shared_as(self, dtype: Any) -> Shared:
        """What this step shares, as numbers of such a dtype."""
        assert self._shared is not None, "outside of a step"
        return Shared(*(tf.cast(each, dtype) for each in self._shared))

    def _backend_apply_gradients(self, grads: Sequence[Any], trainable_variables: Sequence[Any]) -> None:
        rate, before = tf.cast(self.learning_rate, tf.float32), tf.cast(self.iterations, tf.float32)
        correction = tf.sqrt(1 - self.beta_2 ** (before + 1)) / (1 - self.beta_1 ** (before + 1))
        self._shared = Shared(
            rate,
            rate * correction,
            tf.constant(1 - self.beta_1),
            tf.constant(1 - self.beta_2),
            tf.where(before > 0, 1 - self.ema_momentum, 1.0) if self.use_ema else tf.constant(1.0),
            rate * (self.weight_decay or 0.0),
        )
        self._within += 1
        try:
            super()._backend_apply_gradients(grads, trainable_variables)
        finally:
            self._within -= 1
            if not self._within:
                self._shared = None

    def _get_current_learning_rate(self) -> Any:
        return super()._get_current_learning_rate() if self._shared is None else self._shared.rate

    def _update_model_variables_moving_average(self, trainable_variables: Sequence[Any]) -> None:
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            share = self.shared_as(average.dtype).average
            old, new = tf.convert_to_tensor(average), tf.convert_to_tensor(variable)
            average.assign(old + (new - old) * share)
