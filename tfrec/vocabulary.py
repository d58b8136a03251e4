"""The two-way map between raw ids and rows of an embedding table."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrec.errors import DataError
from tfrec.schema import FIRST_ROW, PADDING_ROW, UNKNOWN_ROW


class Vocabulary:
    """Raw ids, one a row, behind the rows for padding and for the unknown.

    A vocabulary only grows at its end, so that a row learned once keeps its place.

    Args:
        values: the raw ids in row order: int64 or str, each once.

    Raises:
        DataError: an id stands twice.
    """

    def __init__(self, values: Iterable[Any]) -> None:
        index = pd.Index(values)
        if not index.is_unique:
            twice = index[index.duplicated()][0]
            raise DataError(f"the vocabulary has {twice!r} twice; every id must stand once")
        self._index = index

    @property
    def size(self) -> int:
        """Rows of a table for it, padding and unknown included."""
        return len(self._index) + FIRST_ROW

    @property
    def values(self) -> np.ndarray:
        """The raw ids in row order, without padding and unknown: [size - FIRST_ROW]."""
        return self._index.to_numpy()

    def rows(self, raw: Any) -> np.ndarray:
        """Returns the rows of raw ids, UNKNOWN_ROW where the vocabulary has none: int32, as `raw`."""
        # NumPy's own strings would drop the NULs at their end.
        values = np.asarray(raw) if hasattr(raw, "dtype") else np.asarray(raw, dtype=object)
        found = self._index.get_indexer(pd.Index(values.ravel()).infer_objects())
        rows = np.where(found < 0, UNKNOWN_ROW, found + FIRST_ROW).astype(np.int32)
        return rows.reshape(values.shape)

    def raw(self, rows: np.ndarray) -> np.ndarray:
        """Returns the raw ids of known rows, shaped as `rows`.

        Raises:
            DataError: a row is padding, unknown, or beyond the table.
        """
        rows = np.asarray(rows)
        bad = (rows < FIRST_ROW) | (rows >= self.size)
        if bad.any():
            names = {PADDING_ROW: " (padding)", UNKNOWN_ROW: " (unknown)"}
            row = int(rows[bad].ravel()[0])
            raise DataError(
                f"row {row}{names.get(row, '')} has no raw id; rows are {FIRST_ROW}..{self.size - 1}"
            )
        return self.values[rows - FIRST_ROW]

    def grow(self, raw: Iterable[Any]) -> "Vocabulary":
        """Returns a vocabulary with the ids that were missing added at its end, in their order."""
        new = pd.Index(raw).unique()
        return Vocabulary(self._index.append(new[~new.isin(self._index)]))

    def remap(self, other: "Vocabulary") -> np.ndarray:
        """Returns, for each row of `other`, the row here: int32 [other.size]."""
        return np.concatenate([[PADDING_ROW, UNKNOWN_ROW], self.rows(other.values)]).astype(np.int32)

    def save(self, path: Path) -> None:
        """Writes the ids as a Parquet file with the one column `value`."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"value": self._index}).to_parquet(path, index=False)

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Reads what `save` (or data preparation) has written.

        Raises:
            DataError: the file is missing or no vocabulary.
        """
        try:
            return cls(pd.read_parquet(path, columns=["value"])["value"])
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path} is no vocabulary: {error}") from error
