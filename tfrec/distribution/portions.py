"""The part of a log that one of several workers reads: its own users to learn from, some of all to ask."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.config import Settings
from tfrec.dataset import Dataset, Facts
from tfrec.errors import DataError
from tfrec.schema import ROLES
from tfrec.sequence_files import sequence_files, sequences_of
from tfrec.validation import some_users


class Portions(NamedTuple):
    """Two datasets of the same facts.

    Attributes:
        own: of the users that a worker learns from, a run of them with its share of the events.
        asked: of the users whose val events are asked after an epoch, the same on all workers.
    """

    own: Dataset
    asked: Dataset


class _Users(NamedTuple):
    """What one file says of its users.

    Attributes:
        events: [U] int64, how many each has.
        asked: [U] bool, who has val events.
    """

    events: np.ndarray
    asked: np.ndarray


def read_portions(folder: Path, settings: Settings, index: int, count: int) -> Portions:
    """Reads what a worker needs of a dataset, a file at a time; where it is the only one, all at once.

    Args:
        folder: of the dataset.
        settings: of the run.
        index, count: which worker, of how many that share the users.

    Raises:
        DataError: a file is missing, or one contradicts another.
    """
    if count == 1:
        whole = Dataset.load(folder)
        return Portions(whole, whole)
    facts = Facts.load(folder)
    files = sequence_files(Path(folder), facts.schema)
    users = [_users_in(file) for file in files]
    ends = np.cumsum([len(of_file.events) for of_file in users])
    events = np.concatenate([of_file.events for of_file in users])
    # A user is of the worker in whose share of the events its first one lies.
    own = (np.cumsum(events) - events) * count // max(events.sum(), 1) == index
    with_val = np.flatnonzero(np.concatenate([of_file.asked for of_file in users]))
    asked = np.isin(np.arange(len(events)), some_users(with_val, settings))
    found: tuple[list[pa.Table], list[pa.Table]] = ([], [])
    for file, end, of_file in zip(files, ends, users, strict=True):
        part = slice(end - len(of_file.events), end)
        if not (own[part].any() or asked[part].any() or file is files[-1]):
            continue
        table = _table(file)
        for tables, kept in zip(found, (own, asked), strict=True):
            tables.append(table.filter(pa.array(kept[part])))
    sequences = (sequences_of(pa.concat_tables(some), facts.schema, Path(folder)) for some in found)
    return Portions(*(facts.with_sequences(some).checked(folder) for some in sequences))


def _users_in(file: Path) -> _Users:
    roles = _table(file, ["role"])["role"].combine_chunks()
    events = roles.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    is_val = roles.flatten().to_numpy(zero_copy_only=False) == ROLES.index("val")
    of_event = np.repeat(np.arange(len(events)), events)
    return _Users(events, np.bincount(of_event[is_val], minlength=len(events)) > 0)


def _table(file: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        return pq.read_table(file, columns=columns)
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise DataError(f"{file} cannot be read: {error}. Prepare the log again.") from error
