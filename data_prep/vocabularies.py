"""Which values a model learns: those of train events."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_prep.log import Column
from tfrec.schema import FIRST_ROW, UNKNOWN_ROW


@dataclass(frozen=True)
class TrainValues:
    """Values of train events, by falling count, ties by value.

    Attributes:
        values: [V] raw; the i-th has the row i + FIRST_ROW.
        counts: [V] int64 train events of each.
    """

    values: pd.Index
    counts: np.ndarray

    @property
    def size(self) -> int:
        """Rows of the table, padding and unknown included."""
        return len(self.values) + FIRST_ROW

    def rows_of(self, column: Column) -> np.ndarray:
        """Returns the rows of a column: [E] int32; UNKNOWN_ROW where a value is missing or none of these."""
        place = self.values.get_indexer(column.values)
        row = np.where(place < 0, UNKNOWN_ROW, place + FIRST_ROW).astype(np.int32)
        return np.append(row, np.int32(UNKNOWN_ROW))[column.codes]  # the last place is that of code -1


def value_counts(column: Column, of: np.ndarray) -> pd.Series:
    """Returns how often each value stands in some events: int64, under the raw values that do.

    Args:
        column: of E events.
        of: [E] bool, which events count.
    """
    seen = column.codes[of]
    counts = np.bincount(seen[seen >= 0], minlength=len(column.values)).astype(np.int64)
    there = counts > 0
    return pd.Series(counts[there], index=column.values[there])


def summed(counts: Sequence[pd.Series]) -> pd.Series:
    """Returns the counts of all parts of a log as one."""
    filled = [part for part in counts if len(part)] or list(counts[:1])
    if len(filled) == 1:
        return filled[0]
    total = pd.concat(filled).groupby(level=0, sort=False).sum()
    return total.set_axis(total.index.astype(filled[0].index.dtype))


def train_values(counts: pd.Series) -> TrainValues:
    """Lays out the values that train events have.

    Args:
        counts: of train events, by `value_counts`.
    """
    by_value = counts.iloc[counts.index.argsort()]
    order = np.argsort(-by_value.to_numpy(), kind="stable")
    return TrainValues(by_value.index[order], by_value.to_numpy()[order])
