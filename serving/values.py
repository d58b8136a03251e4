"""Plain Python values -> what the wire carries; each error names the field, what was found, and expected."""

import datetime as dt
import math
import numbers
from typing import Any

import numpy as np

from tfrec.errors import DataError

_INT64 = np.iinfo(np.int64)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

LATEST_SECONDS = 1 << 35
"""Unix seconds of the year 3058: a larger number is one of milliseconds or microseconds."""


def wrong(path: str, expected: str, found: object) -> DataError:
    """The error for a field that holds something else than expected."""
    shown = repr(found)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return DataError(f"{path}: expected {expected}, found {shown} ({type(found).__name__})")


def to_id(value: Any, dtype: str, path: str) -> int | bytes:
    """An id as a servable of int64 or string ids takes it.

    Raises:
        DataError: it is of the other type; nothing is converted, for 7 and "7" are two ids.
    """
    if dtype == "string":
        if not isinstance(value, str):
            raise wrong(path, "a string", value)
        return _to_bytes(value, path)
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise wrong(path, "an integer", value)
    number = int(value)
    if not _INT64.min <= number <= _INT64.max:
        raise wrong(path, "an integer of 64 bits", value)
    return number


def to_category(value: Any, path: str) -> bytes:
    """A value of a categorical column; whole numbers are written out, as they stand in a log.

    Raises:
        DataError: it is neither text nor a whole number.
    """
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return str(int(value)).encode()
    if not isinstance(value, str):
        raise wrong(path, "a string", value)
    return _to_bytes(value, path)


def to_number(value: Any, path: str) -> float:
    """A value of a numeric column.

    Raises:
        DataError: it is no finite number.
    """
    number = _finite(value)
    if number is None:
        raise wrong(path, "a finite number", value)
    return number


def to_seconds(value: Any, path: str) -> int:
    """A point in time as unix seconds: a datetime, text in ISO 8601, or unix seconds; without zone it is UTC.

    Raises:
        DataError: it is none of these.
    """
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise wrong(path, "a time in ISO 8601", value) from None
    if isinstance(value, np.datetime64) and not np.isnat(value):
        return int(value.astype("datetime64[s]").astype(np.int64))
    if isinstance(value, dt.datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        since = (moment - _EPOCH) // dt.timedelta(seconds=1)
        if not math.isnan(since):  # as of pandas' NaT, which is a datetime too
            return int(since)
    seconds = _finite(value)
    if seconds is None:
        raise wrong(path, "a datetime, a time in ISO 8601 or unix seconds", value)
    if abs(seconds) > LATEST_SECONDS:
        raise wrong(path, "unix seconds, not milliseconds or microseconds", value)
    return math.floor(seconds)


def _finite(value: Any) -> float | None:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _to_bytes(value: str, path: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise wrong(path, "text that UTF-8 can hold", value) from None
