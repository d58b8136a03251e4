"""Where the users of a batch job come from: files of sequences, read one at a time."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrec.batch_parts import Part
from tfrec.dataset import Dataset, Facts
from tfrec.errors import DataError
from tfrec.sequence_files import sequences_of
from tfrec.sequences import Sequences


class Source:
    """The sequences of parts; neighbours share a file, so that the last one is kept.

    Args:
        files: of the dataset.
        facts: of the dataset.
        strangers: raw ids of users without events.
    """

    def __init__(self, files: Sequence[Path], facts: Facts, strangers: np.ndarray) -> None:
        self._files, self._facts, self._strangers = files, facts, strangers
        self._kept: tuple[int, pa.Table | None] = (-1, None)

    def dataset(self, part: Part) -> Dataset:
        """The users of a part, with their events."""
        if part.file < 0:
            return self._facts.with_sequences(self._without_events(self._strangers[part.rows]))
        number, table = self._kept
        if table is None or number != part.file:
            try:
                table = pq.read_table(self._files[part.file])
            except (pa.ArrowInvalid, OSError) as error:
                path = self._files[part.file]
                raise DataError(f"{path} cannot be read: {error}. Prepare the log again.") from error
            self._kept = part.file, table
        folder = self._files[part.file].parent
        return self._facts.with_sequences(sequences_of(table.take(part.rows), self._facts.schema, folder))

    def _without_events(self, user_id: np.ndarray) -> Sequences:
        first = pq.read_table(self._files[0]).slice(0, 0)
        empty = sequences_of(first, self._facts.schema, self._files[0].parent)
        return replace(empty, user_id=user_id, offsets=np.zeros(len(user_id) + 1, np.int64))


def newest_time(files: Sequence[Path]) -> int:
    """Returns the time of the newest event in files of sequences; 0 without any."""
    times = (
        pc.max(pq.read_table(path, columns=["time"])["time"].combine_chunks().flatten()) for path in files
    )
    return max((time.as_py() for time in times if time.is_valid), default=0)


def lines_of(files: Sequence[Path], users: Sequence[Any] | None) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the lines of each file whose users are asked for, and the ids of those who are in none, sorted.

    Args:
        files: of sequences.
        users: raw ids; None: all that the files have.

    Raises:
        DataError: the ids are of another type than the log's.
    """
    if users is None:
        return [np.arange(pq.read_metadata(path).num_rows) for path in files], np.zeros(0, np.int64)
    wanted = pd.Index(users).unique()
    lines, there = [], np.zeros(len(wanted), bool)
    for path in files:
        ids = pd.Index(pq.read_table(path, columns=["user_id"])["user_id"].to_pandas())
        if len(wanted) and ids.inferred_type != wanted.inferred_type:
            raise DataError(
                f"the users are {wanted.inferred_type}s such as {wanted[0]!r}, those of the log "
                f"{ids.inferred_type}s such as {ids[0]!r}"
            )
        place = wanted.get_indexer(ids)
        lines.append(np.flatnonzero(place >= 0))
        there[place[place >= 0]] = True
    return lines, np.sort(wanted[~there].to_numpy())
