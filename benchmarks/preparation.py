"""How fast a log becomes a dataset: `python -m benchmarks.preparation [--runs N | --events N]`.

Complete Journey, from its file to a dataset folder, by `data_prep` and by the same job in Polars
(`benchmarks.preparation_polars`), which works on all cores; both must find the same users, items, sessions
and events of each role. Each run is a fresh process; its seconds begin after the imports, its memory is the
most that the process ever held (VmHWM), interpreter and libraries included. Runs alternate; the figures are
medians. The last line is one JSON object:

    ratio_to_polars   seconds beside those of Polars; at most 3 is the aim
    peak_to_raw       `peak_mb` beside the columns read, as Arrow holds them (`raw_columns_mb`); at most 8
    growth_to_raw     the same without what the process held after its imports

With `--events 100000000` it is Dask on logs of a hundredth, a tenth and all of so many events, generated with
Complete Journey's statistics (`benchmarks.generated_log`): seconds, and the most memory that all processes
together held; `growth` says how many times as long each took as the one before. Draws
`docs/images/preparation.png`.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.places import ROOT
from benchmarks.report import report

RUNS = 5
PER_MB = 1e6
WORKERS = ("data_prep", "polars")


def main() -> None:
    """Runs, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each; the figures are medians")
    parser.add_argument("--events", type=int, help="prepare generated logs in parts, up to so many")
    parser.add_argument("--scratch", type=Path, help="a folder for them; default: the system's")
    parser.add_argument("--worker", choices=(*WORKERS, "raw"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(_work(options.worker)))
    elif options.events:
        report(**_grow(options.events, options.scratch))
    else:
        report(**_compare(options.runs))


def _grow(events: int, scratch: Path | None) -> dict[str, Any]:
    """Prepares ever larger logs in parts, and draws what it took."""
    from benchmarks.preparation_scale import draw, measure

    points = measure(events, scratch)
    image = ROOT / "docs" / "images" / "preparation.png"
    draw(points).savefig(image, dpi=120)
    growth = [round(b["seconds"] / a["seconds"], 1) for a, b in itertools.pairwise(points)]
    return {"points": points, "growth": growth, "image": str(image.relative_to(ROOT))}


def _compare(runs: int) -> dict[str, Any]:
    """Lets both do the job in turns, and returns the figures."""
    raw_mb = _measure("raw")["raw_columns_mb"]
    done: dict[str, list[dict[str, Any]]] = {worker: [] for worker in WORKERS}
    for number in range(runs):
        for worker in WORKERS:
            figures = _measure(worker)
            done[worker].append(figures)
            print(
                f"run {number + 1} of {runs}: {worker} {figures['seconds']:.2f} s, "
                f"{figures['peak_mb']:.0f} MB",
                file=sys.stderr,
            )
    counts = [figures["counts"] for worker in WORKERS for figures in done[worker]]
    if any(other != counts[0] for other in counts):
        sys.exit(f"the two did not find the same: {counts}")
    ours, polars = (_medians(done[worker]) for worker in WORKERS)
    return {
        "log": "completejourney",
        "counts": counts[0],
        "runs": runs,
        "ratio_to_polars": round(ours["seconds"] / polars["seconds"], 2),
        "seconds": round(ours["seconds"], 2),
        "polars_seconds": round(polars["seconds"], 2),
        "peak_mb": round(ours["peak_mb"]),
        "polars_peak_mb": round(polars["peak_mb"]),
        "raw_columns_mb": round(raw_mb, 1),
        "peak_to_raw": round(ours["peak_mb"] / raw_mb, 2),
        "growth_to_raw": round((ours["peak_mb"] - ours["imports_mb"]) / raw_mb, 2),
    }


def _measure(worker: str) -> dict[str, Any]:
    """Returns what one fresh process says of its work."""
    command = [sys.executable, "-m", "benchmarks.preparation", "--worker", worker]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the run of {worker} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _medians(figures: list[dict[str, Any]]) -> dict[str, float]:
    return {
        name: statistics.median(run[name] for run in figures) for name in ("seconds", "peak_mb", "imports_mb")
    }


def _work(worker: str) -> dict[str, Any]:
    """Does the job in this process."""
    if worker == "raw":
        return {"raw_columns_mb": _raw_columns_mb()}
    job = _jobs()[worker]()
    imports_mb = _peak_mb()
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.perf_counter()
        counts = job(Path(scratch) / "dataset")
        seconds = time.perf_counter() - begin
    return {"seconds": seconds, "imports_mb": imports_mb, "peak_mb": _peak_mb(), "counts": counts}


def _jobs() -> dict[str, Callable[[], Callable[[Path], dict[str, int]]]]:
    """Makers of the jobs, which import what they need and nothing else."""

    def ours() -> Callable[[Path], dict[str, int]]:
        from rich.console import Console

        import data_prep

        def job(out: Path) -> dict[str, int]:
            schema = data_prep.prepare("completejourney", [], out, console=Console(quiet=True))
            return schema.counts.model_dump()

        return job

    def polars() -> Callable[[Path], dict[str, int]]:
        from benchmarks.preparation_polars import prepare

        return prepare

    return {"data_prep": ours, "polars": polars}


def _raw_columns_mb() -> float:
    """The columns that the job reads, as Arrow holds them; reading them also warms the file's cache."""
    import pyarrow.parquet as pq

    from data_prep.logs import columns_of
    from data_prep.sources.completejourney import SOURCE, data_folder

    table = pq.read_table(data_folder() / "transactions.parquet", columns=columns_of(SOURCE.defaults))
    return table.nbytes / PER_MB


def _peak_mb() -> float:
    """The most memory that this process has held (unlike `ru_maxrss`, nothing of its parent's)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / PER_MB


if __name__ == "__main__":
    main()
