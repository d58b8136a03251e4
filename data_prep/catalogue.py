"""The items that can be recommended, with their features."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from data_prep.log import Column
from tfrec.errors import DataError
from tfrec.schema import FIRST_ROW, UNKNOWN_ROW, ItemFeature

MANY_SHARE = 0.01
"""A text column is multi-valued when so many of its values hold a '|'."""


@dataclass(frozen=True)
class ItemTable:
    """What a source knows of items.

    Attributes:
        frame: a line an item: `item_id`, and any columns.
        kinds: kinds of the columns that are features; `auto` is found out.
        names: columns that name an item to people.
    """

    frame: pd.DataFrame
    kinds: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """The catalogue of a dataset.

    Attributes:
        frame: `item_id`, `train_count`, and the source's columns, in row order.
        row_of_code: row of each of the log's item codes; UNKNOWN_ROW where it is in no train event.
        features: of the schema.
        vocabularies: raw values of each feature in row order.
    """

    frame: pd.DataFrame
    row_of_code: np.ndarray
    features: tuple[ItemFeature, ...]
    vocabularies: dict[str, pd.Index]


def build_catalogue(item: Column, train: np.ndarray, items: ItemTable | None) -> Catalogue:
    """Lays out the items of train events by falling count, ties by id, and joins their features.

    Args:
        item: of the log.
        train: [E] bool, which events are train.
        items: what the source knows of items.
    """
    counts = np.bincount(item.codes[train], minlength=len(item.values))
    by_id = item.values.argsort()
    order = by_id[np.argsort(-counts[by_id], kind="stable")]
    order = order[counts[order] > 0]
    row_of_code = np.full(len(item.values), UNKNOWN_ROW, np.int32)
    row_of_code[order] = np.arange(FIRST_ROW, FIRST_ROW + len(order), dtype=np.int32)
    frame = pd.DataFrame({"item_id": item.values[order], "train_count": counts[order].astype(np.int64)})
    features: list[ItemFeature] = []
    vocabularies: dict[str, pd.Index] = {}
    if items is not None:
        frame = frame.merge(_one_line_each(items.frame, item.values), on="item_id", how="left")
        for name, kind in items.kinds.items():
            feature, vocabulary = _feature(frame, name, kind)
            features.append(feature)
            if vocabulary is not None:
                vocabularies[name] = vocabulary
    return Catalogue(frame, row_of_code, tuple(features), vocabularies)


def _one_line_each(frame: pd.DataFrame, ids: pd.Index) -> pd.DataFrame:
    """The item table with ids of the log's type, the first line of each item."""
    kind = "int64" if ids.dtype.kind in "iu" else object
    try:
        frame = frame.assign(item_id=frame["item_id"].astype("int64" if kind == "int64" else str))
    except (ValueError, TypeError) as error:
        raise DataError(f"the log has integers for item ids, the file of items has not: {error}") from error
    return frame.drop_duplicates("item_id")


def _feature(frame: pd.DataFrame, name: str, kind: str) -> tuple[ItemFeature, pd.Index | None]:
    """Makes a column of the catalogue a feature, its values in one form."""
    kind = _kind(frame[name]) if kind == "auto" else kind
    if kind == "numeric":
        numbers = pd.to_numeric(frame[name], errors="coerce").astype("float64")
        frame[name] = numbers
        mean, std = float(numbers.mean()), float(numbers.std(ddof=0))
        found = ItemFeature(
            name=name, kind="numeric", mean=mean if np.isfinite(mean) else 0.0, std=std if std > 0 else 1.0
        )
        return found, None
    if kind == "multi":
        frame[name] = _lists(frame[name])
        values = frame[name].explode().dropna()
    else:
        values = frame[name].dropna().astype(str)
        frame[name] = values.reindex(frame.index)
    counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    feature = ItemFeature.model_validate({"name": name, "kind": kind, "size": len(counts) + FIRST_ROW})
    return feature, counts.index


def _kind(column: pd.Series) -> str:
    """Numbers are numeric; lists, and text with '|' between values, are multi-valued."""
    given = column.dropna()
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return "numeric"
    if given.map(lambda v: isinstance(v, (list, np.ndarray))).any():
        return "multi"
    many = given.astype(str).str.contains("|", regex=False).mean() if len(given) else 0
    return "multi" if many > MANY_SHARE else "categorical"


def _lists(column: pd.Series) -> pd.Series:
    """Each item's values as a list of text."""
    return column.map(
        lambda v: (
            [str(x) for x in v]
            if isinstance(v, (list, tuple, np.ndarray))
            else [x for x in str(v).split("|") if x]
            if isinstance(v, str)
            else []
        )
    )
