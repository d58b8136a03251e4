"""Tables of items that workers hold together: each keeps a part of the rows, and moves it.

At a step the workers tell each other which rows they meet; who has a row gives it, and gets the sum of its
gradients. So what is sent grows with the batch, not with the catalogue. Parameter servers do so for sparse
features, if not in step (Li et al. 2014, "Scaling Distributed Machine Learning with the Parameter Server").
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfrec.rows_apart import RowsApart
from tfrec.sparse_updates import LazyAdamW, MetRows

BEYOND = 2**31 - 1
"""Stands behind the rows that are met, where shapes want more: no item has it."""

Sum = Callable[[list[tf.Tensor]], list[tf.Tensor]]
"""Adds up tensors over all workers."""


class Shards:
    """A worker's part of the tables: a run of rows of each, with what the optimizer knows of them.

    To be made and compiled outside the scope of a strategy: these variables are this process's own.

    Args:
        tables: what stands for them in the model.
        index, count: which worker this is, of how many.
        seed: of the run; each worker draws its rows by itself.
    """

    def __init__(self, tables: Sequence[RowsApart], index: int, count: int, seed: int) -> None:
        self.tables = tables
        self.begin, self.end = part_of(tables[0].shape[0], index, count)
        self.weights: list[keras.Variable] = []
        for number, table in enumerate(tables):
            config = table.initializer.get_config()
            if "seed" in config:
                config["seed"] = int(np.random.SeedSequence((seed, number, index)).generate_state(1)[0])
            drawn = type(table.initializer).from_config(config)((self.end - self.begin, *table.shape[1:]))
            self.weights.append(keras.Variable(drawn, name=table.name, dtype="float32"))
        self.optimizer: LazyAdamW | None = None
        self.best: list[np.ndarray] = []

    @property
    def variables(self) -> list[keras.Variable]:
        """All that a step depends on: rows, and what the optimizer knows of them."""
        assert self.optimizer is not None
        return [*self.weights, *self.optimizer.variables]

    def compile(self, optimizer: LazyAdamW) -> None:
        """Sets what moves the rows: gradients come to it summed and clipped."""
        self.optimizer = optimizer
        optimizer.build(self.weights)

    def keep_best(self) -> None:
        """Keeps the rows as they are now, of all epochs so far the best."""
        self.best = [weight.numpy() for weight in self.weights]

    def fetch(self, rows: tf.Tensor, add_up: Sum) -> list[tf.Tensor]:
        """Returns the values of rows of the catalogue, of each table: [U, ...].

        Args:
            rows: [U] int32, the same on all workers.
            add_up: over the workers, which all come here together.
        """
        own, at = self._own(rows)
        return add_up([_where(own, tf.gather(weight.value, at)) for weight in self.weights])

    @contextlib.contextmanager
    def given(self, rows: tf.Tensor, values: Sequence[tf.Tensor]) -> Iterator[None]:
        """Inside, the model looks up these rows, [N] int32 rising, in `values` of each table."""
        with contextlib.ExitStack() as stack:
            for table, value in zip(self.tables, values, strict=True):
                stack.enter_context(table.given(rows, value))
            yield

    def move(self, rows: tf.Tensor, gradients: Sequence[tf.Tensor]) -> None:
        """Moves those of the rows that this worker has.

        Args:
            rows: [U] int32, each once.
            gradients: of each table [U, ...], summed over workers and clipped.
        """
        assert self.optimizer is not None
        own, at = self._own(rows)
        of_own = [MetRows.of(at, _where(own, gradient), own) for gradient in gradients]
        self.optimizer.apply(of_own, self.weights)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the rows are their averages, where the optimizer keeps any."""
        assert self.optimizer is not None
        if not self.optimizer.use_ema:
            yield
            return
        now = [weight.numpy() for weight in self.weights]
        self.optimizer.finalize_variable_values(self.weights)
        yield
        for weight, value in zip(self.weights, now, strict=True):
            weight.assign(value)

    def _own(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Which rows are here, and where; 0 for those that are not."""
        own = (rows >= self.begin) & (rows < self.end)
        return own, tf.where(own, rows - self.begin, 0)


def part_of(items: int, index: int, count: int) -> tuple[int, int]:
    """Returns the first row of a worker's part, and the first one behind it."""
    size = -(-items // count)
    return min(index * size, items), min((index + 1) * size, items)


def behind(known: tf.Tensor, values: Sequence[tf.Tensor], room: int) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Returns rows and their values with as much behind them as makes `room`, a shape known beforehand."""
    short = room - tf.shape(known)[0]
    rows = tf.ensure_shape(tf.pad(known, [[0, short]], constant_values=BEYOND), [room])
    padded = [tf.pad(value, [[0, short], *[[0, 0]] * (len(value.shape) - 1)]) for value in values]
    return rows, [tf.ensure_shape(value, [room, *value.shape[1:]]) for value in padded]


def _where(own: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.reshape(own, [-1, *[1] * (len(values.shape) - 1)]), values, tf.zeros_like(values))
