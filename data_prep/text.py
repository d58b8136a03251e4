"""CSV and its kin, every column as strings; lines with too few or too many fields are kept apart."""

import codecs
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from data_prep.file_table import FileTable, present
from tfrec.errors import DataError

DELIMITERS = ",\t;|"
LONGEST_HEADER = 1 << 20
# The largest line that a block must hold: an id of a megabyte is to be refused by its row, not its file.
BLOCK_BYTES = 1 << 24


def read_text(path: Path, columns: Sequence[str] | None = None) -> FileTable:
    """Reads a file with a header; its delimiter is the one that the header has most of.

    Raises:
        DataError: the file is empty, or lacks a column.
    """
    content = None if _is_utf8(path) else _replaced(path)
    with _stream(path, content) as stream:
        header = stream.read(LONGEST_HEADER).split(b"\n", 1)[0]
    if not header.strip():
        raise DataError(f"{path} is empty: expected a header with the names of columns, and rows below it")
    delimiter = max(DELIMITERS, key=header.decode(errors="replace").count)
    parse = pa_csv.ParseOptions(delimiter=delimiter)
    names = pa_csv.read_csv(pa.BufferReader(header + b"\n"), parse_options=parse).column_names
    with _stream(path, content) as stream:
        file = _read(path, stream, present(path, columns, names), delimiter)
    return replace(file, replaced=content is not None)


def _stream(path: Path, content: bytes | None) -> pa.NativeFile:
    return pa.BufferReader(content) if content else pa.input_stream(str(path), compression="detect")


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with pa.input_stream(str(path), compression="detect") as stream:
        try:
            while block := stream.read(BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _replaced(path: Path) -> bytes:
    """A file's content with U+FFFD for what is no UTF-8."""
    with pa.input_stream(str(path), compression="detect") as stream:
        return stream.read().decode(errors="replace").encode()


def read_bare_text(path: Path, content: bytes, names: Sequence[str], delimiter: str) -> FileTable:
    """Reads content that has neither header nor quotes.

    Args:
        path: where it is from.
        content: in UTF-8.
        names: of all its columns.
        delimiter: one character.
    """
    return _read(path, pa.BufferReader(content), list(names), delimiter, names)


def _read(
    path: Path,
    stream: pa.NativeFile,
    wanted: list[str],
    delimiter: str,
    names: Sequence[str] | None = None,
) -> FileTable:
    broken: list[tuple[int, str]] = []

    def keep(row: pa_csv.InvalidRow) -> str:
        broken.append((int(row.number), row.text))
        return "skip"

    table = pa_csv.read_csv(
        stream,
        # Threads would keep no row numbers.
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=names),
        parse_options=pa_csv.ParseOptions(
            delimiter=delimiter,
            quote_char='"' if names is None else False,
            newlines_in_values=names is None,
            invalid_row_handler=keep,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in wanted},
            include_columns=wanted,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return FileTable(path, table, first_row=1 if names is not None else 2, broken=broken)
