"""Tables of items that are no weights of the model: a step is given the rows that it meets.

A table of a hundred million items fits into no worker's memory. A model that is built inside `apart` makes
none; whoever keeps the rows gives each step those that it looks up, and learns their gradient
(`tfrec.distribution.shards`).
"""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

_apart: contextvars.ContextVar[bool] = contextvars.ContextVar("apart", default=False)


class RowsApart:
    """Stands in a layer for a weight with a row for each item.

    Args:
        path: of the weight in the model, its name at the end.
        shape: of the weight, [items, ...].
        initializer: of its rows.
        dtype: of what is looked up; that of the layer's computations, which Keras casts weights to by itself.
    """

    def __init__(self, path: str, shape: Sequence[int], initializer: Any, dtype: str) -> None:
        self.path = path
        self.name = path.rpartition("/")[2]
        self.shape = tuple(shape)
        self.initializer = keras.initializers.get(initializer)
        self.dtype = dtype
        self._given: tuple[tf.Tensor, tf.Tensor] | None = None

    @contextlib.contextmanager
    def given(self, rows: tf.Tensor, values: tf.Tensor) -> Iterator[None]:
        """Inside, rows can be looked up.

        Args:
            rows: [N] int32, rising, each once; those that are looked up are among them.
            values: [N, ...] of these rows.
        """
        self._given = rows, values
        try:
            yield
        finally:
            self._given = None

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns [..., *D] of rows [...] int32.

        Raises:
            RuntimeError: no rows are given.
        """
        if self._given is None:
            raise RuntimeError(f"the rows of {self.name} lie apart, and none are given here")
        known, values = self._given
        return tf.cast(tf.gather(values, place_of(rows, known)), self.dtype)


def item_weight(
    layer: keras.layers.Layer, name: str, shape: Sequence[int], initializer: Any, **options: Any
) -> Any:
    """Adds a weight with a row for each item to a layer; inside `apart` returns what stands in its place."""
    if not _apart.get():
        return layer.add_weight(name=name, shape=shape, initializer=initializer, **options)
    return RowsApart(f"{layer.path}/{name}", shape, initializer, options.get("dtype", layer.compute_dtype))


@contextlib.contextmanager
def apart(wanted: bool) -> Iterator[None]:
    """Inside, where it is wanted, models are built without their tables of items."""
    token = _apart.set(wanted)
    try:
        yield
    finally:
        _apart.reset(token)


def place_of(rows: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """Returns the last place of `known` [N], rising, whose number is at most each of `rows`: int32.

    By halving: a compiled `tf.searchsorted` compares each with each.
    """
    count = known.shape[0]
    place = tf.zeros_like(rows)
    for bit in reversed(range((count - 1).bit_length())):
        further = tf.minimum(place + 2**bit, count - 1)
        place = tf.where(tf.gather(known, further) <= rows, further, place)
    return place
