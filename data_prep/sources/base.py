"""What a source of logs is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from data_prep.items import ItemTable
from data_prep.log import Log
from data_prep.logs import Reading
from data_prep.options import PrepareOptions


@dataclass(frozen=True)
class Found:
    """A log that a source has read.

    Attributes:
        log: the readable events.
        rejected: rows set aside, with their reasons.
        rows: how many rows the files have.
        time_unit: of the times.
        items: what is known of items.
    """

    log: Log
    rejected: pd.DataFrame
    rows: int
    time_unit: str
    items: ItemTable | None = None

    @classmethod
    def of(cls, reading: Reading, items: ItemTable | None = None) -> "Found":
        """Returns what was read, with what is known of items."""
        return cls(reading.log, reading.rejected, reading.rows, reading.time_unit, items)


@dataclass(frozen=True)
class Source:
    """A known log.

    Attributes:
        describes: a line for people.
        read: files or folders, and options -> a log.
        defaults: options that fit the log.
    """

    describes: str
    read: Callable[[Sequence[Path], PrepareOptions], Found]
    defaults: PrepareOptions = field(default_factory=PrepareOptions)
