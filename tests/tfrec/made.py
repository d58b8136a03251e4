"""A small trained model, and servables of it."""

from functools import cached_property
from pathlib import Path
from typing import Any

import tensorflow as tf

from tests.tfrec.datasets import write_dataset
from tfrec.dataset import Dataset
from tfrec.export import export
from tfrec.settings_file import load_settings
from tfrec.training import train

SETTINGS = (
    *("model.dimensions=8", "model.feed_forward=8", "model.max_length=40", "training.rows=4"),
    *("model.rules=3", "model.rule_events=2"),
    *("training.epochs=2", "training.xla=false", "loss.in_batch=16", "loss.uniform=8"),
)
K = 12


class Made:
    """A dataset, a model of it in `folder/model`, and servables of the model."""

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self.dataset = dataset
        self.folder = folder
        write_dataset(dataset, folder / "dataset")
        self.trained = train(folder / "dataset", folder / "model", load_settings(None, SETTINGS), quiet=True)

    @cached_property
    def exact(self) -> Any:
        """The exact servable in `folder/exact/1`, loaded."""
        return self.export("exact")

    def export(self, name: str, **options: Any) -> Any:
        folder = export(self.folder / "model", self.folder / name, k=K, **options)
        return tf.saved_model.load(str(folder))
