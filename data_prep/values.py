"""Raw values of any file as codes and numbers; what cannot be read is marked, with a reason."""

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.log import Column
from data_prep.options import TimeUnit
from tfrec.errors import DataError

MAX_ID_BYTES = 1024
A_DAY = 86_400
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6}


@dataclass(frozen=True)
class Times:
    """Times of events.

    Attributes:
        seconds: [E] int64; 0 where unreadable.
        readable: [E] bool.
        unit: what was found, or forced.
    """

    seconds: np.ndarray
    readable: np.ndarray
    unit: str


def encode(values: pa.ChunkedArray | pa.Array) -> Column:
    """Returns the codes and values of a column of ids: integers where all are, else strings.

    Text is an integer only where it would be written the same again ("007" stays text). Missing
    values, empty text and NaN have the code -1.
    """
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if pa.types.is_floating(values.type):
        whole = pc.equal(values, pc.floor(values))
        values = pc.if_else(pc.is_finite(values), values, None)
        if pc.all(pc.fill_null(whole, True)).as_py():
            values = values.cast(pa.int64())
    if not pa.types.is_integer(values.type):
        values = values.cast(pa.string())
        values = pc.if_else(pc.equal(values, ""), None, values)
    encoded = values.dictionary_encode()
    uniques = _as_integers(encoded.dictionary)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    index = (
        pd.Index(uniques.to_numpy(zero_copy_only=False), dtype="int64")
        if pa.types.is_integer(uniques.type)
        else (pd.Index(uniques.to_pylist(), dtype=object))
    )
    return Column(codes, index)


def _as_integers(uniques: pa.Array) -> pa.Array:
    """Text as int64, where every value is an integer as Python writes it."""
    if pa.types.is_integer(uniques.type):
        return uniques.cast(pa.int64())
    try:
        integers = uniques.cast(pa.int64())
    except pa.ArrowInvalid:
        return uniques
    same = pc.all(pc.equal(integers.cast(pa.string()), uniques)).as_py()
    return integers if same and len(uniques) else uniques


def too_long(column: Column) -> np.ndarray:
    """[E] bool: which ids take more than MAX_ID_BYTES bytes."""
    if column.values.dtype.kind in "iu" or not len(column.values):
        return np.zeros(len(column.codes), bool)
    long = np.fromiter((len(v.encode()) > MAX_ID_BYTES for v in column.values), bool, len(column.values))
    return long[column.codes] & (column.codes >= 0)


def read_times(values: pa.ChunkedArray, unit: TimeUnit, name: str) -> Times:
    """Reads times as unix seconds.

    Args:
        values: numbers, timestamps, dates or text.
        unit: of numbers, `iso` for text such as 2024-02-29T12:00:00Z (UTC where no zone is given),
            or `auto`: found out by size.
        name: of the column, for errors.

    Raises:
        DataError: no value can be read.
    """
    values = values.combine_chunks()
    if pa.types.is_temporal(values.type):
        seconds = values.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
        return _times(seconds.to_pandas().to_numpy(np.float64, na_value=np.nan), "timestamps of the file")
    if unit == "iso":
        return _iso(values)
    numbers = _numbers(values)
    if unit == "auto" and not np.isfinite(numbers).any():
        return _iso(values)
    found = unit if unit != "auto" else _unit_of(numbers)
    if found not in PER_SECOND:
        raise DataError(f"column {name!r}: expected s, ms or us as --time-unit, found {found!r}")
    return _times(np.floor(numbers / PER_SECOND[found]), found)


def _numbers(values: pa.Array) -> np.ndarray:
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return pd.to_numeric(values.to_pandas(), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return values.to_pandas().to_numpy(np.float64, na_value=np.nan)


def _iso(values: pa.Array) -> Times:
    moments = pd.to_datetime(
        values.cast(pa.string()).to_pandas(), errors="coerce", utc=True, format="ISO8601"
    )
    seconds = moments.astype("datetime64[s, UTC]").astype("int64").to_numpy().astype(np.float64)
    return _times(np.where(moments.isna(), np.nan, seconds), "iso")


def _unit_of(numbers: np.ndarray) -> str:
    """Seconds below 10¹¹ (the year 5138), milliseconds below 10¹⁴, else microseconds."""
    middle = float(np.nanmedian(np.abs(numbers[np.isfinite(numbers)])))
    return "s" if middle < 1e11 else "ms" if middle < 1e14 else "us"


def _times(seconds: np.ndarray, unit: str) -> Times:
    """A time before 1970 or after tomorrow is none that an event can have had."""
    with np.errstate(invalid="ignore"):
        readable = np.isfinite(seconds) & (seconds >= 0) & (seconds <= time.time() + A_DAY)
    return Times(np.where(readable, seconds, 0).astype(np.int64), readable, unit)


def read_context(values: pa.ChunkedArray, kind: str) -> Column | np.ndarray:
    """Reads a context column: numbers where all values are (or it is said so), else categories."""
    numbers = None
    if kind != "categorical":
        array = values.combine_chunks()
        if pa.types.is_floating(array.type) or pa.types.is_integer(array.type) or kind == "numeric":
            numbers = _numbers(array)
        else:
            tried = _numbers(array.cast(pa.string()))
            if np.isfinite(tried).sum() == len(array) - array.null_count and len(tried):
                numbers = tried
    if numbers is not None:
        return numbers.astype(np.float32)
    column = encode(values.cast(pa.string()))
    return Column(column.codes, column.values.astype(str))
