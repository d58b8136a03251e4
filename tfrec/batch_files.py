"""Files that a batch job is told of: users, items, and what is known of items."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tfrec.errors import DataError, SettingsError


def user_ids(path: Path) -> list[Any]:
    """Returns the column `user_id` of a Parquet or CSV file.

    Raises:
        DataError: the file cannot be read, has no such column, or holds no ids or missing ones.
    """
    return _ids(path, "user_id")


def item_ids(path: Path) -> list[Any]:
    """Returns the column `item_id` of a file; as `user_ids`."""
    return _ids(path, "item_id")


def item_table(path: Path) -> pd.DataFrame:
    """Returns a Parquet or CSV file with a column `item_id`, and numbers beside.

    Raises:
        DataError: the file cannot be read, has no such column, an item twice, or a column without numbers.
    """
    table = _read(path)
    _require(path, table, "item_id")
    frame = table.to_pandas()
    if frame["item_id"].duplicated().any():
        twice = frame["item_id"][frame["item_id"].duplicated()].tolist()[0]
        raise DataError(f"{path}: item_id {twice!r} stands twice; expected it once")
    for name in frame.columns.drop("item_id"):
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise DataError(f"{path}: column {name!r}: expected numbers, found {frame[name].iloc[0]!r}")
    return frame


def seconds_of(text: str) -> int:
    """Returns unix seconds of a time in ISO 8601 (UTC where no zone is given) or in unix seconds.

    Raises:
        SettingsError: it is neither.
    """
    try:
        return int(text)
    except ValueError:
        pass
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{text!r} is no time: expected ISO 8601 or unix seconds") from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


def _ids(path: Path, column: str) -> list[Any]:
    table = _read(path)
    _require(path, table, column)
    values = table[column].combine_chunks()
    if not len(values):
        raise DataError(f"{path} holds no ids: its column {column} has no line")
    if values.null_count:
        first = values.is_null().to_pylist().index(True)
        raise DataError(f"{path} line {first + 1}: {column} is missing; expected an id")
    found: list[Any] = values.to_pylist()
    return found


def _read(path: Path) -> pa.Table:
    try:
        return pa_csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path} cannot be read: {error}. Expected Parquet, or CSV by the name .csv."
        ) from error


def _require(path: Path, table: pa.Table, column: str) -> None:
    if column not in table.column_names:
        raise DataError(f"{path} has no column {column}; it has {', '.join(table.column_names)}")
