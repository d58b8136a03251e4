"""Where the embedding of an item's id stands, in tables that have a row for each item, or fewer."""

import math
from typing import Any, NamedTuple

import tensorflow as tf

from tfrec.lookup import looked_up
from tfrec.schema import FIRST_ROW
from tfrec.spec import ModelSpec

_MULTIPLIER = 2_654_435_761
"""2^32 over the golden ratio: Knuth's multiplicative hashing spreads neighbours."""


class Sizes(NamedTuple):
    """Rows of the tables.

    Attributes:
        table: padding, unknown, and one for each item or for each group of items that share it.
        quotient: of the second table of `quotient_remainder`, else 0.
    """

    table: int
    quotient: int


def sizes(spec: ModelSpec) -> Sizes:
    """Returns how many rows the tables of a model need."""
    if spec.settings.id_table == "full":
        return Sizes(spec.items, 0)
    items = max(spec.items - FIRST_ROW, 1)
    shared = math.ceil(items / spec.settings.items_a_row)
    quotients = math.ceil(items / shared) if spec.settings.id_table == "quotient_remainder" else 0
    return Sizes(FIRST_ROW + shared, quotients)


def embedding_of(spec: ModelSpec, rows: tf.Tensor, table: Any, quotient: Any | None) -> tf.Tensor:
    """Returns the embeddings of ids: [..., D].

    `hashed`: items share rows by lot (Weinberger et al. 2009). `quotient_remainder`: an embedding is the
    product, element by element, of a row for its number modulo M and one for its number divided by M, so that
    no two have the same (Shi et al. 2020, "Compositional Embeddings Using Complementary Partitions").

    Args:
        spec: the model's.
        rows: [...] int32 of items, padding and unknown included.
        table: [rows, D], a weight or an `Int8Table`.
        quotient: the same; None where there is none.
    """
    if spec.settings.id_table == "full":
        return looked_up(table, rows)
    shared = sizes(spec).table - FIRST_ROW
    item = tf.maximum(rows - FIRST_ROW, 0)
    special = rows < FIRST_ROW
    if quotient is None:
        hashed = tf.cast(item, tf.int64) * _MULTIPLIER % 2**32 // 2**7 % shared
        return looked_up(table, tf.where(special, rows, FIRST_ROW + tf.cast(hashed, tf.int32)))
    remainder = looked_up(table, tf.where(special, rows, FIRST_ROW + item % shared))
    return remainder * looked_up(quotient, item // shared)
