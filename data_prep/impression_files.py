"""Files -> impressions; bad rows are set aside with a reason."""

import numpy as np
import pandas as pd

from data_prep.columns import together
from data_prep.files import read_files
from data_prep.impression_options import ImpressionOptions
from data_prep.impression_rows import read_lists, read_shown_items
from data_prep.impressions import Impressions
from data_prep.options import PrepareOptions
from data_prep.rejected import RejectedSummary, rejected_rows, too_many
from tfrec.errors import DataError


def impressions_of(options: PrepareOptions) -> tuple[Impressions | None, pd.DataFrame]:
    """Returns the impressions that the options name, and the rows of theirs that are set aside.

    Raises:
        DataError: see `read_impressions`.
    """
    if options.impressions is None:
        return None, pd.DataFrame()
    return read_impressions(options.impressions, options)


def read_impressions(asked: ImpressionOptions, log: PrepareOptions) -> tuple[Impressions, pd.DataFrame]:
    """Reads the columns that the options name.

    Args:
        asked: the file, and its own columns.
        log: what it has in common with the log: columns, the unit of times, how many bad rows are allowed.

    Returns:
        The readable impressions, by time; and the rows set aside: `file`, `row_number`, `reason`, and the raw
        fields as strings.

    Raises:
        DataError: the file cannot be read or lacks a column, has no row, or more rows are unreadable than is
            allowed.
    """
    names = columns_of(asked, log)
    files = list(read_files([asked.file], names))
    rows = sum(file.table.num_rows + len(file.broken) for file in files)
    if not rows:
        raise DataError(f"{asked.file}: there is no impression; expected at least one row")
    table = together(files)
    impressions, reasons = (read_shown_items if asked.id else read_lists)(table, asked, log)
    bad = np.logical_or.reduce(list(reasons.values()))
    rejected = rejected_rows(files, table, bad, reasons)
    if len(rejected) / rows > log.max_rejected_share or bad.all():
        raise DataError(too_many(RejectedSummary.of(rejected), rows, log.max_rejected_share, names))
    return impressions.by_time(), rejected


def columns_of(asked: ImpressionOptions, log: PrepareOptions) -> list[str]:
    """Returns the columns that are read from a file of impressions."""
    of_items = [asked.id, log.item] if asked.id else [asked.shown]
    named = [log.user, log.time, *of_items, *asked.labels.values(), *asked.values.values()]
    return [name for name in dict.fromkeys([*named, *asked.context, asked.session, asked.role]) if name]
