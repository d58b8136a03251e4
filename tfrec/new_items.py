"""Items that came after a model was trained: embedded by their features, added to an index."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec.dataset import Facts
from tfrec.errors import SettingsError
from tfrec.features import feature_values
from tfrec.index.changes import add
from tfrec.index.heirs import NOBODY, Heirs
from tfrec.index.ids import ItemIds, id_array
from tfrec.index.segment import Segment
from tfrec.indexing import feature_column
from tfrec.schema import FIRST_ROW
from tfrec.similar_items import similar_items
from tfrec.trained import TrainedModel

FEW = 0.1
"""The share of the catalogue that had the fewest events: what new items are like."""


def index_new_items(model_folder: Path, out: Path, frame: pd.DataFrame, *, inherit: float = 1.0) -> Path:
    """Writes a version of an index with items that came since, and returns its folder.

    Args:
        model_folder: the model that the index is of; its candidate tower embeds them by their features.
        out: the index's folder.
        frame: a line an item: `item_id` and the catalogue's features, as `data_prep.new_items` reads them.
        inherit: the part of what items like it score by copies and rules that a new item gets; more shows new
            items more often, at the expense of others. See `tfrec.index.heirs`.

    Raises:
        DataError: the model or the index cannot be read; the index is of another model.
        SettingsError: `inherit` is below 0; the model has no features to embed them by; its answers refuse
            unknown candidates.
    """
    if inherit < 0:
        raise SettingsError(f"inherit={inherit:g}: expected 0 or more")
    trained = TrainedModel.load(model_folder)
    facts, spec = trained.facts, trained.model.spec
    if not spec.features:
        raise SettingsError(
            f"{model_folder} knows items by their ids alone, so it cannot tell where new ones lie. Prepare "
            "the log with --items, and train with model.item_features=true."
        )
    frame = _canonical(frame, facts)
    values = feature_values(replace(facts, catalogue=_seen(frame, facts)), spec.features, spec.feature_widths)
    given = [tf.constant(value[FIRST_ROW:]) for value in values]
    embedding = trained.model.candidate_tower.new_items(
        given, tf.constant(rare_items(facts), tf.int32)
    ).numpy()
    known = set(facts.items.values.tolist())
    ids = ItemIds(id_array(frame["item_id"].tolist(), facts.schema.item_id_type))
    names = [f.name for f in facts.schema.item_features if f.kind == "categorical"]
    columns = {name: feature_column(frame[name]) for name in names}
    new = np.array([item not in known for item in frame["item_id"]])
    heirs = _heirs(frame, facts, np.flatnonzero(new), inherit) if inherit else NOBODY
    segment = Segment(ids, embedding, np.zeros(len(ids), np.int64), new, columns, heirs)
    return add(out, segment, trained.space)


def rare_items(facts: Facts) -> np.ndarray:
    """Returns the rows of the items that had the fewest events: what new ones are like."""
    counts = facts.catalogue["train_count"].to_numpy()
    return np.flatnonzero(counts <= np.quantile(counts, FEW)) + FIRST_ROW


def _heirs(frame: pd.DataFrame, facts: Facts, new: np.ndarray, inherit: float) -> Heirs:
    """What the new ones among the items inherit."""
    places, likeness = similar_items(
        frame.iloc[new], facts.catalogue, facts.schema.item_features, facts.features
    )
    total = likeness.sum(axis=1, keepdims=True)
    weight = np.where(total > 0, inherit * likeness / np.maximum(total, 1e-9), 0)
    like = id_array(facts.items.values.tolist(), facts.schema.item_id_type)[places]
    return Heirs(new, like, weight.astype(np.float32))


def _seen(frame: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Without values that training has not seen: nothing was learned of them."""
    changed: dict[str, Any] = {}
    for name, vocabulary in facts.features.items():
        known = set(vocabulary.values)
        changed[name] = [
            [one for one in value if one in known]
            if isinstance(value, list)
            else value
            if value in known
            else None
            for value in frame[name]
        ]
    return frame.assign(**changed)


def _canonical(frame: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Values as the vocabularies have them: a number that the catalogue writes 8 may come as 08 or 8.0."""
    changed: dict[str, Any] = {}
    for feature in facts.schema.item_features:
        if feature.kind == "numeric":
            continue
        known = set(facts.features[feature.name].values)

        def spelled(value: Any, known: set[str] = known) -> Any:
            if not isinstance(value, str) or value in known:
                return value
            number = pd.to_numeric(value, errors="coerce")
            return str(int(number)) if number == number and number % 1 == 0 else value

        column = frame[feature.name]
        multi = feature.kind == "multi"
        changed[feature.name] = [[spelled(one) for one in v] if multi else spelled(v) for v in column]
    return frame.assign(**changed)
