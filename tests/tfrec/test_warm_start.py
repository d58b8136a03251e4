"""A model that begins with an older one's weights says what that one says, whatever the rows are now."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from tests.tfrec.test_model import model_of, small
from tests.tfrec.test_training import settings
from tfrec.cli.train import register
from tfrec.dataset import Dataset
from tfrec.errors import DataError, SettingsError
from tfrec.prediction import Predictor
from tfrec.schema import FIRST_ROW
from tfrec.trained import TrainedModel
from tfrec.training import train
from tfrec.vocabulary import Vocabulary
from tfrec.warm_start import begin_with

NEW = [7001, 7002]


def turned_round(dataset: Dataset, new: list[int] = NEW) -> Dataset:
    """The same events; items stand in the opposite order, behind new ones that nobody has had."""
    items = Vocabulary([*new, *dataset.items.values[::-1]])
    catalogue = dataset.catalogue.iloc[::-1]
    if new:
        first = catalogue.iloc[: len(new)].assign(item_id=new, train_count=0)
        catalogue = pd.concat([first, catalogue])
    sequences = replace(dataset.sequences, item=items.remap(dataset.items)[dataset.sequences.item])
    return replace(dataset, items=items, catalogue=catalogue.reset_index(drop=True), sequences=sequences)


def train_command(words: list[str]) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return CliRunner().invoke(app, ["train", *words])


def test_known_items_are_where_they_were(rich_dataset: Callable[..., Dataset]) -> None:
    dataset = rich_dataset()
    older = TrainedModel(model_of(dataset, small()), small(), dataset)
    changed = turned_round(dataset)
    model = model_of(changed, small("seed=9"))
    drawn = model.candidate_tower.table().numpy()
    kept = begin_with(model, changed, older)
    assert kept == (len(dataset.items.values), len(NEW))
    found, learned = model.candidate_tower.table().numpy(), older.model.candidate_tower.table().numpy()
    np.testing.assert_allclose(found[changed.items.remap(dataset.items)], learned, rtol=1e-6)
    new = changed.items.rows(NEW)
    assert (found[new, -1] != drawn[new, -1]).all()
    assert np.ptp(found[new, -1]) == 0  # the bias of items that few had
    positions = np.flatnonzero(dataset.sequences.role > 0)
    expected = dataset.items.raw(Predictor(older.model, k=3, quiet=True)(dataset, positions))
    answers = Predictor(model, k=3, quiet=True)(changed, positions)
    known = changed.items.raw(np.maximum(answers, FIRST_ROW))
    assert (known == expected).mean() > 0.9  # a new item is among the best here and there


def test_a_model_of_another_size_is_refused(rich_dataset: Callable[..., Dataset]) -> None:
    dataset = rich_dataset()
    older = TrainedModel(model_of(dataset, small()), small(), dataset)
    for other, names in (
        ("model.dimensions=16", "there"),
        ("model.copy_scores=false", "only one of the two"),
    ):
        with pytest.raises(SettingsError, match=rf"built otherwise: weight .*{names}.*settings.yaml"):
            begin_with(model_of(dataset, small(other)), dataset, older)


def test_training_goes_on_with_a_model(
    rich_dataset: Callable[..., Dataset], write_dataset: Callable[[Dataset, Path], None], tmp_path: Path
) -> None:
    write_dataset(rich_dataset(), tmp_path / "old")
    write_dataset(turned_round(rich_dataset(), []), tmp_path / "new")
    few = settings("training.epochs=6")
    first = train(tmp_path / "old", tmp_path / "first", few, quiet=True)
    # By the command, whose settings are the older model's but for those that are said.
    words = [str(tmp_path / "new"), "--out", str(tmp_path / "second"), "--from", str(tmp_path / "first")]
    still = ["training.epochs=1", "training.learning_rate=1e-9"]
    done = train_command([*words, "--quiet", *(f"--set={setting}" for setting in still)])
    assert done.exit_code == 0, repr(done.exception)
    assert "27 items were known, 0 are new" in " ".join(done.output.split())
    second = TrainedModel.load(tmp_path / "second")
    assert second.settings == settings(*still)
    assert second.training["begun_with"] == {"items": first.model.spec.items - FIRST_ROW, "new_items": 0}
    best = first.training["history"][first.training["best_epoch"] - 1]["val_ndcg@10"]
    assert second.training["history"][0]["val_ndcg@10"] == pytest.approx(best, abs=0.02)
    with pytest.raises(DataError, match="is no model"):
        train(tmp_path / "new", tmp_path / "third", few, quiet=True, begin_from=tmp_path / "old")
