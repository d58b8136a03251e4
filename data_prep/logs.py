"""Files -> a log: columns are read and checked, bad rows set aside with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from data_prep.files import FileTable
from data_prep.log import Column, Log
from data_prep.options import PrepareOptions
from data_prep.values import encode, read_context, read_times, too_long
from tfrec.errors import DataError

EXAMPLES = 3
BROKEN = "a number of fields other than the header's"


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
        DataError: the log has no rows, or more of them are unreadable than is allowed.
    """
    rows = sum(f.table.num_rows + len(f.broken) for f in files)
    if not rows:
        names = ", ".join(str(f.path) for f in files)
        raise DataError(f"{names}: the log is empty; expected at least one row of user, item and time")
    table = _together(files)
    user, item = encode(table[options.user]), encode(table[options.item])
    times = read_times(table[options.time], options.time_unit, options.time)
    reasons = _reasons(user, item, times.readable, table[options.time], options)
    bad = reasons != ""
    rejected = _rejected(files, table, bad, reasons)
    share = len(rejected) / rows
    if share > options.max_rejected_share or bad.all():
        raise DataError(_too_many(rejected, rows, options))
    log = Log(
        user=user,
        item=item,
        time=times.seconds,
        event=_event_types(table, options),
        session=encode(table[options.session]) if options.session else None,
        context={name: read_context(table[name], kind) for name, kind in options.context.items()},
    )
    return Reading(log.take(~bad), rejected, rows, times.unit)


def _together(files: Sequence[FileTable]) -> pa.Table:
    """The tables of all files; a column whose type differs between them becomes text."""
    tables = [f.table for f in files]
    try:
        return pa.concat_tables(tables)
    except pa.ArrowInvalid:
        return pa.concat_tables(
            [t.cast(pa.schema([(n, pa.string()) for n in t.column_names])) for t in tables]
        )


def _event_types(table: pa.Table, options: PrepareOptions) -> Column:
    if options.event is None:
        return Column(np.zeros(table.num_rows, np.int32), pd.Index(["event"], dtype=object))
    column = encode(table[options.event].cast(pa.string()))
    return Column(column.codes, column.values.astype(str).astype(object))


def _reasons(
    user: Column, item: Column, readable: np.ndarray, time: pa.ChunkedArray, options: PrepareOptions
) -> np.ndarray:
    """[rows] why each row cannot be used; "" where it can."""
    missing_time = time.is_null().to_numpy()
    conditions = {
        f"{options.user} is missing": user.codes < 0,
        f"{options.item} is missing": item.codes < 0,
        f"{options.time} is missing": missing_time,
        f"{options.time} is no time between 1970 and tomorrow": ~readable,
        f"{options.user} is too long": too_long(user),
        f"{options.item} is too long": too_long(item),
    }
    codes = np.select(list(conditions.values()), range(1, len(conditions) + 1), 0)
    return np.array(["", *conditions], dtype=object)[codes]


def _rejected(
    files: Sequence[FileTable], table: pa.Table, bad: np.ndarray, reasons: np.ndarray
) -> pd.DataFrame:
    """The rows set aside, and the lines that are no rows."""
    at = np.flatnonzero(bad)
    begins = np.cumsum([0, *(f.table.num_rows for f in files)])
    of_file = np.searchsorted(begins, at, side="right") - 1
    names = np.array([f.path.name for f in files], dtype=object)
    first = np.array([f.first_row for f in files])
    fields = table.take(pa.array(at)).to_pandas()
    rows = pd.DataFrame(
        {
            "file": names[of_file],
            "row_number": (at - begins[of_file] + first[of_file]).astype(np.int64),
            "reason": reasons[at],
            **{name: fields[name].astype("string") for name in fields.columns},
        }
    )
    broken = [
        {
            "file": f.path.name,
            "row_number": number,
            "reason": BROKEN,
            "text": text,
        }
        for f in files
        for number, text in f.broken
    ]
    return pd.concat([rows, pd.DataFrame(broken)], ignore_index=True) if broken else rows


def _too_many(rejected: pd.DataFrame, rows: int, options: PrepareOptions) -> str:
    counts = "; ".join(f"{n:,} times {reason}" for reason, n in rejected["reason"].value_counts().items())
    fields = [name for name in columns_of(options) if name in rejected.columns]
    examples = "; ".join(
        f"{row['file']}, row {row['row_number']}: "
        + ", ".join(f"{name}={str(row[name])[:40]!r}" for name in fields)
        for row in rejected.head(EXAMPLES).to_dict("records")
    )
    return (
        f"{len(rejected):,} of {rows:,} rows cannot be read, more than --max-rejected-share "
        f"{options.max_rejected_share:g} allows. Nothing was written. {counts}. For example {examples}"
    )
