"""What is read from one file."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from tfrec.errors import DataError


@dataclass
class FileTable:
    """The columns of a file, and the lines that are no rows.

    Rows are numbered from 1; a header is a row, an empty line is none.

    Attributes:
        path: of the file.
        table: its rows, without the broken ones.
        first_row: number of the first row below the header.
        broken: (row number, text) of lines that are no rows, in order.
        replaced: whether U+FFFD stands in the table for what was no UTF-8.
    """

    path: Path
    table: pa.Table
    first_row: int = 1
    broken: list[tuple[int, str]] = field(default_factory=list)
    replaced: bool = False

    def row_numbers(self, at: np.ndarray) -> np.ndarray:
        """Returns the numbers in the file of the table's rows at the given places."""
        broken = np.array([number for number, _ in self.broken], np.int64)
        # A broken row with j others before it has `number - first_row - j` good rows before it.
        before = broken - self.first_row - np.arange(len(broken))
        return at + self.first_row + np.searchsorted(before, at, side="right")


HINT = "Name the columns with --user, --item, --time; of impressions with --impression-id, --shown, --label."
SHOWN = 30
LONGEST = 60


def present(path: Path, columns: Sequence[str] | None, names: list[str], *, hint: str = HINT) -> list[str]:
    """Returns the columns to read: those wanted, or all.

    Args:
        path: of the file.
        columns: wanted; None: all.
        names: that the file has.
        hint: what to do where one is not there.

    Raises:
        DataError: one is not there, or there twice.
    """
    for column in columns if columns is not None else names:
        if names.count(column) > 1:
            raise DataError(f"{path} has {names.count(column)} columns {column!r}. Rename all but one.")
        if column not in names:
            near = difflib.get_close_matches(column, names, n=1, cutoff=0.5)
            nearest = f" Did you mean {near[0]!r}?" if near else ""
            raise DataError(
                f"{path} has no column {column!r}; its columns are {_listed(names)}.{nearest} {hint}"
            )
    return list(dict.fromkeys(columns)) if columns is not None else list(names)


def _listed(names: list[str]) -> str:
    """Names for a message, which a file that is no log must not flood."""
    shown = ", ".join(repr(name if len(name) <= LONGEST else name[:LONGEST] + "…") for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
