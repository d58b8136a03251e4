"""Columns of several files as one."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import pyarrow as pa

from data_prep.file_table import FileTable
from tfrec.errors import DataError

T = TypeVar("T")


def together(files: Sequence[FileTable]) -> pa.Table:
    """The tables of all files; a column whose type differs between them becomes text."""
    tables = [f.table for f in files]
    try:
        return pa.concat_tables(tables)
    except pa.ArrowInvalid:
        return pa.concat_tables(
            [t.cast(pa.schema([(n, pa.string()) for n in t.column_names])) for t in tables]
        )


def column(table: pa.Table, name: str, read: Callable[[pa.Array], T]) -> T:
    """Reads a column.

    Raises:
        DataError: it is of a type that cannot be read so.
    """
    values = table[name].combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # a table without rows, or beyond 2 GiB of text
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    try:
        return read(values.dictionary_decode() if pa.types.is_dictionary(values.type) else values)
    except pa.ArrowException as error:
        raise DataError(
            f"column {name!r} holds {values.type}; expected integers, numbers or text ({str(error)[:200]})"
        ) from error
