"""The two forms of a table of impressions: lists in a row, or a row a shown item."""

import functools

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.columns import column
from data_prep.impression_options import ImpressionOptions
from data_prep.impressions import Heads, Impressions
from data_prep.log import Column
from data_prep.options import PrepareOptions
from data_prep.times import read_times
from data_prep.values import as_numbers, encode, narrowed, read_context
from tfrec.errors import DataError
from tfrec.schema import ROLES

Reasons = dict[str, np.ndarray]
Reading = tuple[Impressions, Reasons]


def read_lists(table: pa.Table, asked: ImpressionOptions, log: PrepareOptions) -> Reading:
    """Reads a row an impression: a list of the items shown, and one of those that have the label, each.

    Returns:
        The impressions of good rows, and where each reason not to read a row holds, [rows] bool.

    Raises:
        DataError: a column holds what it cannot hold.
    """
    number = Column(np.arange(table.num_rows, dtype=np.int32), pd.RangeIndex(table.num_rows))
    heads, reasons = _heads(table, number, asked, log)
    row, values = _exploded(table, asked.shown)
    item = encode(values)
    shown = _pairs(row, item.codes)
    some = functools.partial(_some, table.num_rows)
    reasons[f"{asked.shown} is empty"] = ~some(row)
    reasons[f"{asked.shown} holds a missing id"] = some(row[item.codes < 0])
    reasons[f"{asked.shown} holds an item twice"] = some(row[pd.Series(shown).duplicated()])
    labels = {}
    for name, source in asked.labels.items():
        of, values = _exploded(table, source)
        labelled = _pairs(of, item.values.get_indexer(_like(encode(values), item.values)))
        reasons[f"{source} holds an item that was not shown"] = some(of[~np.isin(labelled, shown)])
        labels[name] = np.isin(shown, labelled).astype(np.int8)
    numbers = {}
    for name, source in asked.values.items():
        of, found = _exploded(table, source)
        short = np.bincount(of, minlength=table.num_rows) != np.bincount(row, minlength=table.num_rows)
        reasons[f"{source} has not as many numbers as {asked.shown} has items"] = short
        numbers[name] = np.full(len(row), np.nan, np.float32)
        numbers[name][~short[row]] = narrowed(as_numbers(found))[~short[of]]
    offsets = np.searchsorted(row, np.arange(table.num_rows + 1)).astype(np.int64)
    return Impressions(heads, offsets, item, labels, numbers).take(_good(reasons)), reasons


def read_shown_items(table: pa.Table, asked: ImpressionOptions, log: PrepareOptions) -> Reading:
    """Reads a row a shown item; rows of one impression need not lie together.

    As `read_lists`. An impression is of its first good row's user, time, context and role.
    """
    assert asked.id is not None
    number = column(table, asked.id, encode)
    heads, reasons = _heads(table, number, asked, log)
    item = column(table, log.item, encode)
    reasons[f"{asked.id} is missing"] = number.codes < 0
    reasons[f"{log.item} is missing"] = item.codes < 0
    twice = pd.Series(_pairs(number.codes.astype(np.int64), item.codes)).duplicated()
    reasons[f"{log.item} stands twice in an impression"] = twice.to_numpy()
    labels = {name: column(table, source, as_numbers) for name, source in asked.labels.items()}
    for name, source in asked.labels.items():
        reasons[f"{source} is neither 0 nor 1"] = ~np.isin(labels[name], (0, 1))
    good = _good(reasons)
    order = good[np.argsort(number.codes[good], kind="stable")]
    first = np.unique(number.codes[order], return_index=True)[1]
    found = Impressions(
        heads=heads.take(order[first]),
        offsets=np.append(first, len(order)).astype(np.int64),
        item=item.take(order),
        labels={name: values[order].astype(np.int8) for name, values in labels.items()},
        values={
            name: narrowed(column(table, source, as_numbers)[order]) for name, source in asked.values.items()
        },
    )
    return found, reasons


def _heads(
    table: pa.Table, number: Column, asked: ImpressionOptions, log: PrepareOptions
) -> tuple[Heads, Reasons]:
    """What a row says beside its items, and why it may not be read."""
    user = column(table, log.user, encode)
    times = column(table, log.time, lambda values: read_times(values, log.time_unit))
    reasons = {f"{log.user} is missing": user.codes < 0, f"{log.time} is {times.expected}": ~times.readable}
    role = None
    if asked.role:
        said = column(table, asked.role, functools.partial(encode, integers=False))
        place = pd.Index(ROLES).get_indexer(said.values)
        role = np.append(place, [-1])[said.codes].astype(np.int8)  # the last place is that of code -1
        reasons[f"{asked.role} is none of {', '.join(ROLES)}"] = role < 0
    context = {
        name: column(table, name, functools.partial(read_context, kind=kind))
        for name, kind in asked.context.items()
    }
    session_id = column(table, asked.session, encode) if asked.session else None
    return Heads(number, user, times.seconds, context, role, session_id=session_id), reasons


def _exploded(table: pa.Table, name: str) -> tuple[np.ndarray, pa.Array]:
    """A column's lists end to end, with the row of each value; text is split at '|'."""
    values = table[name].combine_chunks()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        values = pc.split_pattern(pc.if_else(pc.equal(values, ""), None, values), "|")
    if not (pa.types.is_list(values.type) or pa.types.is_large_list(values.type)):
        raise DataError(f"column {name!r} holds {values.type}; expected lists, or text with '|' between ids")
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks)
    return pc.list_parent_indices(values).to_numpy().astype(np.int64), pc.list_flatten(values)


def _like(found: Column, ids: pd.Index) -> pd.Index:
    """[M] the values of a column, as text where the other ids are text; of a missing one none of them."""
    values = [str(v) for v in found.values] if ids.dtype == object else found.values.tolist()
    return pd.Index([values[code] if code >= 0 else None for code in found.codes], dtype=object)


def _pairs(row: np.ndarray, item: np.ndarray) -> np.ndarray:
    """One number for a row and an item's code, which may be -1."""
    return row * 2**32 + item


def _some(rows: int, of: np.ndarray) -> np.ndarray:
    """[rows] bool: which stand in `of`."""
    return np.bincount(of, minlength=rows) > 0


def _good(reasons: Reasons) -> np.ndarray:
    """Places of the rows that no reason speaks against."""
    return np.flatnonzero(~np.logical_or.reduce(list(reasons.values())))
