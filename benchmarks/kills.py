"""kill -9 at random moments, and again: `python -m benchmarks.kills [JOB …] [--times 20]`.

Each job runs once undisturbed, which gives its time and its result. Then, so many times: it is begun anew,
and killed with all of its processes at a moment drawn between its begin and its end; what stands in its place
must be whole, or not there; the same command is run again, and must end with the same result. The log is of
Complete Journey's statistics (`benchmarks.generated_log`), the model a small one. The last line is one JSON
object: for each job how often it was killed, at which mean share of its time, how often its result stood
there already, and `same`, after how many kills the result was that of the undisturbed run.

Results are the same when all files are, byte by byte; of JSON files what is not a time; of a trained model
the weights, to the last bit.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.generated_log import write_log
from benchmarks.kill_results import Result, parts, tree, versions_of, weights
from benchmarks.report import report

EVENTS = 120_000
TFREC = (sys.executable, "-c", "from tfrec.cli import main; main()")
SMALL = ("model.dimensions=16", "model.blocks=1", "model.max_length=63", "training.epochs=4")
COLUMNS = {
    "--user": "household_id",
    "--item": "product_id",
    "--time": "transaction_timestamp",
    "--session": "basket_id",
}


class Job(NamedTuple):
    """A command whose last word is the folder that it writes.

    Attributes:
        words: of the command.
        result: what stands in the folder, which must be whole; empty: nothing does.
    """

    words: tuple[str, ...]
    result: Callable[[Path], Result]


def main() -> None:
    """Runs, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="default: all of them")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        jobs = made(folder)
        unknown = set(options.jobs) - set(jobs)
        if unknown:
            parser.error(f"no such job: {', '.join(unknown)}; there are {', '.join(jobs)}")
        found = {
            name: kill(name, jobs[name], folder, options.times, random.Random(options.seed))
            for name in options.jobs or jobs
        }
    report(jobs=found, times=options.times)
    if any(figures["same"] != options.times for figures in found.values()):
        sys.exit("a result differs from that of the undisturbed run")


def made(folder: Path) -> dict[str, Job]:
    """Makes what the jobs need, and returns them."""
    log, dataset, model = folder / "log", folder / "dataset", folder / "model"
    write_log(EVENTS, log)
    named = [word for pair in COLUMNS.items() for word in pair]
    prepare = ("prepare", str(log), *named, "--unordered-sessions", "--min-item-events", "5", "--out")
    settings = [word for text in SMALL for word in ("--set", text)]
    train = ("train", str(dataset), "--quiet", *settings, "--out")
    jobs = {
        "prepare": Job(prepare, tree),
        "prepare on dask": Job((*prepare[:-1], "--engine", "dask", "--partitions", "3", "--out"), tree),
        "train": Job(train, weights),
        "predict": Job(("predict", str(model), "--quiet", "--chunk", "8", "--out"), parts),
        "index": Job(("index", str(model), "--kind", "scann", "--out"), versions_of),
    }
    print("making a dataset and a model", file=sys.stderr)
    for words, out in ((prepare, dataset), (train, model)):
        _finish(words, out)
    return jobs


def kill(name: str, job: Job, folder: Path, times: int, lots: random.Random) -> dict[str, Any]:
    """Returns the figures of a job."""
    began = time.perf_counter()
    _finish(job.words, folder / "undisturbed" / name)
    seconds = time.perf_counter() - began
    expected = job.result(folder / "undisturbed" / name)
    same = whole = 0
    moments = []
    for number in range(times):
        out = folder / "killed" / name
        moments.append(lots.uniform(0, seconds))
        _begin_and_kill(job.words, out, moments[-1])
        there = job.result(out)
        assert all(expected.get(key) == value for key, value in there.items()), f"half a result of {name}"
        whole += there == expected
        if there != expected:
            _finish(job.words, out)
        same += job.result(out) == expected
        shutil.rmtree(out.parent)
        print(f"{name} {number + 1}/{times}: killed after {moments[-1]:.1f} s, same {same}", file=sys.stderr)
    return {
        "seconds": round(seconds, 1),
        "killed": times,
        "mean_share": round(sum(moments) / times / seconds, 2),
        "done_already": whole,
        "same": same,
    }


def _finish(words: tuple[str, ...], out: Path) -> None:
    done = subprocess.run([*TFREC, *words, str(out)], check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"`tfrec {' '.join(words)} {out}` failed: {done.stderr[-2000:]}")


def _begin_and_kill(words: tuple[str, ...], out: Path, after: float) -> None:
    """Kills the process and those that it has begun, unless it ends before."""
    process = subprocess.Popen(
        [*TFREC, *words, str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    main()
