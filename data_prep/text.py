"""CSV and its kin, every column as strings; lines with too few or too many fields are kept apart."""

import codecs
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
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
    text, replaced = _opened(path, columns)
    with _stream(path, replaced=replaced) as stream:
        table = pa_csv.read_csv(stream, **text.options)
    return FileTable(path, table, first_row=2, broken=text.broken, replaced=replaced)


def read_text_in_pieces(path: Path, columns: Sequence[str], rows: int) -> Iterator[FileTable]:
    """Reads a file as `read_text` does, in pieces of so many rows, and the last one of what is left.

    Lines that are no rows come with the piece in which they stand.

    Raises:
        DataError: the file lacks a column.
    """
    text, replaced = _opened(path, columns)
    begin = 2
    with _stream(path, replaced=replaced) as stream:
        reader = pa_csv.open_csv(stream, **text.options)
        table = reader.schema.empty_table()
        for batch in reader:
            table = pa.concat_tables([table, pa.Table.from_batches([batch])])
            while table.num_rows > rows:
                piece, table = table.slice(0, rows), table.slice(rows)
                last = FileTable(path, piece, begin, text.since(begin)).row_numbers(np.array([rows - 1]))
                # The reader is ahead of what it gives: what is broken beyond the piece is of the next one.
                yield FileTable(path, piece, begin, text.since(begin, int(last[0])), replaced)
                begin = int(last[0]) + 1
    yield FileTable(path, table, begin, text.since(begin), replaced)


@dataclass
class _Text:
    """How a file is to be read, and the (number, text) of its lines that are no rows, as they come."""

    wanted: Sequence[str]
    delimiter: str
    names: Sequence[str] | None = None
    broken: list[tuple[int, str]] = field(default_factory=list)

    def since(self, begin: int, end: int | None = None) -> list[tuple[int, str]]:
        """Returns the broken lines from a number on, up to another."""
        return [(n, text) for n, text in self.broken if n >= begin and (end is None or n <= end)]

    @property
    def options(self) -> dict[str, Any]:
        """What Arrow's readers are told."""
        return {
            # Threads would keep no row numbers.
            "read_options": pa_csv.ReadOptions(
                use_threads=False, block_size=BLOCK_BYTES, column_names=self.names
            ),
            "parse_options": pa_csv.ParseOptions(
                delimiter=self.delimiter,
                quote_char='"' if self.names is None else False,
                newlines_in_values=self.names is None,
                invalid_row_handler=self._keep,
            ),
            "convert_options": pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in self.wanted},
                include_columns=self.wanted,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        }

    def _keep(self, row: pa_csv.InvalidRow) -> str:
        self.broken.append((int(row.number), row.text))
        return "skip"


def _opened(path: Path, columns: Sequence[str] | None) -> tuple[_Text, bool]:
    """How a file is to be read, and whether it holds what is no UTF-8."""
    replaced = not _is_utf8(path)
    with _stream(path, replaced=replaced) as stream:
        header = stream.read(LONGEST_HEADER).split(b"\n", 1)[0]
    if not header.strip():
        raise DataError(f"{path} is empty: expected a header with the names of columns, and rows below it")
    delimiter = max(DELIMITERS, key=header.decode(errors="replace").count)
    parse = pa_csv.ParseOptions(delimiter=delimiter)
    names = pa_csv.read_csv(pa.BufferReader(header + b"\n"), parse_options=parse).column_names
    return _Text(present(path, columns, names), delimiter), replaced


def _stream(path: Path, *, replaced: bool) -> pa.NativeFile:
    stream = pa.input_stream(str(path), compression="detect")
    return pa.PythonFile(_Replacing(stream), mode="r") if replaced else stream


class _Replacing(io.RawIOBase):
    """A stream of bytes with U+FFFD for what is no UTF-8."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Returns so many bytes, or what is left."""
        parts, length = [self._rest], len(self._rest)
        while size is None or size < 0 or length < size:
            block = self._stream.read(BLOCK_BYTES)
            parts.append(self._decoder.decode(block, final=not block).encode())
            length += len(parts[-1])
            if not block:
                break
        content = b"".join(parts)
        end = length if size is None or size < 0 else size
        self._rest = content[end:]
        return content[:end]


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


def read_bare_text(path: Path, content: bytes, names: Sequence[str], delimiter: str) -> FileTable:
    """Reads content that has neither header nor quotes.

    Args:
        path: where it is from.
        content: in UTF-8.
        names: of all its columns.
        delimiter: one character.
    """
    text = _Text(list(names), delimiter, names)
    table = pa_csv.read_csv(pa.BufferReader(content), **text.options)
    return FileTable(path, table, broken=text.broken)
