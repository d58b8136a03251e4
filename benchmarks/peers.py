"""What others reach on the judge's logs: `python -m benchmarks.peers DATASET --method METHOD […]`.

Lets a shared script of `../shared/bench` answer the queries, in a process of its own: RecTools in
`.venv-peers` (`make peers`), the simple methods in this environment. The judge scores the answers. Options
that are not listed here go to the shared script as they are (`--loss gBCE --layers ligr`, `--neighbours
200`). With `--curve`, `benchmarks.rectools_curve` trains RecTools instead and stops on NDCG@10 of val
queries: one training gives the curve too. The last line is one JSON object: the judge's metrics, what the
script says of itself, wall seconds and peak memory of its process. `--record` appends it to
`benchmarks/results/peers.jsonl`, and a curve to `curves.jsonl`.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import judge
from benchmarks.places import CONFIGS, DATASETS, PEERS, PEERS_PYTHON, SHARED_BENCH, record, require
from benchmarks.processes import run_json
from benchmarks.report import machine, report, versions
from tfrec.settings_file import load_settings

RECTOOLS = "rectools"
SIMPLE = ("pop", "own", "sr", "vsknn", "vsknn+own")
RECTOOLS_SCRIPT, SIMPLE_SCRIPT = "peer_rectools.py", "peer_baselines.py"
CURVE_MODULE = "benchmarks.rectools_curve"


def main(arguments: list[str] | None = None) -> None:
    """Runs, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    # No abbreviations: `--l` must reach the shared script, or be refused by it.
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("--method", required=True, choices=(RECTOOLS, *SIMPLE))
    parser.add_argument("--minutes", type=float, help=f"wall time of training; {RECTOOLS} alone")
    parser.add_argument("--role", default="test", choices=["val", "test"], help=f"{RECTOOLS}: test alone")
    parser.add_argument("--curve", action="store_true", help=f"of val NDCG@10; {RECTOOLS} alone")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results/")
    options, passed_on = parser.parse_known_args(arguments)
    if options.method == RECTOOLS and options.role != "test":
        parser.error(f"{RECTOOLS_SCRIPT} answers test queries alone; for val see benchmarks.rectools_curve")
    if options.method != RECTOOLS and options.minutes is not None:
        parser.error(f"--minutes is for {RECTOOLS}; {options.method} does not train by the clock")
    if options.method != RECTOOLS and options.curve:
        parser.error(f"--curve is for {RECTOOLS}; {options.method} does not learn epoch by epoch")
    require(SHARED_BENCH, "the judge and its peers are expected in ../shared/bench beside the checkout")
    line = {"machine": machine(), **run(options, passed_on)}
    if options.record:
        record(PEERS, line)
    report(**line)


def run(options: argparse.Namespace, passed_on: Sequence[str]) -> dict[str, Any]:
    """Lets the peer answer and the judge score; returns the figures."""
    with tempfile.TemporaryDirectory() as scratch:
        answers = Path(scratch) / "answers.parquet"
        began = time.perf_counter()
        said, peak_mb = run_json(command(options, passed_on, answers))
        seconds = time.perf_counter() - began
        found = judge.score_file(options.dataset, answers, options.role)
    said = said.pop("settings", {}) | said
    for name in ("out", "run", "dataset", "method", "machine", "versions", "peak_mb"):
        said.pop(name, None)
    return {
        "versions": _versions(options.method),
        "dataset": options.dataset,
        "method": options.method,
        "role": options.role,
        **found,
        "peer": said,
        "seconds": round(seconds, 1),
        "peak_mb": peak_mb,
    }


def command(options: argparse.Namespace, passed_on: Sequence[str], answers: Path) -> list[str | Path]:
    """Returns the call of the program that fits the method."""
    if options.method == RECTOOLS:
        python = require(PEERS_PYTHON, "`make peers` creates the environment of RecTools")
        further = [*([] if options.minutes is None else ["--minutes", str(options.minutes)]), *passed_on]
        if not options.curve:
            return [python, SHARED_BENCH / RECTOOLS_SCRIPT, options.dataset, answers, *further]
        keep = ["--record"] if options.record else []
        # Those that our own curve asks.
        users = load_settings(CONFIGS / f"{options.dataset}.yaml").training.validation_users
        asked = ["--users", str(users)]
        return [python, "-m", CURVE_MODULE, options.dataset, "--answers", answers, *keep, *asked, *further]
    script = [sys.executable, SHARED_BENCH / SIMPLE_SCRIPT, options.dataset, options.method, answers]
    return [*script, "--role", options.role, *passed_on]


def _versions(method: str) -> dict[str, Any]:
    """The versions in the environment that the method runs in."""
    if method != RECTOOLS:
        return versions()
    ask = "import json; from benchmarks.report import versions; print(json.dumps(versions()))"
    return run_json([PEERS_PYTHON, "-c", ask])[0]


if __name__ == "__main__":
    main()
