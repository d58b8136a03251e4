"""EB-NeRD: reads of news articles, with reading time and scroll depth (Kruse et al., RecSys Challenge 2024).

The published bundles (demo, small, large) hold `articles.parquet`, and for train and validation a
`history.parquet` with a row a user and a list a column; the two overlap in time, and what both have
counts once. A table of reads, one a row, is read as it is.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from data_prep.file_table import FileTable, present
from data_prep.files import LogFile, column_names, list_files, log_files, read_file
from data_prep.items import ItemTable
from data_prep.logs import columns_of
from data_prep.options import PrepareOptions
from data_prep.sources.base import Source

HISTORY = "history.parquet"
LISTS = {
    "article_id_fixed": "item_id",
    "impression_time_fixed": "timestamp",
    "read_time_fixed": "read_time",
    "scroll_percentage_fixed": "scroll_percentage",
}
FEATURES = {
    "category_str": "categorical",
    "subcategory": "multi",
    "topics": "multi",
    "article_type": "categorical",
    "premium": "categorical",
    "sentiment_label": "categorical",
}
TITLE = "title"


def files(paths: Sequence[Path], options: PrepareOptions) -> list[LogFile]:
    """Returns the histories of a bundle's folder, `history.parquet` files, or a table of reads."""
    histories = _all_histories(paths)
    if not histories:
        return log_files(paths, columns_of(options))
    return [LogFile(path, columns_of(options), _exploded) for path in list_files(histories)]


def items(paths: Sequence[Path]) -> ItemTable | None:
    """Returns the articles of a bundle."""
    histories = _all_histories(paths)
    return _articles(histories[0]) if histories else None


def _all_histories(paths: Sequence[Path]) -> list[Path]:
    return [file for path in map(Path, paths) for file in _histories(path)]


def _histories(path: Path) -> list[Path]:
    """The histories that a path is or holds."""
    if path.is_dir():
        return [file for place in (path, *sorted(path.iterdir())) if (file := place / HISTORY).is_file()]
    return [path] if path.name == HISTORY else []


def _exploded(path: Path, columns: Sequence[str]) -> FileTable:
    """A row a read, of a history with a row a user."""
    table = read_file(path, ["user_id", *LISTS]).table
    lists = {name: table[name].combine_chunks() for name in LISTS}
    owner = pc.list_parent_indices(lists["article_id_fixed"])
    reads = {new: pc.list_flatten(lists[old]) for old, new in LISTS.items()}
    exploded = pa.table({"user_id": table["user_id"].combine_chunks().take(owner), **reads})
    return FileTable(path, exploded.select(present(path, columns, exploded.column_names)))


def _articles(history: Path) -> ItemTable | None:
    """The articles of the bundle, where they lie beside the history or above its folder."""
    for folder in history.absolute().parents[:2]:
        path = folder / "articles.parquet"
        if path.is_file():
            there = column_names(path)
            columns = [name for name in (TITLE, *FEATURES) if name in there]
            frame = read_file(path, ["article_id", *columns]).table.to_pandas()
            kinds = {name: kind for name, kind in FEATURES.items() if name in there}
            names = (TITLE,) if TITLE in there else ()
            return ItemTable(frame.rename(columns={"article_id": "item_id"}), kinds, names)
    return None


SOURCE = Source(
    "EB-NeRD article reads: a bundle's folder, or user_id, item_id, timestamp, read_time, scroll_percentage",
    files,
    items,
    PrepareOptions(
        context={"read_time": "numeric", "scroll_percentage": "numeric"},
        drop_repeats=True,
        max_events_a_day="none",
        split="last_session",
    ),
)
