"""A log as an Arrow table of raw values, and back."""

import numpy as np
import pandas as pd
import pyarrow as pa

from data_prep.log import Column, Log

CONTEXT = "context."


def table_of(log: Log) -> pa.Table:
    """Returns the events of a log, without what they have from a split of their own."""
    columns = {"user": _plain(log.user), "item": _plain(log.item), "time": pa.array(log.time)}
    columns["event"] = _plain(log.event)
    if log.session is not None:
        columns["session"] = _plain(log.session)
    if log.lot is not None:
        columns["lot"] = pa.array(log.lot)
    for name, values in log.context.items():
        columns[CONTEXT + name] = _plain(values) if isinstance(values, Column) else pa.array(values)
    return pa.table(columns)


def log_of(table: pa.Table) -> Log:
    """Returns the log of a table that `table_of` has made, or of several of them one after another."""
    return Log(
        user=_column(table["user"]),
        item=_column(table["item"]),
        time=table["time"].to_numpy(),
        event=_column(table["event"]),
        session=_column(table["session"]) if "session" in table.column_names else None,
        context={
            name.removeprefix(CONTEXT): table[name].to_numpy()
            if pa.types.is_floating(table[name].type)
            else _column(table[name])
            for name in table.column_names
            if name.startswith(CONTEXT)
        },
        lot=table["lot"].to_numpy() if "lot" in table.column_names else None,
    )


def _plain(column: Column) -> pa.Array:
    numbers = column.values.dtype.kind in "iu"
    values = pa.array(column.values, pa.int64() if numbers else pa.large_string())
    codes = pa.array(column.codes, mask=column.codes < 0)
    return values.take(codes)


def _column(values: pa.ChunkedArray) -> Column:
    encoded = values.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):  # of no rows
        encoded = pa.array([], values.type).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    if pa.types.is_integer(values.type):
        return Column(codes, pd.Index(encoded.dictionary.to_numpy(), dtype="int64"))
    return Column(codes, pd.Index(encoded.dictionary.to_pylist(), dtype=object))
