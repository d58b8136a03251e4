"""How fast we train, beside RecTools: `python -m benchmarks.training_speed [--steps N] [--rounds R]`.

RecTools' SASRec settings (64 dimensions, 2 blocks, 2 heads, batches of 128 user sequences): ml-1m with length
200 and full softmax, beauty with length 50 and 256 negatives. Ours does the same work on the same train rows
(`benchmarks.speed_cases` says how), with as many packed rows a step as 128 sequences fill. By turns, never at
once: a process of ours, one of RecTools, one of our tuned model (configs/DATASET.yaml) with all that it has.

An event counts as often as it stands in a sequence that is trained with; padding does not count. The first
steps, which compile and fill caches, are not measured; cutting and packing our epochs is, by its share.
Figures are medians over the rounds, the ratio is the median of each round's. The peak of the machine is the
best float32 matrix product of the run (`benchmarks.flops` counts what of ours is useful). The last line is
JSON with `ml-1m` and `beauty`.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import judge
from benchmarks.flops import peak_flops
from benchmarks.places import CONFIGS, PEERS_PYTHON, SPEED, record, require
from benchmarks.processes import in_fresh_process, run_json
from benchmarks.report import machine, report, versions
from benchmarks.speed_cases import BATCH, CASES, Case

Figures = dict[str, Any]


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints a table to stderr, and the figures as the last line of stdout."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--datasets", nargs="+", default=[*CASES], choices=[*CASES])
    parser.add_argument("--steps", type=int, default=20, help="measured steps of each process")
    parser.add_argument("--warm-up", type=int, default=5, help="steps before, which are not measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="append to results/training_speed.jsonl")
    options = parser.parse_args(arguments)
    if min(options.steps, options.warm_up, options.rounds) < 1:
        parser.error("--steps, --warm-up and --rounds must be at least 1")
    require(PEERS_PYTHON, "`make peers` creates the environment of RecTools")
    judge.require_judge()
    found = {name: compare(CASES[name], options) for name in options.datasets}
    _print_table(found)
    line = {"steps": options.steps, "rounds": options.rounds, "batch": BATCH, **found}
    if options.record:
        record(SPEED, {"machine": machine(), "versions": versions(), **line})
    report(**line)


def compare(case: Case, options: argparse.Namespace) -> Figures:
    """Trains by turns, and returns the figures of a dataset."""
    steps = ["--steps", str(options.steps), "--warm-up", str(options.warm_up)]
    python, rectools_worker = sys.executable, "benchmarks.rectools_speed"
    rounds: list[dict[str, Figures]] = []
    peaks = []
    with tempfile.TemporaryDirectory() as scratch:
        judge.prepare(case.dataset, Path(scratch))
        ours: list[str | Path] = [python, "-m", "benchmarks.speed_ours", Path(scratch) / "dataset", *steps]
        plain = [word for setting in case.ours() for word in ("--set", setting)]
        commands: dict[str, list[str | Path]] = {
            "ours": [*ours, "--sequences", str(BATCH), *plain],
            "rectools": [PEERS_PYTHON, "-m", rectools_worker, *case.rectools(), *steps],
            "tuned": [*ours, "--config", CONFIGS / f"{case.dataset}.yaml"],
        }
        for number in range(options.rounds):
            peaks.append(in_fresh_process(peak_flops))
            rounds.append({})
            for name, command in commands.items():
                print(f"{case.dataset}, round {number + 1} of {options.rounds}: {name}", file=sys.stderr)
                rounds[-1][name] = run_json(command)[0]
    return summary(rounds, max(peaks))


def summary(rounds: list[dict[str, Figures]], peak: float) -> Figures:
    """Returns medians over the rounds.

    Args:
        rounds: what the workers said, by "ours", "rectools" and "tuned".
        peak: float32 operations a second of the best matrix product.
    """

    def median(name: str, value: Any) -> float:
        return statistics.median(value(found[name]) for found in rounds)

    def epoch_s(name: str) -> float:
        return round(median(name, seconds_an_epoch), 2)

    def most_mb(name: str) -> int:
        return max(found[name]["peak_mb"] for found in rounds)

    ratios = [events_per_s(found["ours"]) / events_per_s(found["rectools"]) for found in rounds]
    return {
        "ours_events_per_s": round(median("ours", events_per_s)),
        "rectools_events_per_s": round(median("rectools", events_per_s)),
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "tuned_events_per_s": round(median("tuned", events_per_s)),
        "ours_epoch_s": epoch_s("ours"),
        "rectools_epoch_s": epoch_s("rectools"),
        "tuned_epoch_s": epoch_s("tuned"),
        "peak_gflops": round(peak / 1e9, 1),
        "ours_useful_gflops": round(median("ours", useful_flops) / 1e9, 2),
        "peak_share": round(median("ours", useful_flops) / peak, 4),
        "peak_mb": most_mb("ours"),
        "rectools_peak_mb": most_mb("rectools"),
        "tuned_peak_mb": most_mb("tuned"),
    }


def seconds_measured(found: Figures) -> float:
    """Returns the seconds of the measured steps, with their share of packing an epoch."""
    return found["seconds"] + found.get("pack_s", 0.0) * found["steps"] / found["steps_an_epoch"]


def events_per_s(found: Figures) -> float:
    """Returns real events a second."""
    return found["events"] / seconds_measured(found)


def useful_flops(found: Figures) -> float:
    """Returns useful operations a second."""
    return found["flops"] / seconds_measured(found)


def seconds_an_epoch(found: Figures) -> float:
    """Returns how long an epoch of such steps lasts."""
    return seconds_measured(found) / found["steps"] * found["steps_an_epoch"]


def _print_table(found: dict[str, Figures]) -> None:
    table = Table("dataset", "", "events/s", "s an epoch", "peak MB")
    for dataset, figures in found.items():
        for name in ("ours", "rectools", "tuned"):
            memory = figures["peak_mb" if name == "ours" else f"{name}_peak_mb"]
            speed, seconds = figures[f"{name}_events_per_s"], figures[f"{name}_epoch_s"]
            table.add_row(dataset, name, f"{speed:,}", f"{seconds:,}", f"{memory:,}")
        share = f"{figures['peak_share']:.1%} of {figures['peak_gflops']} GFLOP/s"
        table.add_row(dataset, "ratio", f"{figures['ratio']}", share, "", end_section=True)
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
