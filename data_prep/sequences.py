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


def write_sequences(sequences: SequenceTable, folder: Path, shards: int | None) -> int:
    """Writes the shards into `sequences/`, and returns how many there are."""
    count = shards or -(-int(sequences.offsets[-1]) // EVENTS_A_SHARD)
    bounds = shard_bounds(sequences.offsets, count)
    out = folder / SEQUENCES_FOLDER
    out.mkdir()
    for shard, (first, last) in enumerate(itertools.pairwise(bounds)):
        offsets = sequences.offsets[first : last + 1]
        begin, end = int(offsets[0]), int(offsets[-1])
        places = pa.array((offsets - begin).astype(np.int32))
        arrays = {"user_id": pa.array(sequences.user_id[first:last])}
        for name, values in sequences.columns.items():
            arrays[name] = pa.ListArray.from_arrays(places, pa.array(values[begin:end]))
        users = max(1, (last - first) * EVENTS_A_GROUP // max(1, end - begin))
        # Lists of numbers that rise or differ: dictionaries of them cost time and space.
        pq.write_table(
            pa.table(arrays),
            out / f"part-{shard:05d}.parquet",
            row_group_size=int(users),
            use_dictionary=False,
            compression="zstd",
        )
    return len(bounds) - 1
