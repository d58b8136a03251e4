"""Any log: the options name its columns."""

from collections.abc import Sequence
from pathlib import Path

from data_prep.files import read_files
from data_prep.logs import columns_of, read_log
from data_prep.options import PrepareOptions
from data_prep.sources.base import Found, Source


def read(paths: Sequence[Path], options: PrepareOptions) -> Found:
    """Reads the columns that the options name."""
    return Found.of(read_log(list(read_files(paths, columns_of(options))), options))


SOURCE = Source("any log: name its columns by options", read)
