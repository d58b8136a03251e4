"""What a source of logs is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from data_prep.file_table import FileTable
from data_prep.files import LogFile
from data_prep.items import ItemTable
from data_prep.log import Log
from data_prep.logs import read_log
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


@dataclass(frozen=True)
class Source:
    """A known log.

    Attributes:
        describes: a line for people.
        files: files or folders, and options -> the files of events to read.
        items: files or folders -> what is known of items.
        defaults: options that fit the log.
        checked: for a log that is sorted and split already: its one file and what was read of it -> the log
            with its own roles.
    """

    describes: str
    files: Callable[[Sequence[Path], PrepareOptions], list[LogFile]]
    items: Callable[[Sequence[Path]], ItemTable | None] | None = None
    defaults: PrepareOptions = field(default_factory=PrepareOptions)
    checked: Callable[[FileTable, Log], Log] | None = None

    def read(self, paths: Sequence[Path], options: PrepareOptions) -> Found:
        """Reads the log into memory.

        Raises:
            DataError: it cannot be read.
        """
        files = [file.read() for file in self.files(paths, options)]
        reading = read_log(files, options)
        log = reading.log if self.checked is None else self.checked(files[0], reading.log)
        del files
        items = None if self.items is None else self.items(paths)
        return Found(log, reading.rejected, reading.rows, reading.time_unit, items)
