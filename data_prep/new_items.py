"""Items that came after a model was trained, in the form of the catalogue that it was trained with."""

from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.catalogue import lists_of_text, whole
from data_prep.file_table import present
from data_prep.files import read_file
from data_prep.words import words_of
from tfrec.errors import DataError
from tfrec.schema import DatasetSchema, IdType, ItemFeature

HINT = "The features are those of the log's --items; leave a value empty where it is not known."


def read_new_items(path: Path, schema: DatasetSchema) -> pd.DataFrame:
    """Returns `item_id` and the catalogue's features, one line an item.

    Args:
        path: CSV, Parquet or JSON lines; in text, values of multi-valued features stand between `|`.
        schema: of the dataset that the model was trained on.

    Raises:
        DataError: the file is missing, unreadable or empty, lacks a column, has an id twice, none or one of
            another type, or a text where the catalogue has numbers.
    """
    table = read_file(path).table
    columns = [feature.words_of or feature.name for feature in schema.item_features]
    names = list(dict.fromkeys(["item_id", *columns]))
    present(path, names, table.column_names, hint=HINT)
    frame = table.select(names).to_pandas()
    if frame.empty:
        raise DataError(f"{path} holds no items")
    frame["item_id"] = _ids(frame["item_id"], path, schema.item_id_type)
    of_features = {
        feature.name: _values(frame[column], feature, path)
        for feature, column in zip(schema.item_features, columns, strict=True)
    }
    return pd.DataFrame({"item_id": frame["item_id"], **of_features})


def _ids(column: pd.Series, path: Path, id_type: IdType) -> pd.Series:
    if column.isna().any():
        raise DataError(f"{path}: line {int(np.flatnonzero(column.isna())[0]) + 1} has no item_id")
    ids = whole(column)
    if id_type == "int64":
        try:
            ids = ids.astype("int64")
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}: item_id: expected whole numbers, as in the log: {error}") from error
    else:
        ids = ids.astype(str)
    if ids.duplicated().any():
        twice = ids[ids.duplicated()].tolist()[0]
        raise DataError(f"{path}: item_id {twice!r} stands twice; expected it once")
    return ids


def _values(column: pd.Series, feature: ItemFeature, path: Path) -> pd.Series:
    if feature.words_of is not None:
        return words_of(column)
    if feature.kind == "multi":
        return lists_of_text(column)
    if feature.kind == "categorical":
        return whole(column).map(str, na_action="ignore").astype(object)
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: column {column.name!r}: expected numbers: {error}") from error
