"""Items of a batch job: which may be answered, and what is known of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tfrec.dataset import Facts
from tfrec.errors import DataError, SettingsError
from tfrec.schema import FIRST_ROW
from tfrec.trained import TrainedModel


def allowed_rows(
    facts: Facts, allow: Sequence[Any] | None, exclude: Sequence[Any], filters: Mapping[str, Sequence[str]]
) -> np.ndarray | None:
    """Returns the rows of the only items that may be answered: [A] int32, rising; None: all may.

    Args:
        facts: the catalogue.
        allow: raw ids; None: all. What the catalogue does not have counts for nothing.
        exclude: raw ids of items that may not.
        filters: by categorical feature, the values of which an item must have one.

    Raises:
        SettingsError: there is no such feature.
        DataError: nothing is left to answer.
    """
    if allow is None and not len(exclude) and not filters:
        return None
    categorical = [f.name for f in facts.schema.item_features if f.kind == "categorical"]
    kept = np.ones(len(facts.catalogue), bool)
    for name, values in filters.items():
        if name not in categorical:
            raise SettingsError(
                f"filter {name!r}: the catalogue has no such feature with one value an item; such ones are "
                f"{', '.join(categorical) or 'none'}"
            )
        kept &= facts.catalogue[name].astype("string").isin(list(values)).to_numpy(bool)
    rows = np.arange(len(kept)) + FIRST_ROW
    if allow is not None:
        kept &= np.isin(rows, facts.items.rows(np.asarray(allow)))
    if len(exclude):
        kept &= ~np.isin(rows, facts.items.rows(np.asarray(exclude)))
    if not kept.any():
        raise DataError(f"of {len(kept):,} items none may be answered: see allow, exclude and filters")
    return rows[kept].astype(np.int32)


def known_of_items(trained: TrainedModel, statistics: pd.DataFrame | None) -> np.ndarray | None:
    """Returns the statistics of the model, NaN where nothing is known: [items, S] float32; None: it has none.

    Args:
        trained: the model.
        statistics: `item_id` and some of its statistics, a line an item; None: nothing is known.

    Raises:
        SettingsError: the model has no such statistic.
    """
    names = [statistic.name for statistic in trained.model.spec.statistics]
    if statistics is None:
        return np.full((trained.model.spec.items, len(names)), np.nan, np.float32) if names else None
    given = [name for name in statistics.columns if name != "item_id"]
    if unknown := sorted(set(given) - set(names)):
        raise SettingsError(
            f"statistics: the model knows none named {', '.join(unknown)}; it ranks by "
            f"{', '.join(names) or 'none'}"
        )
    found = np.full((trained.model.spec.items, len(names)), np.nan, np.float32)
    rows = trained.facts.items.rows(statistics["item_id"].to_numpy())
    known = rows >= FIRST_ROW
    for name in given:
        found[rows[known], names.index(name)] = statistics[name].to_numpy(np.float32)[known]
    return found
