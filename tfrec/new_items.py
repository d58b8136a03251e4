"""Items that came after a model was trained: read, embedded by their features, added to an index."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec.errors import DataError, SettingsError
from tfrec.features import feature_values
from tfrec.index.changes import add
from tfrec.index.ids import ItemIds, id_array
from tfrec.index.segment import Segment
from tfrec.indexing import feature_column
from tfrec.schema import FIRST_ROW, DatasetSchema
from tfrec.trained import TrainedModel

FEW = 0.1
"""The share of the catalogue that had the fewest events: what new items are like."""


def index_new_items(model_folder: Path, out: Path, items_file: Path) -> Path:
    """Writes a version of an index with items that came since, and returns its folder.

    Args:
        model_folder: the model that the index is of; its candidate tower embeds them by their features.
        out: the index's folder.
        items_file: Parquet or CSV with `item_id` and the catalogue's features.

    Raises:
        DataError: the file cannot be read, or lacks a feature; the index is of another model.
        SettingsError: the model has no features to embed them by; its answers refuse unknown candidates.
    """
    trained = TrainedModel.load(model_folder)
    facts, spec = trained.facts, trained.model.spec
    if not spec.features:
        raise SettingsError(
            f"{model_folder} knows items by their ids alone, so it cannot tell where new ones lie. Prepare "
            "the log with --items, and train with model.item_features=true."
        )
    frame = read_new_items(items_file, facts.schema)
    values = feature_values(replace(facts, catalogue=frame), spec.features, spec.feature_widths)
    counts = facts.catalogue["train_count"].to_numpy()
    rare = np.flatnonzero(counts <= np.quantile(counts, FEW)) + FIRST_ROW
    given = [tf.constant(value[FIRST_ROW:]) for value in values]
    embedding = trained.model.candidate_tower.new_items(given, tf.constant(rare, tf.int32)).numpy()
    ids = ItemIds(id_array(frame["item_id"].tolist(), facts.schema.item_id_type))
    names = [f.name for f in facts.schema.item_features if f.kind == "categorical"]
    columns = {name: feature_column(frame[name]) for name in names}
    return add(out, Segment(ids, embedding, columns), trained.space)


def read_new_items(path: Path, schema: DatasetSchema) -> pd.DataFrame:
    """Returns `item_id` and the catalogue's features of new items, one line each.

    Args:
        path: Parquet or CSV; in CSV, values of multi-valued features stand between `|`.
        schema: of the dataset that the model was trained on.

    Raises:
        DataError: the file is missing, unreadable or empty, lacks a column, has an id twice or none, or a
            value of another type.
    """
    path = Path(path)
    if path.suffix not in (".parquet", ".csv"):
        raise DataError(f"{path}: expected a file .parquet or .csv")
    types = {"item_id": "str"} if path.suffix == ".csv" and schema.item_id_type == "string" else None
    try:
        frame = pd.read_csv(path, dtype=types) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    needed = ["item_id", *(feature.name for feature in schema.item_features)]
    if lacking := [name for name in needed if name not in frame]:
        raise DataError(f"{path} lacks the columns {', '.join(lacking)}; found {', '.join(map(str, frame))}")
    if frame.empty:
        raise DataError(f"{path} holds no items")
    frame = frame[needed].reset_index(drop=True)
    _check_ids(frame["item_id"], path, schema)
    for feature in schema.item_features:
        column = frame[feature.name]
        if feature.kind == "numeric":
            frame[feature.name] = _numbers(column, path)
        elif feature.kind == "categorical":
            frame[feature.name] = column.map(str, na_action="ignore")
        else:
            frame[feature.name] = [_values(value) for value in column]
    return frame


def _check_ids(column: pd.Series, path: Path, schema: DatasetSchema) -> None:
    if column.isna().any():
        raise DataError(f"{path}: line {int(np.flatnonzero(column.isna())[0]) + 1} has no item_id")
    if schema.item_id_type == "int64" and not pd.api.types.is_integer_dtype(column):
        raise DataError(f"{path}: item_id: expected whole numbers, as in the log, found {column.dtype}")
    if schema.item_id_type == "string" and not column.map(lambda value: isinstance(value, str)).all():
        raise DataError(f"{path}: item_id: expected text, as in the log, found {column.dtype}")
    if column.duplicated().any():
        raise DataError(
            f"{path}: item_id {column[column.duplicated()].tolist()[0]!r} stands twice; expected it once"
        )


def _numbers(column: pd.Series, path: Path) -> pd.Series:
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: column {column.name!r}: expected numbers: {error}") from error


def _values(value: object) -> list[str]:
    if isinstance(value, str):
        return value.split("|")
    return [str(one) for one in value] if isinstance(value, list | tuple | np.ndarray) else []
