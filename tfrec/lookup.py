"""Rows of a table, whatever it is kept in."""

from typing import Any, Protocol, runtime_checkable

import tensorflow as tf


@runtime_checkable
class HasRows(Protocol):
    """What stands in the place of a weight whose rows are looked up."""

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns [..., *D] of rows [...] int32."""


def looked_up(table: Any, rows: tf.Tensor) -> tf.Tensor:
    """Returns the rows [..., *D] of a table: of a weight, or of what stands in its place."""
    return table.gather(rows) if isinstance(table, HasRows) else tf.gather(table, rows)
