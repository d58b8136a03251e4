"""A trained model beside the baselines, from its folder alone."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tfrec.dataset import Dataset
from tfrec.errors import DataError
from tfrec.model_evaluation import evaluate_model
from tfrec.settings_file import load_settings
from tfrec.training import train

SETTINGS = (
    "model.dimensions=8",
    "model.blocks=1",
    "model.rules=0",
    "model.feed_forward=8",
    "model.max_length=15",
    "training.epochs=1",
    "training.xla=false",
)


def test_it_finds_its_dataset_and_writes_all(
    rich_dataset: Callable[..., Dataset], write_dataset: Callable[[Dataset, Path], None], tmp_path: Path
) -> None:
    write_dataset(rich_dataset(), tmp_path / "dataset")
    train(tmp_path / "dataset", tmp_path / "model", load_settings(None, SETTINGS), quiet=True)
    out = tmp_path / "model" / "evaluation"
    evaluation = evaluate_model(tmp_path / "model", None, out, quiet=True).retrieval
    assert evaluation is not None
    assert list(evaluation.methods) == ["tfrec", "popular", "own", "sequential_rules"]
    assert {p.name for p in out.iterdir()} >= {"metrics.json", "answers"}
    # The same queries from the dataset moved elsewhere give the same figures.
    shutil.move(tmp_path / "dataset", tmp_path / "moved")
    with pytest.raises(DataError, match="Name a dataset with --dataset"):
        evaluate_model(tmp_path / "model", None, out, quiet=True)
    again = evaluate_model(tmp_path / "model", tmp_path / "moved", out, quiet=True).retrieval
    assert again is not None
    assert again.methods["tfrec"].metrics == evaluation.methods["tfrec"].metrics
    on_val = evaluate_model(tmp_path / "model", tmp_path / "moved", out, role="val", quiet=True).retrieval
    assert on_val is not None
    assert on_val.queries != evaluation.queries
