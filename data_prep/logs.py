"""Files -> a log: columns are read and checked, bad rows set aside with a reason."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from data_prep.columns import column, together
from data_prep.drafts import Draft, Forms, forms_of
from data_prep.file_table import FileTable
from data_prep.log import Column, Log
from data_prep.lots import draw_lots
from data_prep.options import PrepareOptions
from data_prep.rejected import RejectedSummary, rejected_rows, too_many
from data_prep.times import Times
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
        times_readable: whether all times are.
    """

    log: Log
    rejected: pd.DataFrame
    rows: int
    time_unit: str
    times_readable: bool = True


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
    require_rows(sum(f.table.num_rows + len(f.broken) for f in files), [f.path for f in files])
    table = together(files)
    draft = Draft(table, options)
    found = read_rows(files, table, draft, forms_of([draft.facts()], options), options)
    require_readable(
        RejectedSummary.of(found.rejected), found.rows, len(found.log), options, found.time_unit,
        times_readable=found.times_readable,
    )  # fmt: skip
    return found


def require_rows(rows: int, files: Sequence[Path]) -> None:
    """Refuses a log without rows."""
    if not rows:
        names = ", ".join(map(str, files))
        raise DataError(f"{names}: the log is empty; expected at least one row of user, item and time")


def require_readable(
    rejected: RejectedSummary,
    rows: int,
    readable: int,
    options: PrepareOptions,
    unit: str,
    *,
    times_readable: bool,
) -> None:
    """Refuses a log of which more is set aside than is allowed."""
    if rejected.rows / rows > options.max_rejected_share or not readable:
        message = too_many(rejected, rows, options.max_rejected_share, columns_of(options))
        raise DataError(message if times_readable else message + UNIT_HINT.format(unit))


def read_rows(
    files: Sequence[FileTable],
    table: pa.Table,
    draft: Draft,
    forms: Forms,
    options: PrepareOptions,
    *,
    first_row: int = 0,
    names: Mapping[Path, str] | None = None,
) -> Reading:
    """Reads the rows of a log, or of a piece of it; how many are unreadable is not looked at.

    Args:
        files: where the rows are from.
        table: their rows, one after another.
        draft: of the table.
        forms: of the whole log.
        options: which columns to read.
        first_row: how many rows of the log stand before these.
        names: of all files of the log; None: these are all.

    Raises:
        DataError: a column is of a type that it cannot have.
    """
    user, item = draft.ids(options.user, forms), draft.ids(options.item, forms)
    session = draft.ids(options.session, forms) if options.session else None
    times = draft.times(forms)
    reasons = _reasons(files, table, options, user, item, session, times)
    bad = np.logical_or.reduce(list(reasons.values()))
    log = Log(
        user=user,
        item=item,
        time=times.seconds,
        event=_event_types(table, options),
        session=session,
        context={
            name: column(table, name, functools.partial(read_context, kind=kind))
            for name, kind in forms.context.items()
        },
        lot=None if options.ordered_sessions else draw_lots(first_row, table.num_rows, options.seed),
    )
    return Reading(
        log=log.take(~bad),
        rejected=rejected_rows(files, table, bad, reasons, names),
        rows=table.num_rows + sum(len(f.broken) for f in files),
        time_unit=times.unit,
        times_readable=bool(times.readable.all()),
    )


def _reasons(
    files: Sequence[FileTable],
    table: pa.Table,
    options: PrepareOptions,
    user: Column,
    item: Column,
    session: Column | None,
    times: Times,
) -> dict[str, np.ndarray]:
    """Why a row cannot be read, and [rows] bool where that holds."""
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
    return reasons


def _event_types(table: pa.Table, options: PrepareOptions) -> Column:
    if options.event is None:
        return Column(np.zeros(table.num_rows, np.int32), pd.Index(["event"], dtype=object))
    return column(table, options.event, lambda values: encode(values.cast(pa.string()), integers=False))
