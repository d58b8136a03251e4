"""The catalogue's features as the numbers that the item embedding takes."""

import numpy as np
import pandas as pd

from tfrec.dataset import Facts
from tfrec.schema import FIRST_ROW, PADDING_ROW, ItemFeature
from tfrec.vocabulary import Vocabulary


def feature_values(
    facts: Facts, features: tuple[ItemFeature, ...], widths: tuple[int, ...]
) -> list[np.ndarray]:
    """Returns each feature's values for all rows of the item table: [items, width].

    Categorical and multi-valued features as int32 rows of their vocabulary, PADDING_ROW where an
    item has no (further) value; numeric ones standardised, 0 where missing: float32.
    """
    return [_values(facts, feature, width) for feature, width in zip(features, widths, strict=True)]


def _values(facts: Facts, feature: ItemFeature, width: int) -> np.ndarray:
    column = facts.catalogue[feature.name]
    if feature.kind == "numeric":
        number = (pd.to_numeric(column).to_numpy(np.float32, na_value=np.nan) - feature.mean) / feature.std
        return _behind_specials(np.nan_to_num(number)[:, None].astype(np.float32))
    vocabulary = facts.features[feature.name]
    if feature.kind == "categorical":
        rows = np.where(column.isna(), PADDING_ROW, vocabulary.rows(column.to_numpy()))
        return _behind_specials(rows[:, None].astype(np.int32))
    return _behind_specials(_multi(column, vocabulary, width))


def _multi(column: pd.Series, vocabulary: Vocabulary, width: int) -> np.ndarray:
    """The first `width` values of each list."""
    exploded = column.reset_index(drop=True).explode().dropna()
    place = exploded.groupby(level=0).cumcount().to_numpy()
    kept = place < width
    rows = np.full((len(column), width), PADDING_ROW, np.int32)
    values = exploded.to_numpy()[kept]
    rows[exploded.index.to_numpy()[kept], place[kept]] = vocabulary.rows(values) if len(values) else []
    return rows


def _behind_specials(values: np.ndarray) -> np.ndarray:
    """Puts the rows for padding and unknown, which have no values, in front."""
    return np.concatenate([np.zeros((FIRST_ROW, values.shape[1]), values.dtype), values])
