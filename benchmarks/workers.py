"""Two processes that train one model, beside one: `python -m benchmarks.workers [DATASET] [--seeds 1 2 3]`.

Each seed is trained by `tfrec train` in one process, and by two on this machine (`--strategy
multiworker`, over gRPC on loopback) with the same batch between them; both again with sparse updates, for
which the two share the tables of items by rows; and by two that share the users as well. In one more run
of the first seed a worker is killed after the first epoch, and both are started again. The two share this
machine's cores: their seconds say what talking costs, not what a second machine gives. The last line is
one JSON object: NDCG@10 of test queries by the judge: means and spreads over seeds.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import judge
from benchmarks.places import CONFIGS, DATASETS, ROOT
from benchmarks.processes import free_addresses
from benchmarks.report import machine, report, versions
from benchmarks.seeds import mean_of, spread
from tfrec.dataset import Dataset
from tfrec.run import SECONDS
from tfrec.trained import TrainedModel

TFREC = (sys.executable, "-c", "from tfrec.cli import main; main()")
WORKERS = 2
SPARSE = "training.sparse_updates=true"
WAYS: dict[str, tuple[int, tuple[str, ...]]] = {
    "one process": (1, ()),
    "two processes": (WORKERS, ()),
    "one process, sparse updates": (1, (SPARSE,)),
    "two processes, tables shared": (WORKERS, (SPARSE,)),
    "two processes, tables and users shared": (WORKERS, (SPARSE, "training.share_users=true")),
}
LOOK_S = 0.2


def main() -> None:
    """Runs, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("dataset", nargs="?", default="beauty", choices=DATASETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--epochs", type=int, default=4, help="fewer than tuned: what differs shows early, too"
    )
    options = parser.parse_args()
    judge.require_judge()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        judge.prepare(options.dataset, folder)
        for seed in options.seeds:
            for name, (workers, changes) in WAYS.items():
                run(command(options, folder, seed, changes), workers, folder / "model")
                found[name].append(figures(options.dataset, folder, "model"))
            print(f"seed {seed}: {[values[-1] for values in found.values()]}", file=sys.stderr)
        words = command(options, folder, options.seeds[0])
        lost = run(words, WORKERS, folder / "killed", kill_after=1)
        run(words, WORKERS, folder / "killed")
        killed = figures(options.dataset, folder, "killed")
    report(
        machine=machine(),
        versions=versions(),
        dataset=options.dataset,
        seeds=options.seeds,
        epochs=options.epochs,
        means={name: mean_of(values) for name, values in found.items()},
        spreads={name: spread([one["ndcg@10"] for one in values]) for name, values in found.items()},
        killed={**killed, "seconds until the other worker ended": lost},
        undisturbed=found["two processes"][0],
    )


def command(options: argparse.Namespace, folder: Path, seed: int, changes: Sequence[str] = ()) -> list[str]:
    """The words of `tfrec train` but for the folder to write."""
    length = (f"training.epochs={options.epochs}", f"training.patience={options.epochs}")
    settings = (f"seed={seed}", *length, *changes)
    chosen = [word for setting in settings for word in ("--set", setting)]
    config = CONFIGS / f"{options.dataset}.yaml"
    return [*TFREC, "train", str(folder / "dataset"), "--quiet", "--config", str(config), *chosen]


def run(words: Sequence[str], workers: int, out: Path, kill_after: int | None = None) -> float:
    """Trains a model, or kills the last worker after so many epochs.

    Returns:
        Seconds until the others had ended, from the kill on, or from the begin.
    """
    processes = started([*words, "--overwrite", "--out", str(out)], workers)
    began = time.monotonic()
    if kill_after is not None:
        checkpoints = out.parent / f".{out.name}.training" / "checkpoints"
        while not list(checkpoints.glob(f"epoch-{kill_after:04d}")):
            if processes[0].poll() is not None:
                sys.exit("training ended before it could be killed; see above")
            time.sleep(LOOK_S)
        processes[-1].send_signal(signal.SIGKILL)
        began = time.monotonic()
    codes = [process.wait() for process in processes]
    if kill_after is None and any(codes):
        sys.exit(f"`{' '.join(words)}` failed with exit codes {codes}; see above")
    return round(time.monotonic() - began, 1)


def started(words: Sequence[str], workers: int) -> list[subprocess.Popen[bytes]]:
    """Starts one process, or several as workers of a cluster on loopback."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
    if workers == 1:
        return [subprocess.Popen(words, cwd=ROOT, env=quiet, stdout=sys.stderr)]
    found, addresses = [], free_addresses(workers)
    for index in range(workers):
        own = json.dumps({"cluster": {"worker": addresses}, "task": {"index": index}})
        surroundings = {**quiet, "TF_CONFIG": own}
        several = [*words, "--strategy", "multiworker"]
        found.append(subprocess.Popen(several, cwd=ROOT, env=surroundings, stdout=sys.stderr))
    return found


def figures(dataset: str, folder: Path, name: str) -> dict[str, Any]:
    """What the judge says of a model, and the median seconds of an epoch after the first."""
    trained = TrainedModel.load(folder / name)
    queries = Dataset.load(folder / "dataset").in_rows_of(trained.facts)
    seconds = sorted(entry[SECONDS] for entry in trained.training["history"][1:])
    found = judge.score(dataset, trained.model, queries, folder)
    return {"ndcg@10": found["ndcg@10"], "epoch_s": round(seconds[len(seconds) // 2], 1)}


if __name__ == "__main__":
    main()
