"""Items and users that training never met: `python -m benchmarks.cold_start DATASET [--seed N]`.

- Items: a share of the catalogue is held out of training, with all its events but those asked for. They are
  embedded by their features (`tfrec index --add`), and the judge's test queries that ask for one of them are
  answered by `tfrec retrieval`; see `benchmarks.cold_items`.
- Users: all events of a share of users are held out, and asked for one after another, from the first, of
  which nothing is known but the moment; see `benchmarks.cold_users`.

The last line is one JSON object with NDCG@10 and HR@10 of each method; `--record` appends it to
`benchmarks/results/cold_start.jsonl`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import cold_items, cold_users, judge
from benchmarks.places import COLD_START, CONFIGS, record
from benchmarks.report import machine, report, versions
from tfrec.errors import TfrecError
from tfrec.settings_file import load_settings

PARTS = {"items": cold_items.run, "users": cold_users.run}


def main(arguments: list[str] | None = None) -> None:
    """Runs, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument(
        "dataset", choices=["beauty", "completejourney", "ml-1m"], help="logs with item features"
    )
    parser.add_argument("--config", type=Path, help="default: configs/DATASET.yaml")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.1, help="of items and of users that is held out")
    parser.add_argument("--role", default="test", choices=["val", "test"], help="val: for tuning")
    parser.add_argument("--only", choices=PARTS, help="items or users alone")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="a setting, as a.b=c")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results/cold_start.jsonl")
    options = parser.parse_args(arguments)
    if not 0 < options.share < 1:
        parser.error(f"--share {options.share:g}: expected more than 0 and less than 1")
    judge.require_judge()
    config = options.config or CONFIGS / f"{options.dataset}.yaml"
    line = {"machine": machine(), "versions": versions(), "dataset": options.dataset}
    try:
        settings = load_settings(config, [*options.overrides, f"seed={options.seed}"])
        line |= {"role": options.role, "seed": options.seed, "share": options.share}
        line |= {"settings": settings.model_dump(mode="json")}
        for name in [options.only] if options.only else PARTS:
            with tempfile.TemporaryDirectory() as scratch:
                line[name] = PARTS[name](options, Path(scratch), settings)
            print(f"{name}: {line[name]}", file=sys.stderr)
    except TfrecError as error:
        sys.exit(f"Error: {error}")
    if options.record:
        record(COLD_START, line)
    report(**line)


if __name__ == "__main__":
    main()
