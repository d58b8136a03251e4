"""Files -> a log: columns are read and checked, bad rows set aside with a reason."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from data_prep.columns import column, together
from data_prep.file_table import FileTable
from data_prep.log import Column, Log
from data_prep.options import PrepareOptions
from data_prep.rejected import rejected_rows, too_many
from data_prep.times import read_positions, read_times
from data_prep.values import MAX_ID_BYTES, encode, read_context, too_long, undecoded
from tfrec.errors import DataError

UNIT_HINT = ". Times were read as {}: --time-unit forces another, --no-clock takes numbers as a mere order."


@dataclass(frozen=True)
class Reading:
    """What was read.

    Attributes:
        log: the readable rows.
        rejected: the others: `file`, `row_number`, `reason`, and the raw fields as strings.
        rows: how many rows the files have.
        time_unit: found or forced.
    """

    log: Log
    rejected: pd.DataFrame
    rows: int
    time_unit: str


def columns_of(options: PrepareOptions) -> list[str]:
    """Returns the columns that are read from a log."""
    named = [options.user, options.item, options.time, options.event, options.session, *options.context]
    return [name for name in dict.fromkeys(named) if name]


def read_log(files: Sequence[FileTable], options: PrepareOptions) -> Reading:
    """Reads the columns that the options name.

    Raises:
        DataError: the log has no rows, a column holds what it cannot hold, or more rows are
            unreadable than is allowed.
    """
    rows = sum(f.table.num_rows + len(f.broken) for f in files)
    if not rows:
        names = ", ".join(str(f.path) for f in files)
        raise DataError(f"{names}: the log is empty; expected at least one row of user, item and time")
    table = together(files)
    user, item = column(table, options.user, encode), column(table, options.item, encode)
    session = column(table, options.session, encode) if options.session else None
    times = column(
        table,
        options.time,
        read_positions
        if options.has_clock is False
        else lambda values: read_times(values, options.time_unit),
    )
    reasons = {
        f"{options.user} is missing": user.codes < 0,
        f"{options.item} is missing": item.codes < 0,
        f"{options.time} is missing": table[options.time].is_null().to_numpy(),
        f"{options.time} is {times.expected}": ~times.readable,
        f"{options.user} is longer than {MAX_ID_BYTES} bytes": too_long(user),
        f"{options.item} is longer than {MAX_ID_BYTES} bytes": too_long(item),
    }
    if session is not None:
        reasons[f"{options.session} is missing"] = session.codes < 0
    if any(f.replaced for f in files):
        reasons |= {
            f"{options.user} is no UTF-8": undecoded(user),
            f"{options.item} is no UTF-8": undecoded(item),
        }
    bad = np.logical_or.reduce(list(reasons.values()))
    rejected = rejected_rows(files, table, bad, reasons)
    if len(rejected) / rows > options.max_rejected_share or bad.all():
        message = too_many(rejected, rows, options.max_rejected_share, columns_of(options))
        raise DataError(message if times.readable.all() else message + UNIT_HINT.format(times.unit))
    log = Log(
        user=user,
        item=item,
        time=times.seconds,
        event=_event_types(table, options),
        session=session,
        context={
            name: column(table, name, functools.partial(read_context, kind=kind))
            for name, kind in options.context.items()
        },
    )
    return Reading(log.take(~bad), rejected, rows, times.unit)


def _event_types(table: pa.Table, options: PrepareOptions) -> Column:
    if options.event is None:
        return Column(np.zeros(table.num_rows, np.int32), pd.Index(["event"], dtype=object))
    return column(table, options.event, lambda values: encode(values.cast(pa.string()), integers=False))
