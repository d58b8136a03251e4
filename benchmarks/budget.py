"""How many epochs fit into a time: the rate falls along a cosine to the last epoch, so it must be known."""

import math
import time
from pathlib import Path
from typing import Any

from benchmarks.clock import StepClock
from benchmarks.processes import in_fresh_process
from tfrec.building import build_model, compile_model
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.epochs import Epochs
from tfrec.feeding import batches_of
from tfrec.prediction import Predictor
from tfrec.validation import validation_positions

STEPS = 12
WARM_UP = 4
"""Steps before the clock starts: the first one compiles, the next ones have batches waiting."""


def fit_epochs(dataset: Path, settings: Settings, minutes: float) -> tuple[Settings, dict[str, Any]]:
    """Returns the settings with as many epochs as fit, never more than they ask for, and the measurements.

    A process of its own builds the model and takes a few steps. An epoch is taken to last as long
    as its steps and one validation; building and compiling are paid for once. What is measured here
    is not part of the budget.
    """
    begin_s, epoch_s = in_fresh_process(measure, dataset, settings)
    fitting = epochs_within(minutes, begin_s, epoch_s, settings.training.epochs)
    chosen = settings.model_copy(
        update={"training": settings.training.model_copy(update={"epochs": fitting})}
    )
    return chosen, {
        "minutes": minutes,
        "epochs_asked": settings.training.epochs,
        "epochs_fitting": fitting,
        "begin_s": round(begin_s, 1),
        "epoch_s": round(epoch_s, 2),
    }


def epochs_within(minutes: float, begin_s: float, epoch_s: float, most: int) -> int:
    """Returns how many epochs end within the minutes: at least one, at most `most`."""
    return max(1, min(most, math.floor((60 * minutes - begin_s) / epoch_s)))


def measure(folder: Path, settings: Settings) -> tuple[float, float]:
    """Returns the seconds before the first epoch, compilation included, and the seconds of an epoch."""
    began = time.perf_counter()
    dataset = Dataset.load(folder)
    epochs = Epochs(dataset, settings)
    model = build_model(dataset, settings, epochs)
    compile_model(model, settings, epochs.steps)
    clock = StepClock()
    steps = min(STEPS, epochs.steps)
    model.fit(batches_of(epochs, 0, 1), steps_per_epoch=steps, shuffle=False, callbacks=[clock], verbose=0)
    begin_s = clock.ends[0] - began
    skipped = min(WARM_UP, steps - 1)
    step_s = (clock.ends[-1] - clock.ends[skipped]) / max(steps - 1 - skipped, 1)
    predictor = Predictor(model, k=10, quiet=True)
    positions = validation_positions(dataset, settings)
    validated = time.perf_counter()
    if len(positions):
        predictor(dataset, positions)
    return begin_s, epochs.steps * step_s + time.perf_counter() - validated
