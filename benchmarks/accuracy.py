"""How accurate the model is, by the judge: `python -m benchmarks.accuracy DATASET [--seed N] [--minutes M]`.

The judge of `../shared/bench` splits the log; the model trains on `train` rows, tunes and stops on `val`
rows, answers the `test` queries, and the judge scores the answers. The last line is one JSON object: the
judge's metrics under their names, NDCG@10 by slice, seconds of each step, of every epoch its seconds and its
NDCG@10 on val queries, parameters and peak memory. `--record` appends it to
`benchmarks/results/accuracy.jsonl`.

`--minutes` bounds the wall time of training, validation included. The learning rate falls along a cosine
to the last epoch, so the epochs are fitted to the time before: a few steps are taken first, in a process of
their own, and `training.epochs` is lowered to what fits (it is never raised); the line says so under
`budget`. Should epochs then last longer than measured, training ends before the one that would go beyond.
Early stopping holds as it does without.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import judge
from benchmarks.budget import fit_epochs
from benchmarks.places import ACCURACY, CONFIGS, record
from benchmarks.report import machine, report, versions
from benchmarks.trial import run_trial
from tfrec.errors import TfrecError
from tfrec.settings_file import load_settings


def main(arguments: list[str] | None = None) -> None:
    """Runs, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("dataset", choices=judge.DATASETS)
    parser.add_argument("--config", type=Path, help="default: configs/DATASET.yaml")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="wall time of training; default: as the epochs last")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="a setting, as a.b=c")
    parser.add_argument("--role", default="test", choices=["val", "test"], help="val: for tuning")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results/accuracy.jsonl")
    options = parser.parse_args(arguments)
    if options.minutes is not None and options.minutes <= 0:
        parser.error(f"--minutes {options.minutes:g}: expected more than 0")
    judge.require_judge()
    try:
        figures = run(options)
    except TfrecError as error:
        sys.exit(f"Error: {error}")
    if options.record:
        record(ACCURACY, {"machine": machine(), "versions": versions(), **figures})
    report(**figures)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Prepares, trains and answers; returns the figures."""
    config = options.config or CONFIGS / f"{options.dataset}.yaml"
    settings = load_settings(config, [*options.overrides, f"seed={options.seed}"])
    with tempfile.TemporaryDirectory() as scratch:
        folder, began = Path(scratch), time.perf_counter()
        judge.prepare(options.dataset, folder)
        prepare_s = time.perf_counter() - began
        budget, budget_s = None, float("inf")
        if options.minutes:
            settings, budget = fit_epochs(folder / "dataset", settings, options.minutes)
            budget_s = 60 * options.minutes
            print(f"budget: {budget}", file=sys.stderr)
        figures = run_trial(options.dataset, folder, settings, options.role, budget_s)
    return {
        "dataset": options.dataset,
        "role": options.role,
        "seed": settings.seed,
        "settings": settings.model_dump(mode="json"),
        "budget": budget,
        "prepare_s": round(prepare_s, 1),
        **figures,
    }


if __name__ == "__main__":
    main()
