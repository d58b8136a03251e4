"""Checkpoints of a training run: whole or not there, and everything that the next step depends on."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from pydantic import BaseModel, ConfigDict

from tfrec.errors import DataError

VARIABLES_FILE = "variables.npz"
BEST_FILE = "best.npz"
STATE_FILE = "state.json"
ANEW = "Say --restart to begin anew."


class RunState(BaseModel):
    """Where a run stands after an epoch.

    Attributes:
        epoch: how many epochs are done.
        best: the best validation metric so far; None before the first.
        best_epoch: the epoch (from 1) that had it.
        history: what was logged, an entry an epoch.
    """

    model_config = ConfigDict(extra="forbid")

    epoch: int = 0
    best: float | None = None
    best_epoch: int = 0
    history: list[dict[str, float]] = []


class Checkpoints:
    """The newest checkpoint in a folder; an older one goes when a newer is whole.

    Args:
        folder: `epoch-NNNN/` folders are kept here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def newest(self) -> Path | None:
        """Returns the newest whole checkpoint."""
        found = sorted(self.folder.glob("epoch-*"))
        return found[-1] if found else None

    def save(self, state: RunState, variables: Sequence[Any], best: Sequence[np.ndarray]) -> None:
        """Writes a checkpoint, then removes those before it.

        Args:
            state: where the run stands.
            variables: of the model and the optimizer.
            best: the model's weights at the best epoch.
        """
        self.begun(state)
        self.finish(state, variables, best)

    def partial(self, state: RunState) -> Path:
        """Returns where a checkpoint is written before it has its name."""
        return self.folder / f".epoch-{state.epoch:04d}.partial"

    def begun(self, state: RunState) -> Path:
        """Returns an empty folder for a checkpoint, to be finished."""
        partial = self.partial(state)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        return partial

    def finish(self, state: RunState, variables: Sequence[Any], best: Sequence[np.ndarray]) -> None:
        """Writes what `save` is given, gives the checkpoint its name, and removes those before it."""
        partial, target = self.partial(state), self.folder / f"epoch-{state.epoch:04d}"
        numbers = [keras.ops.convert_to_numpy(variable) for variable in variables]
        for file, arrays in ((VARIABLES_FILE, numbers), (BEST_FILE, best)):
            self.write(partial / file, {f"arr_{place}": array for place, array in enumerate(arrays)})
        (partial / STATE_FILE).write_text(state.model_dump_json(), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        for old in self.folder.glob("epoch-*"):
            if old != target:
                shutil.rmtree(old, ignore_errors=True)

    def load(self, variables: Sequence[Any]) -> tuple[RunState, list[np.ndarray]] | None:
        """Sets the variables to the newest checkpoint, and returns its state and best weights.

        Raises:
            DataError: the checkpoint does not fit the model.
        """
        path = self.newest()
        if path is None:
            return None
        try:
            state = RunState.model_validate(json.loads((path / STATE_FILE).read_text(encoding="utf-8")))
            arrays = _load_arrays(path / VARIABLES_FILE)
            best = _load_arrays(path / BEST_FILE)
        except (OSError, ValueError) as error:
            raise DataError(
                f"the checkpoint {path} cannot be read: {error}. Say --restart to begin anew."
            ) from error
        if [a.shape for a in arrays] != [tuple(v.shape) for v in variables]:
            raise DataError(f"the checkpoint {path} is of another model. {ANEW}")
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
        return state, best

    def give_best(self, model: keras.Model, best: Sequence[np.ndarray]) -> None:
        """Sets a whole model, built like the run's, to the best weights of the run."""
        for weight, value in zip(model.weights, best, strict=True):
            weight.assign(value)

    def write(self, path: Path, arrays: Mapping[str, Any]) -> None:
        """Writes arrays by their names, down to the disk."""
        with path.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())


def _load_arrays(path: Path) -> list[np.ndarray]:
    with np.load(path) as saved:
        return [saved[f"arr_{i}"] for i in range(len(saved.files))]
