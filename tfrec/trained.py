"""model/: a trained model with all that is needed to use it."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from tfrec.config import Settings
from tfrec.dataset import Facts
from tfrec.errors import DataError
from tfrec.model import TwoTowerModel
from tfrec.settings_file import load_settings

MODEL_FILE = "model.keras"
SETTINGS_FILE = "settings.yaml"
TRAINING_FILE = "training.json"


@dataclass(frozen=True)
class TrainedModel:
    """A model folder: `model.keras`, `settings.yaml`, `training.json`, and the facts of its dataset.

    Attributes:
        model: the towers.
        settings: of the run that trained it.
        facts: schema, vocabularies and catalogue.
        training: epochs, history, versions.
        space: a number of its own for each saved model, in whose space its embeddings live; 0: not saved.
    """

    model: TwoTowerModel
    settings: Settings
    facts: Facts
    training: dict[str, Any] = field(default_factory=dict)
    space: int = 0

    def dataset_folder(self, folder: Path) -> Path:
        """Returns where the dataset of its training lay, seen from the model folder."""
        return (Path(folder) / self.training.get("dataset", "dataset")).resolve()

    def save(self, folder: Path) -> None:
        """Writes all of it into a folder."""
        self.facts.save(folder)
        self.settings.save(folder / SETTINGS_FILE)
        (folder / TRAINING_FILE).write_text(json.dumps(self.training, indent=1), encoding="utf-8")
        self.model.save(folder / MODEL_FILE)

    @classmethod
    def load(cls, folder: Path) -> "TrainedModel":
        """Reads a model folder.

        Raises:
            DataError: a file is missing or unreadable.
        """
        folder = Path(folder)
        path = folder / MODEL_FILE
        if not path.is_file():
            raise DataError(f"{folder} is no model: it has no {MODEL_FILE}. `tfrec train` writes one.")
        try:
            model = keras.saving.load_model(path, compile=False)
            training = training_facts(folder)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path} cannot be read: {str(error)[:300]}. Train the model again.") from error
        settings = load_settings(folder / SETTINGS_FILE)
        return cls(model, settings, Facts.load(folder), training, space_of(path))


def training_facts(folder: Path) -> dict[str, Any]:
    """Returns what a model folder says of its training."""
    return json.loads((Path(folder) / TRAINING_FILE).read_text(encoding="utf-8"))


def space_of(model_file: Path) -> int:
    """Returns the number of a saved model: of its bytes, in the range of an int64, not 0."""
    with model_file.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return int.from_bytes(digest[:8]) % (2**63 - 1) + 1
