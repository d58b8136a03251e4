"""What the embedded server makes of a servable's speed: `python -m benchmarks.serving --servable FOLDER`.

For 1 and 64 users a request, at concurrency 1, 8 and 64: requests and users a second and latencies over
gRPC on loopback, beside direct calls of the same SavedModel with as many users a call in one process.
Servers, load generator and direct calls are processes on the same cores; direct calls and load take
turns, and the ratio is the median over the rounds, so that other work on the machine meets both alike.

Then requests of one user that wait for nobody, at shares of the rate that 64 callers reach: the embedded
server with and without batches and, with `--index`, the retrieval server with the encoder in its process and
beside it.
"""

import argparse
import contextlib
import functools
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.load import run_load
from benchmarks.open_loop import CONNECTIONS, measure_open, setups, show
from benchmarks.report import report
from benchmarks.requests import random_inputs, to_request
from benchmarks.server_process import serving
from serving.loading import Servable, load_servable
from serving.tensors import Array
from tfrec.errors import DataError
from tfrec.progress import track

USERS = (1, 64)
CONCURRENCY = (1, 8, 64)
DISTINCT = 8
QUICKSTART = Path("quickstart/servables/exact")
ENQUEUED = 2 * max(USERS) * max(CONCURRENCY)
"""Room for all callers: what is measured is work, not refusals."""


@dataclass(frozen=True)
class Case:
    """A number of users a request, and of callers."""

    users: int
    concurrency: int


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints a table to stderr, and the figures as the last line of stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--servable",
        type=Path,
        default=QUICKSTART if QUICKSTART.is_dir() else None,
        help="servables/NAME; by default the quickstart's exact one, or else a synthetic one",
    )
    parser.add_argument("--index", type=Path, help="indexes/NAME of the same model: the retrieval server too")
    parser.add_argument("--events", type=int, help="of each sequence; by default all that the servable reads")
    parser.add_argument(
        "--processes", type=int, default=1, help="in the open loop: servers of so many processes, too"
    )
    parser.add_argument(
        "--max-batch-events",
        type=int,
        nargs="+",
        default=[],
        help="in the open loop: servers whose batches have so many events at most, too",
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each case")
    options = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        version = _newest(options.servable) if options.servable else _synthetic(place)
        servable = load_servable(version)
        target = stack.enter_context(serving(version.parent, "--max-enqueued", str(ENQUEUED)))
        pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
        cases = [Case(users, concurrency) for users in USERS for concurrency in CONCURRENCY]
        work = track(cases, "cases", len(cases))
        figures = [measure(servable, target, case, pool, options) for case in work]
        one = [
            to_request(servable, random_inputs(servable, 1, seed, options.events)) for seed in range(DISTINCT)
        ]
        ways = setups(version.parent, options.index, options.processes, options.max_batch_events)
        loads = [
            measure_open(setup, one, pool, options.seconds) for setup in track(ways, "open loop", len(ways))
        ]
    _print_table(figures)
    show(loads)
    report(
        servable=servable.info.name,
        retrieval=servable.info.retrieval,
        items=servable.info.items,
        events=options.events or servable.info.max_length,
        cases=figures,
        open_loop=loads,
    )


def measure(
    servable: Servable, target: str, case: Case, pool: ProcessPoolExecutor, options: Any
) -> dict[str, Any]:
    """One row of figures."""
    inputs = [random_inputs(servable, case.users, seed, options.events) for seed in range(DISTINCT)]
    requests = [to_request(servable, tensors) for tensors in inputs]
    loads, directs = [], []
    # The first load is not counted: it opens what both sides keep open.
    load_for = functools.partial(
        run_load, target, requests, case.concurrency, connections=min(case.concurrency, CONNECTIONS)
    )
    pool.submit(load_for, 1.0).result()
    for _ in range(options.rounds):
        directs.append(direct(servable, inputs, options.seconds))
        load = pool.submit(load_for, options.seconds).result()
        if load.errors:
            raise SystemExit(f"{len(load.errors)} requests failed, the first: {load.errors[0]}")
        loads.append(load)
    rates = [len(load.latencies) / load.seconds for load in loads]
    latencies = np.concatenate([load.latencies for load in loads]) * 1e3
    return {
        "users_per_request": case.users,
        "concurrency": case.concurrency,
        "requests": sum(len(load.latencies) for load in loads),
        "requests_per_s": round(statistics.median(rates), 1),
        "users_per_s": round(statistics.median(rates) * case.users, 1),
        "p50_ms": round(float(np.percentile(latencies, 50)), 2),
        "p99_ms": round(float(np.percentile(latencies, 99)), 2),
        "direct_users_per_s": round(statistics.median(directs), 1),
        "ratio_to_direct": round(
            statistics.median(
                rate * case.users / direct for rate, direct in zip(rates, directs, strict=True)
            ),
            3,
        ),
    }


def direct(servable: Servable, inputs: list[dict[str, Array]], seconds: float) -> float:
    """Users a second of calls one after the other, arrays in and out."""
    users = len(inputs[0]["length"])
    servable.run("recommend", inputs[0])
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        servable.run("recommend", inputs[calls % len(inputs)])
        calls += 1
    return calls * users / (time.perf_counter() - began)


def _newest(folder: Path) -> Path:
    """The newest version in a servable's folder."""
    versions = [path for path in folder.glob("*") if path.name.isdigit()]
    if not versions:
        raise DataError(f"{folder} holds no version. `tfrec export` writes one; name the folder above it.")
    return max(versions, key=lambda path: int(path.name))


def _synthetic(folder: Path) -> Path:
    from benchmarks.synthetic import save_version
    from benchmarks.synthetic_transformer import TransformerModule

    return save_version(TransformerModule(), folder / "synthetic")


def _print_table(figures: list[dict[str, Any]]) -> None:
    table = Table(title="The embedded server over gRPC, beside direct calls")
    for column in figures[0]:
        table.add_column(column.replace("_", " "), justify="right")
    for row in figures:
        table.add_row(*(f"{value:,}" for value in row.values()))
    Console(stderr=True, width=160).print(table)


if __name__ == "__main__":
    main()
