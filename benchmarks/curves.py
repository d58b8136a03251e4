"""Our validation NDCG@10 against seconds of training: `python -m benchmarks.curves DATASET [--minutes M]`.

The counterpart of `benchmarks.rectools_curve`, in the same form: trains as `benchmarks.accuracy` does, then
prints a JSON line an epoch, and a last one with the best NDCG@10 on the val queries of at most `--users`
users, the seconds to it, real events and windows of sequences a second, and peak memory. Compilation is
counted as training, measuring is not. `--record` appends the lines to `benchmarks/results/curves.jsonl`.
"""

import argparse
import resource
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks import judge
from benchmarks.budget import fit_epochs
from benchmarks.curve import Curve, Point
from benchmarks.places import CONFIGS
from benchmarks.trial import Budget
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.epochs import Epochs
from tfrec.errors import TfrecError
from tfrec.packing import cut_windows
from tfrec.run import MONITOR, SECONDS
from tfrec.settings_file import load_settings
from tfrec.training import train


def main(arguments: list[str] | None = None) -> None:
    """Trains, and prints the curve."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("dataset", choices=judge.DATASETS)
    parser.add_argument("--config", type=Path, help="default: configs/DATASET.yaml")
    parser.add_argument("--seed", type=int, default=1, help="of the model, and of the users that are asked")
    parser.add_argument("--minutes", type=float, help="wall time of training; see benchmarks.accuracy")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="a setting, as a.b=c")
    parser.add_argument("--users", type=int, default=2000, help="whose val queries are asked")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args(arguments)
    judge.require_judge()
    try:
        run(options)
    except TfrecError as error:
        sys.exit(f"Error: {error}")


def run(options: argparse.Namespace) -> None:
    """Prepares, trains and tells the curve."""
    config = options.config or CONFIGS / f"{options.dataset}.yaml"
    fixed = [f"seed={options.seed}", f"training.validation_users={options.users}"]
    settings = load_settings(config, [*options.overrides, *fixed])
    budget_s = float("inf")
    with tempfile.TemporaryDirectory() as scratch:
        dataset = Path(scratch) / "dataset"
        judge.prepare(options.dataset, Path(scratch))
        if options.minutes:
            settings, budget = fit_epochs(dataset, settings, options.minutes)
            budget_s = 60 * options.minutes
            print(f"budget: {budget}", file=sys.stderr)
        trained = train(dataset, Path(scratch) / "model", settings, callbacks=[Budget(budget_s)])
        events, windows = epoch_size(Dataset.load(dataset), settings)
    curve = Curve(options.dataset, "tfrec", settings.model_dump(mode="json"), keep=options.record)
    for point in points_of(trained.training["history"], events, windows):
        curve.add(point)
    curve.end(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def epoch_size(dataset: Dataset, settings: Settings) -> tuple[int, int]:
    """Returns the events of an epoch, each a target once, and the windows that the first one is cut into."""
    sequences = Epochs(dataset, settings).sequences
    start, _ = cut_windows(sequences.offsets, settings.model.max_length + 1)
    return len(sequences.item), len(start)


def points_of(history: Iterable[Mapping[str, float]], events: int, windows: int) -> list[Point]:
    """Returns the points of a history that holds seconds and val NDCG@10."""
    points: list[Point] = []
    for epoch, entry in enumerate(history, 1):
        seconds = entry[SECONDS]
        so_far = points[-1].train_s if points else 0.0
        points.append(
            Point(epoch, so_far + seconds, events / seconds, windows / seconds, ndcg=entry[MONITOR])
        )
    return points


if __name__ == "__main__":
    main()
