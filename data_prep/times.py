"""Times of any form as unix seconds, or as an order; what is none is marked."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from data_prep.options import TimeUnit
from data_prep.values import as_numbers

A_DAY = 86_400
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6}
LARGEST = 2**62
TimeForm = Literal["timestamps", "iso", "s", "ms", "us", "positions", "whole positions"]
"""How the times of a whole log are read."""

SIZES: tuple[tuple[TimeForm, float], ...] = (("s", 1e11), ("ms", 1e14), ("us", np.inf))
"""Units, and what their numbers stay below: seconds below the year 5138."""


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


@dataclass(frozen=True)
class TimeFacts:
    """What tells the form of the times of a log; of parts of it, those of the whole follow.

    Attributes:
        given: how many values there are.
        sizes: of the numbers among them, for each unit of `SIZES`: how many are of its size, the least and
            the greatest.
        temporal: the column has a type of moments.
        whole: all are integers of 64 bits.
    """

    given: int
    sizes: tuple[tuple[int, float, float], ...]
    temporal: bool
    whole: bool


class RawTimes:
    """The times of a column, before it is known how those of the whole log are to be read.

    Args:
        values: numbers, timestamps, dates or text.
    """

    def __init__(self, values: pa.Array) -> None:
        self._values = values

    @cached_property
    def _numbers(self) -> np.ndarray:
        return as_numbers(self._values)

    def facts(self, unit: TimeUnit, *, has_clock: bool | None) -> TimeFacts:
        """Returns what `time_form` wants to know.

        Raises:
            pa.ArrowException: the values are of a type that holds no times.
        """
        temporal = pa.types.is_temporal(self._values.type)
        of_size = unit == "auto" and has_clock is not False and not temporal
        return TimeFacts(
            given=len(self._values) - self._values.null_count,
            sizes=tuple(_sizes(np.abs(self._numbers[np.isfinite(self._numbers)]))) if of_size else (),
            temporal=temporal,
            whole=has_clock is False and _as_integers(self._values) is not None,
        )

    def read(self, form: TimeForm) -> Times:
        """Reads the times.

        Raises:
            pa.ArrowException: the values are of a type that holds no times.
        """
        if form == "timestamps":
            seconds = self._values.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
            return _times(as_numbers(seconds), form)
        if form == "iso":
            return _iso(self._values)
        if form in PER_SECOND:
            return _times(np.floor(self._numbers / PER_SECOND[form]), form)
        whole = _as_integers(self._values) if form == "whole positions" else None
        if whole is not None:  # beyond 2⁵³ a float would lose the order
            found, readable = whole.fill_null(0).to_numpy(), whole.is_valid().to_numpy(zero_copy_only=False)
        else:
            readable = np.abs(self._numbers) < LARGEST
            found = np.where(readable, self._numbers, 0).astype(np.int64)
        return Times(found, readable, "positions", "no number")


def time_form(parts: Sequence[TimeFacts], unit: TimeUnit, *, has_clock: bool | None) -> TimeForm:
    """Returns how the times of a log are read.

    Args:
        parts: facts of all parts of the log.
        unit: of numbers, `iso` for text such as 2024-02-29T12:00:00Z (UTC where no zone is given), or `auto`:
            found out by what most values are, and by their size.
        has_clock: False: any numbers, which give an order.
    """
    if has_clock is False:
        return "whole positions" if all(part.whole for part in parts) else "positions"
    if any(part.temporal for part in parts):
        return "timestamps"
    if unit != "auto":
        return unit
    sizes = [_merged([part.sizes[at] for part in parts]) for at in range(len(SIZES))]
    numbers = sum(count for count, _, _ in sizes)
    if 2 * numbers < sum(part.given for part in parts):
        return "iso"
    middle = (_ranked(sizes, (numbers - 1) // 2) + _ranked(sizes, numbers // 2)) / 2 if numbers else 0.0
    return next(unit for unit, limit in SIZES if middle < limit)


def read_times(values: pa.Array, unit: TimeUnit) -> Times:
    """Reads times as unix seconds.

    Args:
        values: all times of a log: numbers, timestamps, dates or text.
        unit: as of `time_form`.

    Raises:
        pa.ArrowException: the values are of a type that holds no times.
    """
    raw = RawTimes(values)
    return raw.read(time_form([raw.facts(unit, has_clock=None)], unit, has_clock=None))


def _sizes(numbers: np.ndarray) -> list[tuple[int, float, float]]:
    """For each unit of `SIZES` how many numbers are of its size, the least and the greatest."""
    found, begin = [], 0.0
    for _, end in SIZES:
        of = numbers[(numbers >= begin) & (numbers < end)]
        found.append((len(of), float(of.min(initial=np.inf)), float(of.max(initial=-np.inf))))
        begin = end
    return found


def _merged(sizes: Sequence[tuple[int, float, float]]) -> tuple[int, float, float]:
    counts, least, greatest = zip(*sizes, strict=True)
    return sum(counts), min(least), max(greatest)


def _ranked(sizes: Sequence[tuple[int, float, float]], rank: int) -> float:
    """A number of the same size as the one of this rank; the very one at either end of a size.

    The middle of an even count is the mean of two neighbours. Of one size, any number of it tells the same
    size; of two, they are the greatest of the one and the least of the other.
    """
    for count, least, greatest in sizes:
        if rank < count:
            return greatest if rank == count - 1 else least
        rank -= count
    raise IndexError(rank)


def _as_integers(values: pa.Array) -> pa.Array | None:
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:
        return None


def _iso(values: pa.Array) -> Times:
    moments = pd.to_datetime(
        values.cast(pa.string()).to_pandas(), errors="coerce", utc=True, format="ISO8601"
    )
    seconds = moments.astype("datetime64[s, UTC]").astype("int64").to_numpy().astype(np.float64)
    return _times(np.where(moments.isna(), np.nan, seconds), "iso")


def _times(seconds: np.ndarray, unit: str) -> Times:
    """A time before 1970 or after tomorrow is none that an event can have had."""
    with np.errstate(invalid="ignore"):
        readable = (seconds >= 0) & (seconds <= time.time() + A_DAY)
    return Times(np.where(readable, seconds, 0).astype(np.int64), readable, unit)
