"""Memory of workers that share the users: `python -m benchmarks.portions [--events 10000000]`.

A log of Complete Journey's statistics (`benchmarks.generated_log`) is prepared. Then one process reads
it, makes an epoch of it and takes the first batches, and two processes do so that read their own users
alone (`training.share_users`). The last line is one JSON object: the peak memory of each, and before it
read anything.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.generated_log import COLUMNS, write_log
from benchmarks.memory import peak_mb
from benchmarks.processes import free_addresses, in_fresh_process, in_fresh_processes
from benchmarks.report import machine, report, versions
from data_prep import PrepareOptions, prepare
from tfrec.distribution.cluster import TF_CONFIG
from tfrec.settings_file import load_settings

WORKERS = 2
BATCHES = 3
SETTINGS = ("training.share_users=true", "model.rules=20")


def main() -> None:
    """Runs, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--events", type=int, default=10_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        in_fresh_process(prepared, folder, options.events)
        found = {
            f"{count} processes": in_fresh_processes(read, folder, free_addresses(count), count=count)
            for count in (1, WORKERS)
        }
    print(found, file=sys.stderr)
    report(machine=machine(), versions=versions(), events=options.events, **found)


def prepared(folder: Path, events: int) -> None:
    """Makes `folder/dataset`."""
    write_log(events, folder / "log")
    user, item, time, session = COLUMNS
    chosen = {"user": user, "item": item, "time": time, "session": session, "ordered_sessions": False}
    options = PrepareOptions.model_validate(chosen)
    prepare("log", [folder / "log"], folder / "dataset", options, engine="pandas")


def read(folder: Path, addresses: Sequence[str], index: int) -> dict[str, Any]:
    """Takes a worker's first batches, of a cluster or alone."""
    os.environ[TF_CONFIG] = json.dumps({"cluster": {"worker": addresses}, "task": {"index": index}})
    from tfrec.distribution.portions import read_portions
    from tfrec.distribution.summing import parts_of_the_log
    from tfrec.distribution.workers import workers_of
    from tfrec.epochs import Epochs
    from tfrec.rules import count_rules

    workers, settings = workers_of("multiworker"), load_settings(None, SETTINGS)
    before, others = peak_mb(), parts_of_the_log(settings, workers)
    own, asked = read_portions(folder / "dataset", settings, others.index, others.parts)
    epochs = Epochs(own, settings, others=others)
    events = len(own.sequences.item)
    del own, asked
    for _ in itertools.islice(epochs.batches(0, workers.shares, workers.replicas), BATCHES):
        pass
    batches = peak_mb()
    count_rules(epochs.sequences, epochs.items, settings.model.rules, 8, ordered=False, others=others)
    return {"events": events, "before_mb": before, "epoch_mb": batches, "rules_mb": peak_mb()}


if __name__ == "__main__":
    main()
