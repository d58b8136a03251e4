"""The files of a log in pieces that fit into memory."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow.parquet as pq

from data_prep.file_table import FileTable
from data_prep.files import LogFile, file_kind, read_row_groups
from data_prep.sizes import lines_of
from data_prep.text import read_text_in_pieces


class Piece(Protocol):
    """A piece of a file of a log."""

    def read(self) -> FileTable:
        """Reads its rows, with their numbers in the file."""


@dataclass(frozen=True)
class RowGroups:
    """Row groups of a Parquet file.

    Attributes:
        file: of the log.
        first, last: the groups from `first` to before `last`.
        first_row: number of their first row in the file.
    """

    file: LogFile
    first: int
    last: int
    first_row: int

    def read(self) -> FileTable:
        """Reads them."""
        table = read_row_groups(self.file.path, self.file.columns, range(self.first, self.last))
        return FileTable(self.file.path, table, self.first_row)


@dataclass(frozen=True)
class TextPiece:
    """Lines of a file of text, which stand in a file of their own.

    Attributes:
        path: of the log's file.
        stored: the lines.
        first_row, broken, replaced: as of `FileTable`.
    """

    path: Path
    stored: Path
    first_row: int
    broken: list[tuple[int, str]]
    replaced: bool

    def read(self) -> FileTable:
        """Reads them."""
        return FileTable(self.path, pq.read_table(self.stored), self.first_row, self.broken, self.replaced)


def cut_file(file: LogFile, number: int, rows: int, scratch: Path) -> list[Piece]:
    """Cuts a file into pieces of about so many rows; JSON lines and files of a form of their own stay whole.

    Args:
        file: of the log.
        number: of the file in the log.
        rows: of a piece.
        scratch: a folder for the pieces of a file of text.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    kind = file_kind(file.path)
    if file.whole is not None or kind == "json":
        return [file]
    if kind == "parquet":
        return _groups(file, rows)
    return _texts(file, number, rows, scratch) if lines_of(file.path) > rows else [file]


def _groups(file: LogFile, rows: int) -> list[Piece]:
    data = pq.read_metadata(file.path)
    sizes = [data.row_group(group).num_rows for group in range(data.num_row_groups)]
    ends = list(itertools.accumulate(sizes, initial=0))
    pieces: list[Piece] = []
    first = 0
    for last in range(1, len(sizes) + 1):
        if ends[last] - ends[first] >= rows or last == len(sizes):
            pieces.append(RowGroups(file, first, last, ends[first] + 1))
            first = last
    return pieces or [file]


def _texts(file: LogFile, number: int, rows: int, scratch: Path) -> list[Piece]:
    pieces: list[Piece] = []
    for at, found in enumerate(read_text_in_pieces(file.path, file.columns, rows)):
        stored = scratch / f"text-{number}-{at}.parquet"
        pq.write_table(found.table, stored, compression="zstd")
        pieces.append(TextPiece(file.path, stored, found.first_row, found.broken, found.replaced))
    return pieces
