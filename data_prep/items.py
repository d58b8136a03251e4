"""What a source knows of items, and which of its columns are features."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.file_table import present
from data_prep.files import read_file
from data_prep.names import fits_a_file
from data_prep.options import PrepareOptions
from data_prep.words import SUFFIX
from tfrec.errors import DataError, SettingsError

MANY_SHARE = 0.01
"""A text column is multi-valued when so many of its values hold a '|'."""
NAME_SHARE = 0.9
"""A text column names items, and tells nothing of their kind, when so many of its values differ."""
NO_FEATURE = ("name", "none")
RESERVED = ("item_id", "train_count")
FEW_ITEMS = 20
"""In a smaller table values may all differ by chance."""


@dataclass(frozen=True)
class ItemTable:
    """What a source knows of items.

    Attributes:
        frame: a line an item: `item_id`, and any columns.
        kinds: kinds of the columns that are features: numeric, categorical, multi or words.
        names: columns that name an item to people.
    """

    frame: pd.DataFrame
    kinds: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def forced(self, kinds: Mapping[str, str]) -> "ItemTable":
        """Returns the table with the kinds of some columns as given; `auto` is found out, `none` no feature.

        Raises:
            SettingsError: there is no such column, or its name cannot be a file's.
        """
        merged = dict(self.kinds)
        for name, kind in kinds.items():
            if name not in self.frame.columns or name == "item_id":
                known = ", ".join(map(repr, self.frame.columns.drop("item_id")))
                raise SettingsError(f"--feature {name!r}: items have no such column; theirs are {known}")
            if kind == "words" and name + SUFFIX in self.frame.columns:
                raise SettingsError(
                    f"--feature {name}:words makes a column {name + SUFFIX!r}, and there is one "
                    "already. Rename it."
                )
            merged[name] = found_kind(self.frame[name]) if kind == "auto" else kind
        chosen = {name: kind for name, kind in merged.items() if kind not in NO_FEATURE}
        for name in chosen:
            if not fits_a_file(name):
                raise SettingsError(
                    f"the column {name!r} of items cannot be a feature: its name is to be part of a file's "
                    f"name. Rename it, or leave it out with --feature {name}:none."
                )
        return replace(self, kinds=chosen)


def read_items(path: Path, id_column: str) -> ItemTable:
    """Reads a file of items: every column but the id is a feature, or names the item.

    Args:
        path: CSV, Parquet or JSON lines.
        id_column: its column of item ids.

    Raises:
        DataError: the file cannot be read, or lacks the column.
    """
    table = read_file(path).table
    present(path, [id_column], table.column_names, hint="Name its column of ids with --items-id.")
    columns = [name for name in table.column_names if name != id_column]
    for reserved in RESERVED:
        if reserved in columns:
            raise DataError(f"{path} has a column {reserved!r}, a name that the catalogue needs. Rename it.")
    frame = table.to_pandas().rename(columns={id_column: "item_id"})
    for name in columns:
        frame[name] = _numbers_where_all_are(frame[name])
    kinds = {name: found_kind(frame[name]) for name in columns}
    features = {name: kind for name, kind in kinds.items() if kind != "name"}
    return ItemTable(frame, features, tuple(name for name in columns if kinds[name] == "name"))


def own_items(options: PrepareOptions) -> ItemTable | None:
    """Reads the file of items that the options name; None where they name none."""
    if options.items_file is None:
        return None
    return read_items(options.items_file, options.items_id or options.item)


def forced(items: ItemTable | None, options: PrepareOptions) -> ItemTable | None:
    """Returns items with the kinds of features that the options force.

    Raises:
        SettingsError: there are no items.
    """
    if items is None and options.features:
        raise SettingsError("--feature names columns of items, but there are none: name a file with --items")
    return items.forced(options.features) if items is not None else None


def found_kind(column: pd.Series) -> str:
    """Returns numeric for numbers, multi for lists and text with '|' between values, name, or categorical."""
    given = column.dropna()
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return "numeric"
    if given.map(lambda v: isinstance(v, (list, np.ndarray))).any():
        return "multi"
    text = given.astype(str)
    if len(text) and text.str.contains("|", regex=False).mean() > MANY_SHARE:
        return "multi"
    if len(text) >= FEW_ITEMS and text.nunique() > NAME_SHARE * len(text):
        return "name"
    return "categorical"


def _numbers_where_all_are(column: pd.Series) -> pd.Series:
    """Text of a CSV as numbers, where every value is one."""
    if not pd.api.types.is_string_dtype(column):
        return column
    try:
        numbers = pd.to_numeric(column)
    except (ValueError, TypeError):
        return column
    return column if numbers.dtype == object else numbers  # object: integers beyond 64 bits
