"""Hours of steady work: `python -m benchmarks.soak --minutes 30 --servable FOLDER [--index FOLDER]`.

The embedded server, or with `--index` the retrieval server with the servable in its process, is first asked
as fast as it answers, and then at half of that rate, by requests that do not wait for each other's answers.
Meanwhile newer versions of the servable and of the index appear in turn, copies of what was given, and the
server's resident memory is read each second. The last line of stdout is JSON. The command fails where a
request failed, a version was not taken up, or memory grows by more than a twentieth in the second half.
"""

import argparse
import contextlib
import itertools
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import psutil

from benchmarks.load import run_load
from benchmarks.report import report
from benchmarks.requests import random_inputs, to_request
from benchmarks.server_process import server_process
from benchmarks.soak_versions import Copies, index_copies, servable_copies
from serving.loading import load_servable
from serving.rollout.load import OpenLoad, run_open_load
from tfrec.progress import track

MOST_GROWTH = 0.05
DISTINCT = 16
CALLERS = 16
POLL_S = 1.0
TIMEOUT_S = 30.0
AT = (0.1, 0.5, 1.0)

Samples = Sequence[tuple[float, float]]


def main(arguments: list[str] | None = None) -> None:
    """Soaks, and prints the figures as the last line of stdout; exits with 1 where they are not good."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--servable", type=Path, help="servables/NAME; a synthetic one by default")
    parser.add_argument("--index", type=Path, help="indexes/NAME of the same model: the retrieval server")
    parser.add_argument("--switch-s", type=float, default=20.0, help="seconds between newer versions")
    parser.add_argument("--saturate-s", type=float, default=10.0, help="seconds of the search for the rate")
    options = parser.parse_args(arguments)
    if options.index and not options.servable:
        parser.error("--index needs the --servable that embeds its queries")
    with tempfile.TemporaryDirectory() as place:
        figures = soak(Path(place), options)
    report(**figures)
    complaints = judge(figures)
    if complaints:
        print("; ".join(complaints), file=sys.stderr)
        sys.exit(1)


def soak(place: Path, options: Any) -> dict[str, Any]:
    """Runs a server, the load and the changes; the figures."""
    servable = servable_copies(place / "servables", options.servable or _synthetic(place))
    copies: list[Copies] = [servable]
    words: list[str | Path] = ["serve", servable.folder]
    if options.index:
        index = index_copies(place / "indexes", options.index)
        copies.append(index)
        words = ["retrieval", index.folder, "--servable", servable.folder, "--name", servable.folder.name]
    loaded = load_servable(servable.newest)
    requests = [to_request(loaded, random_inputs(loaded, 1, seed)) for seed in range(DISTINCT)]
    metrics_port = _free_port()
    words += ["--poll-interval-s", str(POLL_S), "--metrics-port", str(metrics_port)]
    with (
        server_process(*words) as server,
        ProcessPoolExecutor(1, get_context("spawn")) as pool,
    ):
        run = pool.submit(run_load, server.target, requests, CALLERS, options.saturate_s).result()
        rate = len(run.latencies) / run.seconds / 2
        count = max(1, round(rate * options.minutes * 60))
        began = time.perf_counter()
        load = pool.submit(run_open_load, server.target, requests, rate, count, TIMEOUT_S)
        seen = watch(load, server.pid, copies, options.switch_s, options.minutes * 60)
        samples = [(moment - began, held) for moment, held in seen]
        rejected = _rejected(metrics_port)
        return figures(load.result(), samples) | {
            "servable": servable.folder.name,
            "saturation_per_s": round(2 * rate, 1),
            "switches": {one.kind: one.made for one in copies},
            "not_taken": rejected,
        }


def watch(
    load: "Future[OpenLoad]", pid: int, copies: Sequence[Copies], switch_s: float, seconds: float
) -> list[tuple[float, float]]:
    """Moments and resident memory in MB, each second until the load has ended; versions appear meanwhile."""
    process = psutil.Process(pid)
    began = time.perf_counter()
    turns = itertools.cycle(copies)
    samples, due = [], switch_s
    for _ in track(_seconds(load), "seconds", round(seconds)):
        now = time.perf_counter()
        samples.append((now, process.memory_info().rss / 2**20))
        if now - began >= due:
            next(turns).make_newer()
            due += switch_s
    return samples


def _seconds(load: "Future[OpenLoad]") -> Iterator[int]:
    """1, 2, 3 … as the seconds go by, while the load runs."""
    for second in itertools.count(1):
        with contextlib.suppress(TimeoutError):
            load.exception(timeout=1)
        if load.done():
            return
        yield second


def figures(load: OpenLoad, samples: Samples) -> dict[str, Any]:
    """What came of a run.

    Args:
        load: that ran.
        samples: seconds since its begin, and MB.
    """
    slope, growth = second_half(samples)
    return {
        "requests": load.requests,
        "failed": len(load.errors),
        "first_failure": load.errors[0] if load.errors else None,
        "rate_per_s": round(load.rate, 1),
        "seconds": round(load.seconds, 1),
        "p50_ms": _rounded(load.percentile_ms(50)),
        "p99_ms": _rounded(load.percentile_ms(99)),
        "rss_mb": {f"{share:.0%}": round(held_at(samples, share), 1) for share in AT},
        "slope_mb_per_hour": round(slope, 1),
        "growth_in_second_half": round(growth, 4),
    }


def held_at(samples: Samples, share: float) -> float:
    """MB at a share of the time: the median of the twentieth before it, for versions that load pass by."""
    last = max(1, round(share * len(samples)))
    first = max(0, last - max(1, len(samples) // 20))
    return float(np.median([held for _, held in samples[first:last]]))


def second_half(samples: Samples) -> tuple[float, float]:
    """The line through the second half by least squares: MB an hour, and its growth as a share."""
    moments, held = np.array(samples[len(samples) // 2 :]).T
    slope, start = np.polyfit(moments - moments[0], held, 1)
    return float(slope * 3600), float(slope * (moments[-1] - moments[0]) / start)


def judge(figures: dict[str, Any]) -> list[str]:
    """What is not as it should be."""
    complaints = []
    if figures["failed"]:
        complaints.append(f"{figures['failed']} requests failed, the first: {figures['first_failure']}")
    if figures["not_taken"]:
        complaints.append(f"{figures['not_taken']:.0f} versions were not taken up; the server's log says why")
    if figures["growth_in_second_half"] > MOST_GROWTH:
        grown = figures["growth_in_second_half"]
        complaints.append(
            f"memory grew by {grown:.1%} in the second half, at most {MOST_GROWTH:.0%} is allowed"
        )
    return complaints


def _rejected(port: int) -> float:
    with urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        lines = page.read().decode().splitlines()
    counts = [line for line in lines if line.startswith("tfrec_versions_rejected_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in counts)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _synthetic(place: Path) -> Path:
    from benchmarks.synthetic import save_version
    from benchmarks.synthetic_transformer import TransformerModule

    return save_version(TransformerModule(), place / "given" / "synthetic").parent


if __name__ == "__main__":
    main()
