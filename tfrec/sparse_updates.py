"""AdamW that moves only the rows of tables that a step has met, for catalogues of millions.

A batch meets some ten thousand rows, whatever the catalogue's size, and the gradient of the others is 0. Adam
would move them all the same, by what is left of earlier gradients, and read and write tables, moments and
averages in full. Here a row rests until it is met again (as `LazyAdam` of TensorFlow Addons had it); its
moving average is what it would be had it been brought up to date at each step.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfrec.optimizer import AdamW


class MetRows(NamedTuple):
    """The rows that a gradient has, each once.

    Attributes:
        row: [n] int32; 0 behind the last.
        gradient: [n, ...] the sum of the row's gradients; 0 behind the last.
        met: [n] float32, 1 where there is a row whose gradient is not 0, else 0.
    """

    row: tf.Tensor
    gradient: tf.Tensor
    met: tf.Tensor

    @classmethod
    def of(cls, row: tf.Tensor, gradient: tf.Tensor, there: tf.Tensor) -> "MetRows":
        """Returns those of the rows that are `there`, [n] bool."""
        some = tf.reduce_any(tf.reshape(gradient, [tf.shape(gradient)[0], -1]) != 0, axis=1)
        return cls(row, gradient, tf.cast(there & some, tf.float32))


class LazyAdamW(AdamW):
    """AdamW; of some tables it moves the rows that a step's gradient has, and lets the others rest.

    Args:
        tables: weights that are read by `tf.gather`.
        others: of AdamW.
    """

    def __init__(self, *args: Any, tables: Sequence[keras.Variable] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = {self._var_key(table) for table in tables}

    def build(self, var_list: Sequence[keras.Variable]) -> None:
        """As Keras has it; and for each table how many steps each row's average knows of."""
        if self.built:
            return
        super().build(var_list)
        self._steps_known: dict[int, Any] = {}
        for index, variable in enumerate(var_list):
            if self.use_ema and self._is_lazy(variable):
                known = self.add_variable(variable.shape[:1], "zeros", "int32", name="steps_known")
                self._steps_known[index] = known
                self._model_variables_moving_average[index].assign(variable)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves a weight: of a table the rows that the gradient has."""
        if not self._is_lazy(variable):
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        shared = self.shared_as(tf.float32)
        rows: MetRows = gradient  # as `_backend_apply_gradients` has made it

        def add(to: Any, change: tf.Tensor) -> None:
            to = _value(to)
            change = tf.cast(change * tf.cast(_of_rank(rows.met, change), change.dtype), to.dtype)
            to.scatter_add(tf.IndexedSlices(change, rows.row))

        old = _read(variable, rows.row)
        m, v = (_read(each[index], rows.row) for each in (self._momentums, self._velocities))
        m_change = (rows.gradient - m) * shared.m
        v_change = (tf.square(rows.gradient) - v) * shared.v
        change = -shared.alpha * (m + m_change) / (tf.sqrt(v + v_change) + self.epsilon)
        if self.weight_decay and self._use_weight_decay(variable):
            change -= old * shared.decay
        add(self._momentums[index], m_change)
        add(self._velocities[index], v_change)
        add(variable, change)
        if index in self._steps_known:
            average = self._model_variables_moving_average[index]
            before = _read(average, rows.row)
            known = _read(self._steps_known[index], rows.row)
            now = tf.cast(self.iterations, tf.int32)
            caught_up = self._caught_up(before, old, now - known)
            add(average, (1 - shared.average) * caught_up + shared.average * (old + change) - before)
            add(self._steps_known[index], now + 1 - known)

    def _backend_apply_gradients(self, grads: Sequence[Any], trainable_variables: Sequence[Any]) -> None:
        # Keras would make slices dense where it clips them.
        found = [
            _met(gradient) if self._is_lazy(variable) else tf.convert_to_tensor(gradient)
            for gradient, variable in zip(grads, trainable_variables, strict=True)
        ]
        super()._backend_apply_gradients(found, trainable_variables)

    def _clip_gradients(self, grads: Sequence[Any]) -> list[Any]:
        """All of them by their common length; of a table the rows are what is not 0."""
        if not self.global_clipnorm:
            return list(grads)
        numbers = [g.gradient if isinstance(g, MetRows) else g for g in grads]
        scale = self.global_clipnorm / tf.maximum(tf.linalg.global_norm(numbers), self.global_clipnorm)
        return [
            g._replace(gradient=g.gradient * scale) if isinstance(g, MetRows) else g * scale for g in grads
        ]

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        # Of this process alone: a strategy around it has nothing to say of these weights.
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            self.update_step(gradient, _value(variable), learning_rate)

    def finalize_variable_values(self, var_list: Any) -> None:
        """Sets the weights to their averages, of tables once these know of all steps."""
        now = tf.cast(self.iterations, tf.int32)
        for index, known in self._steps_known.items():
            average, weight = self._model_variables_moving_average[index], self._trainable_variables[index]
            average.assign(self._caught_up(tf.convert_to_tensor(average), weight, now - known))
            known.assign(tf.fill(known.shape, now))
        super().finalize_variable_values(var_list)

    def _caught_up(self, average: tf.Tensor, weight: Any, steps: tf.Tensor) -> tf.Tensor:
        """Averages of rows after steps in which these did not move."""
        weight = tf.convert_to_tensor(weight)
        share = tf.cast(self.ema_momentum, tf.float32) ** tf.cast(steps, tf.float32)
        return weight + (average - weight) * _of_rank(share, weight)

    def _is_lazy(self, variable: Any) -> bool:
        return self._var_key(variable) in self._lazy

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        # The rows of tables decay where they are moved.
        if others := [variable for variable in variables if not self._is_lazy(variable)]:
            super()._apply_weight_decay(others)

    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        every = self._model_variables_moving_average
        pairs = [
            (variable, average)
            for index, (variable, average) in enumerate(zip(trainable_variables, every, strict=True))
            if index not in self._steps_known
        ]
        self._model_variables_moving_average = [average for _, average in pairs]
        super()._update_model_variables_moving_average([variable for variable, _ in pairs])
        self._model_variables_moving_average = every


def met_rows(gradient: tf.IndexedSlices | tf.Tensor) -> MetRows:
    """Returns the rows of a gradient, those that come several times added up.

    By sorting, since a compiled program knows no sizes that depend on values: n is the number of slices.

    Args:
        gradient: of a table; where it is dense, all rows are met.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        count = tf.shape(gradient)[0]
        return MetRows.of(tf.range(count), gradient, tf.fill([count], True))
    count = tf.shape(gradient.indices)[0]
    order = tf.argsort(gradient.indices, stable=True)
    rows = tf.cast(tf.gather(gradient.indices, order), tf.int32)
    begins = tf.concat([tf.ones_like(rows[:1]), tf.cast(rows[1:] != rows[:-1], tf.int32)], axis=0)
    place = tf.cumsum(begins) - 1
    summed = tf.math.unsorted_segment_sum(tf.gather(gradient.values, order), place, count)
    row = tf.math.unsorted_segment_max(rows, place, count)
    return MetRows.of(tf.maximum(row, 0), summed, row >= 0)


def _met(gradient: Any) -> MetRows:
    return gradient if isinstance(gradient, MetRows) else met_rows(gradient)


def _read(variable: Any, rows: tf.Tensor) -> tf.Tensor:
    """Some rows of a variable; of Keras's own TensorFlow would first read all."""
    return tf.gather(_value(variable), rows)


def _value(variable: Any) -> Any:
    """TensorFlow's own variable."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def _of_rank(of_rows: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """[n] -> [n, 1 …], to be multiplied with [n, …]."""
    return tf.reshape(of_rows, [-1, *[1] * (len(like.shape) - 1)])
