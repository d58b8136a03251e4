"""Memory by the size of the catalogue: `python -m benchmarks.catalogue [SIZE …]`, default 10⁵, 10⁶, 10⁷.

A log in which every item comes once or more is made and prepared; then, each in a process of its own, a
model of 64 dimensions takes some training steps (tables and optimizer whole, no rules), once with dense
updates and once of the rows that a step meets (`training.sparse_updates`); two workers take them that share
the tables' rows; its exact servable answers a request. Beside the peaks stands the arithmetic: an item's
numbers, times how often they are held. What does not fit into the memory that is free is not trained
(null). The last line is one JSON object.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import data_prep
from benchmarks.memory import peak_mb
from benchmarks.processes import free_addresses, in_fresh_process, in_fresh_processes
from benchmarks.report import machine, report, versions
from data_prep import PrepareOptions
from data_prep.sizes import free_memory
from tfrec.config import Settings
from tfrec.distribution.cluster import TF_CONFIG
from tfrec.settings_file import load_settings

if TYPE_CHECKING:
    from tfrec.dataset import Dataset
    from tfrec.distribution.workers import Workers
    from tfrec.epochs import Epochs

SIZES = (100_000, 1_000_000, 10_000_000)
EVENTS_A_USER = 50
BEGIN_S, GAP_S = 1_600_000_000, 600
SETTINGS = ("model.rules=0", "training.rows=8", "training.epochs=1", "training.average=0")
WAYS = {"training": (), "training_sparse": ("training.sparse_updates=true",)}
STEPS = 6
MB = 2**20
ROW = 64 + 1 + 1
"""Numbers of an item that are learned: embedding, bias, propensity to be repeated."""
WORKERS = 2
HELD = {"training": 8, "training_sparse": 3, "training_together": 3 / WORKERS, "serving": 2}
"""Training: weights, two moments, the gradient, that clipped, and three of AdamW within a step; of rows alone
the first three; together each worker half of these. Serving: what is read of the file, and the table."""
ROOM_MB = 6 * 1024
"""Free beside the tables: events, libraries, and other work of the machine."""


def main() -> None:
    """Runs, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    options = parser.parse_args()
    found = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            line: dict[str, Any] = {"items": size, "prepare": in_fresh_process(prepared, folder, size)}
            for name, way in WAYS.items():
                fits = (arithmetic_mb(name, size) + ROOM_MB) * MB < free_memory()
                line[name] = in_fresh_process(trained, folder, STEPS if fits else 0, way)
            fits = WORKERS * (arithmetic_mb("training_together", size) + ROOM_MB) * MB < free_memory()
            if fits:
                addresses = free_addresses(WORKERS)
                line["training_together"] = in_fresh_processes(
                    trained_together, folder, STEPS, addresses, count=WORKERS
                )
            line["serving"] = in_fresh_process(served, folder)
            line["arithmetic_mb"] = {name: round(arithmetic_mb(name, size)) for name in HELD}
        print(line, file=sys.stderr)
        found.append(line)
    report(machine=machine(), versions=versions(), sizes=found)


def arithmetic_mb(name: str, size: int) -> float:
    """What the tables take."""
    return size * ROW * 4 * HELD[name] / MB


def prepared(folder: Path, size: int) -> dict[str, Any]:
    """Makes `folder/dataset`, whose catalogue has so many items."""
    random = np.random.default_rng(0)
    item = random.permutation(np.append(np.arange(size), random.integers(0, size, size // 10)))
    place = np.arange(len(item))
    log = pd.DataFrame(
        {
            "user_id": place // EVENTS_A_USER,
            "item_id": item,
            "timestamp": BEGIN_S + place % EVENTS_A_USER * GAP_S,
        }
    )
    log.to_parquet(folder / "log.parquet", index=False)
    began = time.perf_counter()
    chosen = PrepareOptions.model_validate({"split": "none", "time_unit": "s"})
    data_prep.prepare("log", [folder / "log.parquet"], folder / "dataset", chosen, engine="pandas")
    return {"s": round(time.perf_counter() - began, 1), "peak_mb": peak_mb()}


def trained(folder: Path, steps: int, way: Sequence[str]) -> dict[str, Any] | None:
    """Takes so many steps with further settings, and saves the model for `served`; None of no step."""
    from tfrec.building import build_model
    from tfrec.dataset import Dataset
    from tfrec.distribution.workers import Workers
    from tfrec.epochs import Epochs
    from tfrec.trained import TrainedModel

    dataset, settings = Dataset.load(folder / "dataset"), load_settings(None, [*SETTINGS, *way])
    before, figures = peak_mb(), None
    epochs = Epochs(dataset, settings)
    if steps:
        model, figures = stepped(dataset, settings, epochs, steps, Workers())
    else:
        model = build_model(dataset, settings, epochs)
    (folder / "model").mkdir(exist_ok=True)
    TrainedModel(model=model, settings=settings, facts=dataset).save(folder / "model")
    return None if figures is None else {**figures, "before_mb": before}


def trained_together(folder: Path, steps: int, addresses: Sequence[str], index: int) -> dict[str, Any]:
    """Takes so many steps as one of several workers."""
    os.environ[TF_CONFIG] = json.dumps({"cluster": {"worker": addresses}, "task": {"index": index}})
    from tfrec.dataset import Dataset
    from tfrec.distribution.workers import workers_of
    from tfrec.epochs import Epochs

    workers = workers_of("multiworker")
    settings = load_settings(None, [*SETTINGS, *WAYS["training_sparse"]])
    dataset, before = Dataset.load(folder / "dataset"), peak_mb()
    _, figures = stepped(dataset, settings, Epochs(dataset, settings), steps, workers)
    return {**figures, "before_mb": before}


def stepped(
    dataset: "Dataset", settings: Settings, epochs: "Epochs", steps: int, workers: "Workers"
) -> tuple[Any, dict[str, Any]]:
    """Returns a model after so many steps, the seconds of one and the peak memory."""
    from benchmarks.clock import StepClock
    from tfrec.building import ready_model
    from tfrec.feeding import batches_of

    model, *_ = ready_model(dataset, settings, epochs, workers)
    clock = StepClock()
    data = batches_of(epochs, 0, 1, workers)
    model.fit(data, steps_per_epoch=steps, shuffle=False, callbacks=[clock], verbose=0)
    # The first compiles.
    step_s = statistics.median(np.diff(clock.ends))
    return model, {"step_s": round(float(step_s), 3), "peak_mb": peak_mb()}


def served(folder: Path) -> dict[str, Any]:
    """Answers one request by the exact servable, in the process that has loaded it."""
    import tensorflow as tf

    in_fresh_process(exported, folder)
    (version,) = (folder / "servables").iterdir()
    before = peak_mb()
    loaded = tf.saved_model.load(str(version))
    recommend = loaded.signatures["recommend"]
    inputs = recommend.structured_input_signature[1]
    recommend(**{name: tf.zeros([n or 1 for n in spec.shape], spec.dtype) for name, spec in inputs.items()})
    size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    return {"peak_mb": peak_mb(), "before_mb": before, "files_mb": round(size / MB)}


def exported(folder: Path) -> None:
    """Writes the exact servable of the model."""
    from tfrec.export import export

    export(folder / "model", folder / "servables")


if __name__ == "__main__":
    main()
