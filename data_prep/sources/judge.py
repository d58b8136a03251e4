"""An `events.parquet` that is cleaned, sorted and split already: its roles, sessions and ids are kept."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.file_table import FileTable
from data_prep.files import LogFile, log_files
from data_prep.log import Log
from data_prep.logs import columns_of
from data_prep.options import PrepareOptions
from data_prep.sources.base import Source
from tfrec.errors import DataError, SettingsError
from tfrec.schema import ROLES

# Options of cleaning and cutting, which find nothing to do here.
KEPT = (
    *("drop_duplicates", "drop_repeats", "once_per_session", "max_events_a_day", "max_rejected_share"),
    *("min_item_events", "min_user_events", "split", "split_days", "session_gap_s"),
)


def files(paths: Sequence[Path], options: PrepareOptions) -> list[LogFile]:
    """Returns the one file of events, sorted by user and time.

    Raises:
        SettingsError: an option would change what is kept.
        DataError: there is more than one file.
    """
    for name in KEPT:
        if getattr(options, name) != getattr(SOURCE.defaults, name):
            raise SettingsError(
                f"the source `judge` keeps events, sessions and roles as they are; leave {name} out"
            )
    found = log_files(paths, [*columns_of(options), "event_id", "role"])
    if len(found) != 1:
        raise DataError(f"the source `judge` reads one events file, found {len(found)}")
    return found


def checked(file: FileTable, log: Log) -> Log:
    """Returns the log with the file's own event ids and roles.

    Raises:
        DataError: the events are not sorted, or a role is none of train, val and test.
    """
    _require_sorted(file.path, log, file.table["event_id"].to_numpy())
    names = file.table["role"].to_numpy()
    unknown = set(names) - set(ROLES)
    if unknown:
        raise DataError(f"{file.path}: role {sorted(unknown)[0]!r} is none of {', '.join(ROLES)}")
    role = np.select([names == name for name in ROLES], range(len(ROLES))).astype(np.int8)
    return replace(log, role=role, event_id=file.table["event_id"].to_numpy())


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
    files,
    defaults=PrepareOptions(session="session_id", max_rejected_share=0.0),
    checked=checked,
)
