"""The files of a dataset's sequences: read whole, or a table of users at a time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.errors import DataError
from tfrec.schema import SEQUENCES_FOLDER, DatasetSchema
from tfrec.sequences import Sequences

EVENT_COLUMNS = ("event_id", "item", "event_type", "session", "time", "role")


def sequence_files(folder: Path, schema: DatasetSchema) -> list[Path]:
    """Returns the files of a dataset's sequences, in the order of users.

    Raises:
        DataError: there are not as many as the schema says.
    """
    paths = sorted((folder / SEQUENCES_FOLDER).glob("*.parquet"))
    if len(paths) != schema.shards:
        raise DataError(
            f"{folder}/{SEQUENCES_FOLDER} has {len(paths)} shards, its schema says {schema.shards}"
        )
    return paths


def read_sequences(paths: Sequence[Path], schema: DatasetSchema) -> Sequences:
    """Reads some of these files and lays their lists end to end.

    Raises:
        DataError: one is unreadable, or as `sequences_of`.
    """
    folder = paths[0].parent if paths else Path(SEQUENCES_FOLDER)
    try:
        table = pa.concat_tables([pq.read_table(path) for path in paths])
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{folder} cannot be read: {error}. Prepare the log again.") from error
    return sequences_of(table, schema, folder)


def sequences_of(table: pa.Table, schema: DatasetSchema, folder: Path) -> Sequences:
    """Returns the users of a table of `SEQUENCE_COLUMNS`.

    Args:
        table: a line a user.
        schema: of the dataset.
        folder: where the table comes from, for errors.

    Raises:
        DataError: a column is missing, or contradicts another.
    """
    try:
        columns = {name: _flat(table[name]) for name in EVENT_COLUMNS}
        context = {c.name: _flat(table[f"context.{c.name}"]) for c in schema.context}
    except (pa.ArrowInvalid, KeyError) as error:
        raise DataError(f"{folder} cannot be read: {error}. Prepare the log again.") from error
    lengths = _lengths(table["item"])
    for name in (*EVENT_COLUMNS, *(f"context.{column}" for column in context)):
        if not np.array_equal(_lengths(table[name]), lengths):
            raise DataError(
                f"{folder}: the lists of column {name!r} are not as long as those of "
                "'item'. Prepare the log again."
            )
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Sequences(
        user_id=table["user_id"].to_pandas().to_numpy(), offsets=offsets, context=context, **columns
    )


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    """The values of a list column, end to end."""
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False)


def _lengths(column: pa.ChunkedArray) -> np.ndarray:
    """How many events each user's list holds."""
    return column.combine_chunks().value_lengths().to_numpy(zero_copy_only=False)
