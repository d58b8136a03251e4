"""How accurate the model is, by the judge: `python -m benchmarks.accuracy DATASET [--seed N]`.

The judge of `../shared/bench` splits the log; the model trains on `train` rows, tunes and stops on `val`
rows, answers the `test` queries, and the judge scores the answers. The last line is one JSON object: the
judge's metrics under their names, seconds of each step, epochs, parameters and peak memory. `--record`
appends it to `benchmarks/results/accuracy.jsonl`.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import judge
from benchmarks.report import machine, report, versions
from tfrec.config import load_settings
from tfrec.dataset import Dataset
from tfrec.training import train

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
RESULTS = Path(__file__).resolve().parent / "results" / "accuracy.jsonl"


def main() -> None:
    """Runs, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("dataset", choices=judge.DATASETS)
    parser.add_argument("--config", type=Path, help="default: configs/DATASET.yaml")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="a setting, as a.b=c")
    parser.add_argument("--role", default="test", choices=["val", "test"], help="val: for tuning")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    judge.require_judge()
    figures = run(options)
    if options.record:
        RESULTS.parent.mkdir(exist_ok=True)
        line = json.dumps({"machine": machine(), "versions": versions(), **figures})
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    report(**figures)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Prepares, trains and answers; returns the figures."""
    config = options.config or CONFIGS / f"{options.dataset}.yaml"
    settings = load_settings(config, [*options.overrides, f"seed={options.seed}"])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        times = [time.perf_counter()]
        judge.prepare(options.dataset, folder)
        times.append(time.perf_counter())
        trained = train(folder / "dataset", folder / "model", settings)
        times.append(time.perf_counter())
        queries = Dataset.load(folder / "dataset").in_rows_of(trained.facts)
        found = judge.score(options.dataset, trained.model, queries, folder, options.role)
        times.append(time.perf_counter())
    steps = dict(zip(("prepare_s", "train_s", "answer_s"), np.diff(times), strict=True))
    return {
        "dataset": options.dataset,
        "role": options.role,
        "settings": settings.model_dump(),
        "val_ndcg@10": [round(entry["val_ndcg@10"], 5) for entry in trained.training["history"]],
        **found,
        **{name: round(float(seconds), 1) for name, seconds in steps.items()},
        "epochs": trained.training["epochs"],
        "best_epoch": trained.training["best_epoch"],
        "parameters": trained.training["parameters"],
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


if __name__ == "__main__":
    main()
