"""A new model begins with what an older one has learned, wherever its items stand in the catalogue now."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tfrec.dataset import Facts
from tfrec.distribution.shards import Shards
from tfrec.errors import SettingsError
from tfrec.model import TwoTowerModel
from tfrec.new_items import rare_items
from tfrec.schema import FIRST_ROW
from tfrec.trained import SETTINGS_FILE, TrainedModel
from tfrec.vocabulary import Vocabulary


class Kept(NamedTuple):
    """What came over.

    Attributes:
        items: of the new catalogue, those that the older model knows.
        new_items: the others.
    """

    items: int
    new_items: int


def begin_with(model: TwoTowerModel, facts: Facts, older: TrainedModel, shards: Shards | None = None) -> Kept:
    """Gives a model the weights of an older one, a vocabulary's rows by their raw values.

    Rows that the older model lacks stay as they are drawn; new items have the bias and the propensity to be
    repeated of items that few had. What the catalogue says, and rules, are the new dataset's.

    Args:
        model: new, its weights drawn.
        facts: of its dataset.
        older: trained on an earlier cut of the same log.
        shards: this worker's rows of the model's tables, where they lie apart.

    Raises:
        SettingsError: the two are not built alike.
    """
    if model.spec.settings.id_table != "full":
        raise SettingsError(
            f"model.id_table={model.spec.settings.id_table}: which items share a row depends on their places "
            "in the catalogue, and the new one has them elsewhere. Train it without --from."
        )
    tables = dict(_tables(model, facts))
    of_older = dict(_tables(older.model, older.facts))
    theirs = {_name(weight): weight for weight in older.model.trainable_weights}
    ours = {_name(weight): weight for weight in model.trainable_weights}
    begin, end = 0, len(facts.items.values) + FIRST_ROW
    if shards is not None:
        begin, end = shards.begin, shards.end
        ours |= {_name(table): weight for table, weight in zip(shards.tables, shards.weights, strict=True)}
    if missing := sorted(set(ours) ^ set(theirs)):
        raise SettingsError(_unlike(missing[0], "only one of the two has it"))
    for name, weight in ours.items():
        learned = theirs[name].numpy()
        if (name in tables) != (name in of_older):
            raise SettingsError(_unlike(name, "it is of a vocabulary in only one of the two"))
        if name in tables:
            part = (begin, end) if tables[name] is facts.items else (0, weight.shape[0])
            learned = _by_values(weight.numpy(), learned, tables[name], of_older[name], *part)
        if learned.shape != tuple(weight.shape):
            raise SettingsError(_unlike(name, f"{learned.shape} there, {tuple(weight.shape)} here"))
        weight.assign(learned)
    rows = older.facts.items.rows(facts.items.values)
    new = np.flatnonzero(rows < FIRST_ROW) + FIRST_ROW
    like = rare_items(older.facts)
    for name in _alike(model):
        values = ours[name].numpy()
        values[new[(new >= begin) & (new < end)] - begin] = theirs[name].numpy()[like].mean(axis=0)
        ours[name].assign(values)
    return Kept(len(rows) - len(new), len(new))


def _tables(model: TwoTowerModel, facts: Facts) -> Iterator[tuple[str, Vocabulary]]:
    """Names of the weights that have a row for each value of a vocabulary, which is which."""
    tower = model.query_tower
    yield _name(tower.embedding.table), facts.items
    for name in _alike(model):
        yield name, facts.items
    for feature, table in zip(model.spec.features, tower.embedding.feature_tables, strict=True):
        if feature.name in facts.features:
            yield _name(table), facts.features[feature.name]
    encoding = tower.encoding.tables
    yield _name(encoding["event_type"]), facts.event_types
    for column, values in facts.context.items():
        if f"context.{column}" in encoding:  # not where the settings leave the context out
            yield _name(encoding[f"context.{column}"]), values
    for column, values in facts.impression_context.items():
        if model.ranker is not None:
            yield _name(model.ranker.tables[column]), values


def _alike(model: TwoTowerModel) -> list[str]:
    """Names of the weights of items that those of rare items stand for."""
    copying = model.query_tower.copying
    return [_name(model.candidate_tower.bias), *([_name(copying.propensity)] if copying is not None else [])]


def _by_values(
    drawn: np.ndarray, learned: np.ndarray, ours: Vocabulary, theirs: Vocabulary, begin: int, end: int
) -> np.ndarray:
    """Learned rows where the older vocabulary has the value, else those that are drawn, of a run of rows."""
    if drawn.shape[1:] != learned.shape[1:]:
        return learned  # which says what differs
    rows = theirs.remap(ours)
    known = rows >= FIRST_ROW
    known[:FIRST_ROW] = True  # padding and the unknown
    rows, known = rows[begin:end], known[begin:end]
    found = drawn.copy()
    found[known] = learned[rows[known]]
    return found


def _name(weight: Any) -> str:
    """A weight's path below the model, whose own name counts up."""
    return weight.path.partition("/")[2]


def _unlike(name: str, why: str) -> str:
    return (
        f"the older model is built otherwise: weight {name!r}, {why}. Train with its settings "
        f"({SETTINGS_FILE} in its folder), or without --from."
    )
