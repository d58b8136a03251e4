"""Any log: the options name its columns."""

from collections.abc import Sequence
from pathlib import Path

from data_prep.files import LogFile, log_files
from data_prep.logs import columns_of
from data_prep.options import PrepareOptions
from data_prep.sources.base import Source


def files(paths: Sequence[Path], options: PrepareOptions) -> list[LogFile]:
    """Returns the files, with the columns that the options name."""
    return log_files(paths, columns_of(options))


SOURCE = Source("any log: name its columns by options", files)
