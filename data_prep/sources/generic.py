"""Any log: the options name its columns."""

from collections.abc import Sequence
from pathlib import Path

from data_prep.catalogue import ItemTable
from data_prep.files import read_file, read_files
from data_prep.logs import columns_of, read_log
from data_prep.options import PrepareOptions
from data_prep.sources.base import Found, Source


def read(paths: Sequence[Path], options: PrepareOptions) -> Found:
    """Reads the columns that the options name, and the file of items."""
    reading = read_log(list(read_files(paths, columns_of(options))), options)
    return Found.of(reading, read_items(options) if options.items_file else None)


def read_items(options: PrepareOptions) -> ItemTable:
    """Reads the file of items: every column but the id is a feature, unless its kind is `none`."""
    assert options.items_file is not None
    id_column = options.items_id or options.item
    read_file(options.items_file, [id_column])  # refuses a file without the column, in words
    frame = read_file(options.items_file).table.to_pandas().rename(columns={id_column: "item_id"})
    names = [name for name in frame.columns if name != "item_id"]
    for name in names:
        if frame[name].dtype == object or str(frame[name].dtype) in ("str", "string"):
            frame[name] = _numbers_where_all_are(frame[name])
    kinds = {name: options.features.get(name, "auto") for name in names}
    return ItemTable(frame, {name: kind for name, kind in kinds.items() if kind != "none"}, tuple(names))


def _numbers_where_all_are(column):  # type: ignore[no-untyped-def]
    """Text of a CSV as numbers, where every value is one."""
    import pandas as pd

    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):
        return column


SOURCE = Source("any log: name its columns by options", read)
