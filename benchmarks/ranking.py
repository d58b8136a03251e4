"""How well candidates are ranked: `python -m benchmarks.ranking DATASET [--seeds 1 2 3]`.

- `ebnerd`: clicks among articles shown, beside recent clicks, LightGBM (`make peers`) and the model without
  target attention; see `benchmarks.ranking_ebnerd`.
- `completejourney`: two tasks learned together, beside each alone and retrieval alone; see
  `benchmarks.ranking_journey`.

The last line is one JSON object: means over the seeds, with their spread. `--record` appends it to
`benchmarks/results/ranking.jsonl`.
"""

import argparse
import sys
from pathlib import Path

from benchmarks import ranking_ebnerd, ranking_journey
from benchmarks.places import PEERS_PYTHON, RANKING, record, require
from benchmarks.report import machine, report, versions
from tfrec.errors import TfrecError

RUNS = {"ebnerd": ranking_ebnerd.run, "completejourney": ranking_journey.run}


def main(arguments: list[str] | None = None) -> None:
    """Runs, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("dataset", choices=RUNS)
    parser.add_argument("--config", type=Path, help="default: configs/ranking/DATASET.yaml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="a setting, as a.b=c")
    parser.add_argument("--role", default="test", choices=["val", "test"], help="val: for tuning")
    parser.add_argument("--no-peers", action="store_true", help="our model alone, with all its tasks")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results/ranking.jsonl")
    options = parser.parse_args(arguments)
    if options.dataset == "ebnerd" and not options.no_peers:
        require(PEERS_PYTHON, "`make peers` creates the environment of LightGBM")
    try:
        figures = RUNS[options.dataset](options)
    except TfrecError as error:
        sys.exit(f"Error: {error}")
    line = {"machine": machine(), "versions": versions(), **figures}
    if options.record:
        record(RANKING, line)
    report(**line)


if __name__ == "__main__":
    main()
