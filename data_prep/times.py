"""Times of any form as unix seconds, or as an order; what is none is marked."""

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from data_prep.options import TimeUnit
from data_prep.values import as_numbers

A_DAY = 86_400
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6}
LARGEST = 2**62


@dataclass(frozen=True)
class Times:
    """Times of events.

    Attributes:
        seconds: [E] int64; 0 where unreadable.
        readable: [E] bool.
        unit: what was found, or forced.
        expected: what an unreadable one is not, as "… is EXPECTED".
    """

    seconds: np.ndarray
    readable: np.ndarray
    unit: str
    expected: str = "no time between 1970 and tomorrow"


def read_times(values: pa.Array, unit: TimeUnit) -> Times:
    """Reads times as unix seconds.

    Args:
        values: numbers, timestamps, dates or text.
        unit: of numbers, `iso` for text such as 2024-02-29T12:00:00Z (UTC where no zone is given),
            or `auto`: found out by what most values are, and by their size.

    Raises:
        pa.ArrowException: the values are of a type that holds no times.
    """
    if pa.types.is_temporal(values.type):
        seconds = values.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
        return _times(as_numbers(seconds), "timestamps")
    if unit == "iso":
        return _iso(values)
    numbers = as_numbers(values)
    finite = np.isfinite(numbers)
    if unit == "auto" and 2 * finite.sum() < len(values) - values.null_count:
        return _iso(values)
    found = unit if unit != "auto" else _unit_of(numbers[finite])
    return _times(np.floor(numbers / PER_SECOND[found]), found)


def read_positions(values: pa.Array) -> Times:
    """Reads times that are no clock times: any numbers, which give an order."""
    try:  # beyond 2⁵³ a float would lose the order
        whole = values.cast(pa.int64())
        found, readable = whole.fill_null(0).to_numpy(), whole.is_valid().to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        numbers = as_numbers(values)
        readable = np.abs(numbers) < LARGEST
        found = np.where(readable, numbers, 0).astype(np.int64)
    return Times(found, readable, "positions", "no number")


def _iso(values: pa.Array) -> Times:
    moments = pd.to_datetime(
        values.cast(pa.string()).to_pandas(), errors="coerce", utc=True, format="ISO8601"
    )
    seconds = moments.astype("datetime64[s, UTC]").astype("int64").to_numpy().astype(np.float64)
    return _times(np.where(moments.isna(), np.nan, seconds), "iso")


def _unit_of(numbers: np.ndarray) -> str:
    """Seconds below 10¹¹ (the year 5138), milliseconds below 10¹⁴, else microseconds."""
    middle = float(np.median(np.abs(numbers))) if len(numbers) else 0.0
    return "s" if middle < 1e11 else "ms" if middle < 1e14 else "us"


def _times(seconds: np.ndarray, unit: str) -> Times:
    """A time before 1970 or after tomorrow is none that an event can have had."""
    with np.errstate(invalid="ignore"):
        readable = (seconds >= 0) & (seconds <= time.time() + A_DAY)
    return Times(np.where(readable, seconds, 0).astype(np.int64), readable, unit)
