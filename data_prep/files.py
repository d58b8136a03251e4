"""Files of a log as Arrow tables: CSV, Parquet and JSON lines, gzipped or not."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.file_table import FileTable, present
from data_prep.json_lines import read_json_lines
from data_prep.text import read_text
from tfrec.errors import DataError

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
}
SNIFFED = 4096
PANDAS_INDEX = "__index_level_"
READING_ERRORS = (pa.ArrowException, OSError, UnicodeDecodeError)


def list_files(paths: Sequence[Path]) -> list[Path]:
    """Returns the files of a log, each once: those named, and those in the folders named, sorted by name.

    Raises:
        DataError: one is not there, or a folder holds no file of a known kind.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = [p for p in path.iterdir() if p.is_file() and _kind_by_name(p)]
            if not inside:
                raise DataError(f"{path}: the folder holds no file ending in {', '.join(SUFFIXES)} (or .gz)")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"{path}: no such file or folder")
    if not found:
        raise DataError("no log was named: give a file, several, or a folder")
    once = {path.resolve(): path for path in reversed(found)}
    return sorted(once.values(), key=lambda path: (path.name, str(path)))


def read_file(path: Path, columns: Sequence[str] | None = None) -> FileTable:
    """Reads a file's columns; those of CSV files as strings.

    Args:
        path: of the file.
        columns: which; None: all.

    Raises:
        DataError: the file is empty, binary, unreadable, or lacks a column.
    """
    try:
        kind = file_kind(path)
        if kind == "parquet":
            table = pq.read_table(path, columns=present(path, columns, column_names(path)))
            return FileTable(path, _sound(table))
        _refuse_binary(path)
        return read_json_lines(path, columns) if kind == "json" else read_text(path, columns)
    except READING_ERRORS as error:
        raise DataError(f"{path} cannot be read: {str(error)[:300]}") from error


def read_row_groups(path: Path, columns: Sequence[str], groups: Sequence[int]) -> pa.Table:
    """Reads columns of row groups of a Parquet file, as `read_file` reads all of it.

    Raises:
        DataError: the file is unreadable, or lacks a column.
    """
    wanted = present(path, columns, column_names(path))
    try:
        with pq.ParquetFile(path) as file:
            return _sound(file.read_row_groups(groups, columns=wanted))
    except READING_ERRORS as error:
        raise DataError(f"{path} cannot be read: {str(error)[:300]}") from error


def column_names(path: Path) -> list[str]:
    """Returns the names of a Parquet file's columns; the index of a pandas frame is none.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return [name for name in pq.read_schema(path).names if not name.startswith(PANDAS_INDEX)]
    except READING_ERRORS as error:
        raise DataError(f"{path} cannot be read: {str(error)[:300]}") from error


@dataclass(frozen=True)
class LogFile:
    """A file of a log that is yet to be read.

    Attributes:
        path: of the file.
        columns: to read.
        whole: reads files of a form of their own; None: those that `read_file` reads.
    """

    path: Path
    columns: Sequence[str]
    whole: Callable[[Path, Sequence[str]], FileTable] | None = None

    def read(self) -> FileTable:
        """Reads the file.

        Raises:
            DataError: it cannot be read, or lacks a column.
        """
        return (self.whole or read_file)(self.path, self.columns)


@contextlib.contextmanager
def spoken() -> Iterator[None]:
    """Says in words what the system refuses: a folder without permission, a broken disk.

    Raises:
        DataError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{error.filename or 'the log'} cannot be read: {error.strerror}. Check its permissions."
        ) from error


def log_files(paths: Sequence[Path], columns: Sequence[str]) -> list[LogFile]:
    """Returns the files of a log, as `list_files` lists them."""
    return [LogFile(path, columns) for path in list_files(paths)]


def read_files(paths: Sequence[Path], columns: Sequence[str] | None = None) -> Iterator[FileTable]:
    """Reads the files of a log one after another."""
    for path in list_files(paths):
        yield read_file(path, columns)


def file_kind(path: Path) -> str:
    """Returns `csv`, `parquet` or `json`: what a file is by its name, else by its first bytes."""
    return _kind_by_name(path) or _kind_by_content(path)


def _sound(table: pa.Table) -> pa.Table:
    """A table that holds what it says; text of view types, which little of Arrow can compute on, as text."""
    table.validate(full=True)
    columns = {
        name: column.cast(pa.large_string()) if pa.types.is_string_view(column.type) else column
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return pa.table(columns)


def _kind_by_name(path: Path) -> str | None:
    suffixes = [s for s in path.suffixes if s != ".gz"]
    return SUFFIXES.get(suffixes[-1].lower()) if suffixes else None


def _kind_by_content(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(SNIFFED)
    if start.startswith(b"PAR1"):
        return "parquet"
    return "json" if start.lstrip().startswith(b"{") else "csv"


def _refuse_binary(path: Path) -> None:
    with pa.input_stream(str(path), compression="detect") as stream:
        if b"\0" in stream.read(SNIFFED):
            raise DataError(f"{path} is a binary file; a log is CSV, Parquet or JSON lines")
