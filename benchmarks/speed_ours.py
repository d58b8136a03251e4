"""Steps of a training of ours, for `benchmarks.training_speed`, which calls it in a process of its own.

The last line is one JSON object: real events, useful operations and seconds of the measured steps, steps an
epoch, events of an epoch, the seconds that cutting and packing an epoch takes, and peak memory.
"""

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.clock import StepClock
from benchmarks.flops import Shape, step_flops, window_places
from benchmarks.memory import peak_mb
from tfrec.allocation import keep_freed_memory
from tfrec.building import build_model, compile_model
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.epochs import Epochs
from tfrec.feeding import batches_of
from tfrec.model import TwoTowerModel
from tfrec.packing import cut_windows
from tfrec.schema import FIRST_ROW
from tfrec.settings_file import load_settings


def main() -> None:
    """Trains the steps, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a dataset")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--sequences", type=int, help="user sequences a step; default: rows as set")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=5, help="steps before, which are not measured")
    options = parser.parse_args()
    keep_freed_memory()  # as `tfrec train` does
    dataset = Dataset.load(options.folder)
    settings = load_settings(options.config, options.overrides)
    if settings.ranking.tasks:
        raise SystemExit("the operations of ranking are not counted: leave it out, --set ranking.tasks={}")
    if options.sequences:
        settings = with_rows(settings, dataset, options.sequences)
    print(json.dumps(measure(dataset, settings, options.steps, options.warm_up)))


def with_rows(settings: Settings, dataset: Dataset, sequences: int) -> Settings:
    """Returns the settings with as many rows a step as so many windows of mean length fill."""
    train = Epochs(dataset, settings).sequences
    start, _ = cut_windows(train.offsets, settings.model.max_length + 1)
    rows = max(1, round(sequences * len(train.item) / len(start) / settings.row_length))
    return settings.model_copy(update={"training": settings.training.model_copy(update={"rows": rows})})


def measure(dataset: Dataset, settings: Settings, steps: int, warm_up: int) -> dict[str, Any]:
    """Trains `warm_up` steps, then the measured ones."""
    epochs = Epochs(dataset, settings)
    model = build_model(dataset, settings, epochs)
    compile_model(model, settings, epochs.steps)
    began = time.perf_counter()
    next(iter(epochs.batches(1)))
    pack_s = time.perf_counter() - began
    count = min(warm_up + steps, epochs.steps)
    clock = StepClock()
    model.fit(batches_of(epochs, 0, 1), steps_per_epoch=count, shuffle=False, callbacks=[clock], verbose=0)
    peak = peak_mb()
    shape = shape_of(model, settings)
    events = flops = 0
    for inputs, wanted in itertools.islice(epochs.batches(0), warm_up, count):
        events += int(wanted["weight"].sum())
        flops += step_flops(window_places(inputs["segment"]), shape)
    return {
        "events": events,
        "flops": flops,
        "seconds": clock.ends[-1] - clock.ends[warm_up - 1],
        "steps": count - warm_up,
        "steps_an_epoch": epochs.steps,
        "events_an_epoch": len(epochs.sequences.item),
        "pack_s": pack_s,
        "rows": settings.training.rows,
        "row_length": settings.row_length,
        "peak_mb": peak,
    }


def shape_of(model: TwoTowerModel, settings: Settings) -> Shape:
    """Returns what the multiply-adds of a model depend on."""
    sampled = settings.loss.in_batch + settings.loss.uniform
    return Shape(
        dimensions=settings.model.dimensions,
        blocks=settings.model.blocks,
        feed_forward=settings.model.feed_forward,
        candidates=model.spec.items - FIRST_ROW if model.spec.full_softmax else sampled,
    )


if __name__ == "__main__":
    main()
