"""Sorted events as Parquet shards, one row a user."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.schema import SEQUENCES_FOLDER

EVENTS_A_SHARD = 2_000_000
EVENTS_A_GROUP = 100_000
"""Of Parquet's row groups: what is held in memory at once to be compressed."""


@dataclass(frozen=True)
class SequenceTable:
    """Events of U users, E in all, in the columns of `tfrec.schema.SEQUENCE_COLUMNS`.

    Attributes:
        user_id: [U] raw ids.
        offsets: [U + 1] where each user's events begin, and the end.
        columns: [E] arrays by column name.
    """

    user_id: pd.Index
    offsets: np.ndarray
    columns: dict[str, np.ndarray]

    def table(self, first: int, last: int) -> pa.Table:
        """Returns the users from `first` to before `last`, a row each."""
        offsets = self.offsets[first : last + 1]
        begin, end = int(offsets[0]), int(offsets[-1])
        places = pa.array((offsets - begin).astype(np.int32))
        arrays = {"user_id": pa.array(self.user_id[first:last])}
        for name, values in self.columns.items():
            arrays[name] = pa.ListArray.from_arrays(places, pa.array(values[begin:end]))
        return pa.table(arrays)


def shard_count(events: int, shards: int | None) -> int:
    """Returns how many shards so many events are for, unless it is said."""
    return shards or -(-events // EVENTS_A_SHARD)


def shard_bounds(offsets: np.ndarray, shards: int) -> np.ndarray:
    """Returns where to cut the users into shards of about as many events each: [shards + 1].

    There are never more shards than users.
    """
    users = len(offsets) - 1
    shards = max(1, min(shards, users))
    number = np.arange(1, shards)
    cuts = np.searchsorted(offsets, offsets[-1] * number / shards)
    # Strictly rising, so that no shard is empty, whatever one user's share.
    cuts = np.maximum.accumulate(np.maximum(cuts, number) - number) + number
    cuts = np.minimum(cuts, users - shards + number)
    return np.concatenate([[0], cuts, [users]]).astype(np.int64)


def shards_folder(folder: Path) -> Path:
    """Makes the folder of the shards of a dataset."""
    out = folder / SEQUENCES_FOLDER
    out.mkdir()
    return out


def write_shard(table: pa.Table, events: int, folder: Path, shard: int) -> None:
    """Writes users, a row each, who have so many events, as a shard."""
    users = max(1, table.num_rows * EVENTS_A_GROUP // max(1, events))
    # Lists of numbers that rise or differ: dictionaries of them cost time and space.
    pq.write_table(
        table,
        folder / f"part-{shard:05d}.parquet",
        row_group_size=int(users),
        use_dictionary=False,
        compression="zstd",
    )


def write_sequences(sequences: SequenceTable, folder: Path, shards: int | None) -> int:
    """Writes the shards into `sequences/`, and returns how many there are."""
    offsets = sequences.offsets
    bounds = shard_bounds(offsets, shard_count(int(offsets[-1]), shards))
    out = shards_folder(folder)
    for shard, (first, last) in enumerate(itertools.pairwise(bounds)):
        write_shard(sequences.table(first, last), int(offsets[last] - offsets[first]), out, shard)
    return len(bounds) - 1
