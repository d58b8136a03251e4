"""Files that list items, read without pandas: whoever serves has none."""

import csv
from pathlib import Path
from typing import Any

from tfrec.errors import DataError, MissingExtraError

COLUMN = "item_id"


def read_item_ids(path: Path, *, text: bool) -> list[Any]:
    """Returns the column `item_id` of a Parquet or CSV file.

    Args:
        path: the file.
        text: whether ids are text; else whole numbers.

    Raises:
        DataError: the file cannot be read, has no such column, or holds no ids or bad ones.
        MissingExtraError: Parquet needs pyarrow, which is not installed.
    """
    path = Path(path)
    try:
        ids = _csv(path, text=text) if path.suffix == ".csv" else _parquet(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not ids:
        raise DataError(f"{path} holds no items")
    return ids


def _csv(path: Path, *, text: bool) -> list[Any]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        _require(path, reader.fieldnames or [])
        found = [(reader.line_num, row[COLUMN]) for row in reader]
    if text:
        return [value for _, value in found]
    for line, value in found:
        try:
            int(value)
        except (TypeError, ValueError):
            raise DataError(
                f"{path} line {line}: {COLUMN}: expected a whole number, found {value!r}"
            ) from None
    return [int(value) for _, value in found]


def _parquet(path: Path) -> list[Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("index", "prepare", "pyarrow") from error
    try:
        _require(path, pq.read_schema(path).names)
        return list(pq.read_table(path, columns=[COLUMN])[COLUMN].to_pylist())
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is no Parquet file: {error}. Name a file .parquet or .csv.") from error


def _require(path: Path, names: Any) -> None:
    if COLUMN not in names:
        raise DataError(f"{path} has no column {COLUMN}; found {', '.join(names) or 'none'}")
