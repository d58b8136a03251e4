"""Time and memory of preparation in parts as the log grows tenfold, twice."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from matplotlib.figure import Figure

from benchmarks.generated_log import write_log

MEMORY_GIB = 6.0
GROWTH = (100, 10, 1)
SAMPLE_S = 0.1
PER_GB = 1e9


def measure(events: int, scratch: Path | None) -> list[dict[str, Any]]:
    """Returns the points, the smallest log first; the last has so many events.

    Args:
        events: of the largest log.
        scratch: a folder with room for about 150 bytes an event; None: the system's for temporary files.
    """
    points = []
    for part in GROWTH:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            print(f"generating {events // part:,} events", file=sys.stderr)
            write_log(events // part, Path(folder) / "log")
            points.append(_point(Path(folder)))
            print(f"{points[-1]}", file=sys.stderr)
    return points


def _point(folder: Path) -> dict[str, Any]:
    """Prepares the log of a folder in a process of its own, with workers of its own."""
    command = [sys.executable, "-c", "from tfrec.cli import main; main()", "prepare", str(folder / "log")]
    command += ["--user", "household_id", "--item", "product_id", "--time", "transaction_timestamp"]
    command += ["--session", "basket_id", "--unordered-sessions", "--split", "global_time"]
    command += ["--min-item-events", "20", "--out", str(folder / "dataset"), "--engine", "dask"]
    command += ["--memory", str(MEMORY_GIB)]
    begin = time.perf_counter()
    process = subprocess.Popen(command)
    peak = _Peak(process.pid)
    status = process.wait()
    seconds, peak_gb = time.perf_counter() - begin, peak.end() / PER_GB
    if status:
        sys.exit(f"`{' '.join(command)}` failed with exit code {status}; see above")
    from tfrec.schema import DatasetSchema

    counts = DatasetSchema.load(folder / "dataset").counts
    return {
        "events": counts.events,
        "users": counts.users,
        "seconds": round(seconds, 1),
        "events_per_s": round(counts.events / seconds),
        "peak_gb": round(peak_gb, 2),
    }


class _Peak:
    """The most memory that a process and all of its children hold together, without pages of files."""

    def __init__(self, pid: int) -> None:
        self._most, self._over = 0, threading.Event()
        self._watch = threading.Thread(target=self._run, args=(psutil.Process(pid),), daemon=True)
        self._watch.start()

    def end(self) -> int:
        """Returns it in bytes."""
        self._over.set()
        self._watch.join()
        return self._most

    def _run(self, process: psutil.Process) -> None:
        while not self._over.wait(SAMPLE_S):
            try:
                family = [process, *process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self._most = max(self._most, sum(map(_own_bytes, family)))


def _own_bytes(process: psutil.Process) -> int:
    """Memory of a process; pages of files belong to none. Of one that has ended 0."""
    try:
        memory = process.memory_info()
    except psutil.Error:
        return 0
    return memory.rss - memory.shared


def draw(points: Sequence[dict[str, Any]]) -> Figure:
    """Returns the plot: seconds and memory by events."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    events = [point["events"] for point in points]
    left.loglog(events, [point["seconds"] for point in points], marker="o")
    left.set_ylabel("seconds")
    right.semilogx(events, [point["peak_gb"] for point in points], marker="o")
    right.set_ylabel("peak memory of all processes, GB")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel("events")
        axes.grid(alpha=0.3)
    return figure
