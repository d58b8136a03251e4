"""Any log: the options name its columns."""

from collections.abc import Sequence
from pathlib import Path

from data_prep.files import read_files
from data_prep.items import ItemTable, read_items
from data_prep.logs import columns_of, read_log
from data_prep.options import PrepareOptions
from data_prep.sources.base import Found, Source


def read(paths: Sequence[Path], options: PrepareOptions) -> Found:
    """Reads the columns that the options name, and the file of items."""
    items = items_of(options)
    return Found.of(read_log(list(read_files(paths, columns_of(options))), options), items)


def items_of(options: PrepareOptions) -> ItemTable | None:
    """Reads the file of items, where the options name one."""
    if options.items_file is None:
        return None
    return read_items(options.items_file, options.items_id or options.item, options.features)


SOURCE = Source("any log: name its columns by options", read)
