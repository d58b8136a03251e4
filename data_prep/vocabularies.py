"""Which values a model learns: those of train events."""

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
        rows: [E] int32 rows of all events; UNKNOWN_ROW where the value is missing or in no train event.
    """

    values: pd.Index
    counts: np.ndarray
    rows: np.ndarray

    @property
    def size(self) -> int:
        """Rows of the table, padding and unknown included."""
        return len(self.values) + FIRST_ROW


def train_values(column: Column, train: np.ndarray) -> TrainValues:
    """Lays out the values of a column.

    Args:
        column: of E events.
        train: [E] bool, which events are train.
    """
    seen = column.codes[train]
    counts = np.bincount(seen[seen >= 0], minlength=len(column.values))
    by_value = column.values.argsort()
    order = by_value[np.argsort(-counts[by_value], kind="stable")]
    order = order[counts[order] > 0]
    row_of_code = np.full(len(column.values) + 1, UNKNOWN_ROW, np.int32)  # the last place is that of code -1
    row_of_code[order] = np.arange(FIRST_ROW, FIRST_ROW + len(order), dtype=np.int32)
    return TrainValues(column.values[order], counts[order].astype(np.int64), row_of_code[column.codes])
