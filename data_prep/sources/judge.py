"""An `events.parquet` that is cleaned, sorted and split already: its roles, sessions and ids are kept."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_prep.files import list_files, read_file
from data_prep.logs import columns_of, read_log
from data_prep.options import PrepareOptions
from data_prep.sources.base import Found, Source
from tfrec.errors import DataError
from tfrec.schema import ROLES


def read(paths: Sequence[Path], options: PrepareOptions) -> Found:
    """Reads one file of events, sorted by user and time.

    Raises:
        DataError: there is more than one file, a role is none of train, val and test, or a row
            is unreadable: nothing can be set aside from a log that others are measured on.
    """
    files = list_files(paths)
    if len(files) != 1:
        raise DataError(f"the source `judge` reads one events file, found {len(files)}")
    columns = [*columns_of(options), "event_id", "role"]
    file = read_file(files[0], columns)
    reading = read_log([file], options.model_copy(update={"max_rejected_share": 0.0}))
    names = file.table["role"].to_numpy()
    unknown = set(names) - set(ROLES)
    if unknown:
        raise DataError(f"{files[0]}: role {sorted(unknown)[0]!r} is none of {', '.join(ROLES)}")
    role = np.select([names == name for name in ROLES], range(len(ROLES))).astype(np.int8)
    log = replace(reading.log, role=role, event_id=file.table["event_id"].to_numpy())
    return replace(Found.of(reading), log=log)


SOURCE = Source(
    "an events.parquet with event_id, user_id, item_id, timestamp, session_id and role",
    read,
    PrepareOptions(session="session_id"),
)
