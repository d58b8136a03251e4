"""An `events.parquet` that is cleaned, sorted and split already: its roles, sessions and ids are kept."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.files import list_files, read_file
from data_prep.log import Log
from data_prep.logs import columns_of, read_log
from data_prep.options import PrepareOptions
from data_prep.sources.base import Found, Source
from tfrec.errors import DataError, SettingsError
from tfrec.schema import ROLES

# Options of cleaning and cutting, which find nothing to do here.
KEPT = (
    *("drop_duplicates", "drop_repeats", "once_per_session", "max_events_a_day", "max_rejected_share"),
    *("min_item_events", "min_user_events", "split", "split_days", "session_gap_s"),
)


def read(paths: Sequence[Path], options: PrepareOptions) -> Found:
    """Reads one file of events, sorted by user and time.

    Raises:
        SettingsError: an option would change what is kept.
        DataError: there is more than one file, the events are not sorted, a role is none of train,
            val and test, or a row is unreadable: nothing can be set aside from a log that others
            are measured on.
    """
    for name in KEPT:
        if getattr(options, name) != getattr(SOURCE.defaults, name):
            raise SettingsError(
                f"the source `judge` keeps events, sessions and roles as they are; leave {name} out"
            )
    files = list_files(paths)
    if len(files) != 1:
        raise DataError(f"the source `judge` reads one events file, found {len(files)}")
    columns = [*columns_of(options), "event_id", "role"]
    file = read_file(files[0], columns)
    reading = read_log([file], options.model_copy(update={"max_rejected_share": 0.0}))
    _require_sorted(files[0], reading.log, file.table["event_id"].to_numpy())
    names = file.table["role"].to_numpy()
    unknown = set(names) - set(ROLES)
    if unknown:
        raise DataError(f"{files[0]}: role {sorted(unknown)[0]!r} is none of {', '.join(ROLES)}")
    role = np.select([names == name for name in ROLES], range(len(ROLES))).astype(np.int8)
    log = replace(reading.log, role=role, event_id=file.table["event_id"].to_numpy())
    return replace(Found.of(reading), log=log)


def _require_sorted(path: Path, log: Log, event_id: np.ndarray) -> None:
    """Users, and sessions inside them, must each lie together, in the order of event ids."""
    assert log.session is not None
    pairs = pd.DataFrame({"user": log.user.codes, "session": log.session.codes})
    changes = (pairs != pairs.shift()).any(axis=1).sum()
    users = (pairs["user"] != pairs["user"].shift()).sum()
    if (
        (np.diff(event_id) <= 0).any()
        or users != pairs["user"].nunique()
        or changes > len(pairs.drop_duplicates())
    ):
        raise DataError(
            f"{path}: expected events sorted by user and time, event_id rising, each session in one piece"
        )


SOURCE = Source(
    "an events.parquet with event_id, user_id, item_id, timestamp, session_id and role",
    read,
    PrepareOptions(session="session_id"),
)
