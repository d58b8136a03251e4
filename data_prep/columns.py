"""Columns of several files as one."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pyarrow as pa

from data_prep.file_table import FileTable
from tfrec.errors import DataError

T = TypeVar("T")


def together(files: Sequence[FileTable]) -> pa.Table:
    """The tables of all files; a column whose type differs between them becomes text."""
    tables = [f.table for f in files]
    return pa.concat_tables(tables if alike([t.schema for t in tables]) else [as_text(t) for t in tables])


def alike(schemas: Sequence[pa.Schema]) -> bool:
    """Returns whether tables of these schemas are one table as they are."""
    try:
        pa.concat_tables([schema.empty_table() for schema in schemas])
    except pa.ArrowInvalid:
        return False
    return True


def as_text(table: pa.Table) -> pa.Table:
    """Returns the table with all columns as text."""
    return table.cast(pa.schema([(name, pa.string()) for name in table.column_names]))


def flat(table: pa.Table, name: str) -> pa.Array:
    """Returns a column in one piece, its values themselves where it is a dictionary."""
    values = table[name].combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # a table without rows, or beyond 2 GiB of text
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


@contextlib.contextmanager
def reading(name: str, kind: pa.DataType) -> Iterator[None]:
    """Says which column it is that Arrow cannot read.

    Raises:
        DataError: instead of what Arrow raises.
    """
    try:
        yield
    except pa.ArrowException as error:
        raise DataError(
            f"column {name!r} holds {kind}; expected integers, numbers or text ({str(error)[:200]})"
        ) from error


def column(table: pa.Table, name: str, read: Callable[[pa.Array], T]) -> T:
    """Reads a column.

    Raises:
        DataError: it is of a type that cannot be read so.
    """
    values = flat(table, name)
    with reading(name, values.type):
        return read(values)
