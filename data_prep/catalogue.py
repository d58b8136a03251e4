"""The items that can be recommended, with their features."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_prep.items import ItemTable
from data_prep.vocabularies import TrainValues
from data_prep.words import SUFFIX, words_of
from tfrec.errors import DataError
from tfrec.schema import FIRST_ROW, ItemFeature


@dataclass(frozen=True)
class Catalogue:
    """The catalogue of a dataset.

    Attributes:
        items: of train events.
        frame: `item_id`, `train_count`, and the source's columns, in row order.
        features: of the schema.
        vocabularies: raw values of each feature in row order.
        names: columns that name an item to people.
    """

    items: TrainValues
    frame: pd.DataFrame
    features: tuple[ItemFeature, ...]
    vocabularies: dict[str, pd.Index]
    names: tuple[str, ...]


def build_catalogue(laid: TrainValues, items: ItemTable | None) -> Catalogue:
    """Joins the items of train events, as they are laid out, with their features.

    Args:
        laid: items by falling count, ties by id.
        items: what the source knows of items.

    Raises:
        DataError: none of the items is in the log.
    """
    frame = pd.DataFrame({"item_id": laid.values, "train_count": laid.counts})
    features: list[ItemFeature] = []
    vocabularies: dict[str, pd.Index] = {}
    if items is not None:
        known = _one_line_each(items.frame, laid.values)
        frame = frame.merge(known, on="item_id", how="left")
        for name, kind in items.kinds.items():
            feature, vocabulary = _feature(frame, name, kind)
            features.append(feature)
            if vocabulary is not None:
                vocabularies[feature.name] = vocabulary
    names = items.names if items is not None else ()
    return Catalogue(laid, frame, tuple(features), vocabularies, names)


def _one_line_each(frame: pd.DataFrame, ids: pd.Index) -> pd.DataFrame:
    """The first line of each item that the log has, with its id as the log has it."""
    raw = whole(frame["item_id"])
    place = pd.Index(ids.astype(str)).get_indexer(pd.Index(raw.astype(str)))
    there = (place >= 0) & raw.notna().to_numpy()
    if not there.any():
        example = f"{raw.iloc[0]!r}" if len(raw) else "none"
        raise DataError(
            f"none of the {len(raw):,} items of the file of items is in the log, which has ids such as "
            f"{ids[0]!r}; the file has {example}. Name its column of ids with --items-id."
        )
    return frame[there].assign(item_id=ids[place[there]]).drop_duplicates("item_id")


def _feature(frame: pd.DataFrame, name: str, kind: str) -> tuple[ItemFeature, pd.Index | None]:
    """Makes a column of the catalogue a feature, its values in one form."""
    if kind == "numeric":
        numbers = pd.to_numeric(frame[name], errors="coerce").astype("float64")
        numbers = numbers.where(np.isfinite(numbers))
        frame[name] = numbers
        mean, std = float(numbers.mean()), float(numbers.std(ddof=0))
        found = ItemFeature(
            name=name, kind="numeric", mean=mean if np.isfinite(mean) else 0.0, std=std if std > 0 else 1.0
        )
        return found, None
    source = None
    if kind == "words":
        source, name, kind = name, name + SUFFIX, "multi"
        frame[name] = words_of(frame[source])
        values = frame[name].explode().dropna()
    elif kind == "multi":
        frame[name] = lists_of_text(frame[name])
        values = frame[name].explode().dropna()
    else:
        values = whole(frame[name]).dropna().astype(str)
        frame[name] = values.reindex(frame.index)
    counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    feature = ItemFeature.model_validate(
        {"name": name, "kind": kind, "size": len(counts) + FIRST_ROW, "words_of": source}
    )
    return feature, counts.index


def whole(column: pd.Series) -> pd.Series:
    """Returns floats that became so by missing values as the integers they were."""
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        return column.astype("Int64")
    return column


def lists_of_text(column: pd.Series) -> pd.Series:
    """Returns each item's values as a list of text."""
    return column.map(
        lambda v: (
            [str(x) for x in v]
            if isinstance(v, (list, tuple, np.ndarray))
            else [x for x in str(v).split("|") if x]
            if isinstance(v, str)
            else []
        )
    )
