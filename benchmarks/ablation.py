"""What each part of the model gives: `python -m benchmarks.ablation DATASET [--only NAME …] [--seed N]`.

Trains the dataset's tuned settings (configs/DATASET.yaml), then the variations of `ablations.yaml` one
after another, each in a process of its own, and lets the judge score the `val` queries. Each line is
appended to `benchmarks/results/ablation.jsonl` as soon as it is there; what is recorded already, with the
same overrides, seed and tuned settings, is not trained again, so that an interrupted list goes on. The last
line is one JSON object with the val NDCG@10 of all of them.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import judge
from benchmarks.places import ABLATION, CONFIGS, DATASETS, RESULTS, record, recorded
from benchmarks.processes import in_fresh_process
from benchmarks.report import machine, report, versions
from benchmarks.trial import run_trial
from benchmarks.variations import (
    BASE,
    Variation,
    chosen,
    is_recorded,
    left_to_do,
    load_variations,
    settings_of,
    without_seed,
)
from tfrec.config import Settings
from tfrec.errors import TfrecError

ROLE = "val"


def main(arguments: list[str] | None = None) -> None:
    """Runs, and prints one JSON object as the last line; exits with 1 where a variation failed."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="variations or whole sections")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="of all of them; default: as tuned")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of ablation.jsonl")
    options = parser.parse_args(arguments)
    judge.require_judge()
    try:
        failed = run(options)
    except TfrecError as error:
        sys.exit(f"Error: {error}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run(options: argparse.Namespace) -> list[str]:
    """Tries what is not recorded yet, and returns the names of variations that failed."""
    config = CONFIGS / f"{options.dataset}.yaml"
    overrides = [f"seed={options.seed}"]
    overrides += [f"training.epochs={options.epochs}"] if options.epochs else []
    variations = chosen(load_variations(), options.dataset, options.only)
    settings = {v.name: settings_of(config, v, overrides) for v in variations}
    base = settings[BASE.name]
    # Where a variation is what is tuned already, there is nothing to compare.
    variations = [v for v in variations if v is BASE or v.words or settings[v.name] != base]
    to_do = left_to_do(recorded(ABLATION, options.results), options.dataset, variations, base)
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        if to_do:
            judge.prepare(options.dataset, Path(scratch))
        for number, variation in enumerate(to_do, 1):
            print(f"{options.dataset} {number} of {len(to_do)}: {variation.name}", file=sys.stderr)
            try:
                line = trial(options.dataset, Path(scratch), variation, settings[variation.name], base)
            except Exception as error:
                # One that cannot be trained must not cost the night's others.
                print(f"{variation.name} failed: {type(error).__name__}: {error}", file=sys.stderr)
                failed.append(variation.name)
            else:
                record(ABLATION, line, options.results)
    _tell(options, variations, base)
    return failed


def trial(
    dataset: str, scratch: Path, variation: Variation, settings: Settings, base: Settings
) -> dict[str, Any]:
    """Trains a variation on the dataset in `scratch`, and returns its line."""
    with tempfile.TemporaryDirectory() as own:
        # Model and answers go to a folder of the variation's own, beside the shared dataset.
        folder = Path(own)
        if variation.words:
            judge.prepare(dataset, folder, words=variation.words)
        else:
            (folder / "dataset").symlink_to(scratch / "dataset", target_is_directory=True)
        quiet = not sys.stderr.isatty()
        figures = in_fresh_process(run_trial, dataset, folder, settings, ROLE, float("inf"), quiet)
    return {
        "dataset": dataset,
        "section": variation.section,
        "name": variation.name,
        "overrides": variation.set,
        "claimed": dataset not in variation.not_claimed,
        "seed": settings.seed,
        **figures,
        "base": without_seed(base),
        "machine": machine(),
        "versions": versions(),
    }


def _tell(options: argparse.Namespace, variations: list[Variation], base: Settings) -> None:
    """Prints a table to stderr, and the figures as the last line of stdout."""
    lines = recorded(ABLATION, options.results)
    found = {
        v.name: line for v in variations for line in lines if is_recorded(line, options.dataset, v, base)
    }
    table = Table("variation", "NDCG@10", "to base", "HR@10", "s an epoch", "best epoch")
    reference = found.get(BASE.name, {}).get("ndcg@10", float("nan"))
    for name, line in found.items():
        table.add_row(
            name,
            f"{line['ndcg@10']:.4f}",
            f"{line['ndcg@10'] - reference:+.4f}",
            f"{line['hr@10']:.4f}",
            f"{line['epoch_s']:.1f}",
            f"{line['best_epoch']} of {line['epochs']}",
        )
    Console(stderr=True).print(table)
    values = {name: line["ndcg@10"] for name, line in found.items()}
    report(dataset=options.dataset, role=ROLE, seed=options.seed, **{"ndcg@10": values})


if __name__ == "__main__":
    main()
