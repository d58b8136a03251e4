"""Latency against the rate of requests that wait for nobody: the servers to their saturation and beyond."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.load import run_load
from benchmarks.server_process import server_process
from serving.rollout.load import run_open_load

SHARES = (0.25, 0.5, 0.75, 0.9, 1.2)
"""of the saturation rate"""
CALLERS = 64
CONNECTIONS = 16
"""of all callers; a server of several processes shares them out"""
TIMEOUT_S = 30.0
PERCENTS = (50, 99, 99.9)
MOST = 20_000
"""requests of one measurement"""


@dataclass(frozen=True)
class Setup:
    """A way to serve.

    Attributes:
        name: what the table calls it.
        start: begins to serve; gives host:port.
    """

    name: str
    start: Callable[[], AbstractContextManager[str]]


def setups(
    servable: Path, index: Path | None, processes: int = 1, batch_events: Sequence[int] = ()
) -> list[Setup]:
    """Returns the ways to serve a servable: embedded, and, with an index, by the retrieval server.

    Args:
        servable: servables/NAME.
        index: indexes/NAME of the same model.
        processes: more than one: servers of so many, too.
        batch_events: embedded servers whose batches have so many events at most, too.
    """
    several = [("", ("--processes", "1"))]
    if processes > 1:
        several.append((f", {processes} processes", ("--processes", str(processes))))
    found = [Setup(f"embedded{name}", partial(_one, "serve", servable, *words)) for name, words in several]
    found.append(Setup("embedded, no batches", partial(_one, "serve", servable, "--max-batch-size", "1")))
    for events in batch_events:
        limited = partial(_one, "serve", servable, "--max-batch-events", str(events))
        found.append(Setup(f"embedded, {events:,} events a batch", limited))
    if index is None:
        return found
    for name, words in several:
        words = ("--name", servable.name, *words)
        inside = partial(_one, "retrieval", index, "--servable", servable, *words)
        found.append(Setup(f"retrieval, encoder inside{name}", inside))
        found.append(Setup(f"retrieval, encoder beside{name}", partial(_two, servable, index, *words)))
    return found


def measure_open(
    setup: Setup, requests: list[bytes], pool: ProcessPoolExecutor, seconds: float
) -> dict[str, Any]:
    """Returns the saturation rate of one setup, and latencies at shares of it.

    Args:
        setup: how to serve.
        requests: serialized, of one user each, asked in turn.
        pool: of one process, for the load.
        seconds: of each measurement.
    """
    with setup.start() as target:
        callers = partial(run_load, target, requests, CALLERS, connections=CONNECTIONS)
        pool.submit(callers, 2.0).result()
        load = pool.submit(callers, seconds).result()
        if load.errors:
            raise SystemExit(f"{setup.name}: {len(load.errors)} requests failed, the first: {load.errors[0]}")
        saturation = len(load.latencies) / load.seconds
        rates = []
        for share in SHARES:
            rate = share * saturation
            count = min(max(int(rate * seconds), 1), MOST)
            at_rate = partial(
                run_open_load, target, requests, rate, count, TIMEOUT_S, connections=CONNECTIONS
            )
            found = pool.submit(at_rate).result()
            percentiles = {f"p{percent}_ms": _rounded(found.percentile_ms(percent)) for percent in PERCENTS}
            answered = round(len(found.latencies_ms) / found.seconds, 1)
            rates.append(
                {
                    "share": share,
                    "rate_per_s": round(rate, 1),
                    "answered_per_s": answered,
                    "refused": len(found.errors),
                    **percentiles,
                }
            )
    return {"setup": setup.name, "saturation_per_s": round(saturation, 1), "rates": rates}


def show(figures: list[dict[str, Any]]) -> None:
    """Prints a table to stderr."""
    columns = (
        "share",
        "rate_per_s",
        "answered_per_s",
        "refused",
        *(f"p{percent}_ms" for percent in PERCENTS),
    )
    table = Table("setup", "saturation", *columns, title="Open loop, one user a request")
    for one in figures:
        for rate in one["rates"]:
            table.add_row(
                one["setup"], f"{one['saturation_per_s']:,}", *(f"{rate[name]}" for name in columns)
            )
    Console(stderr=True, width=160).print(table)


@contextmanager
def _one(*words: str | Path) -> Iterator[str]:
    with server_process(*words) as process:
        yield process.target


@contextmanager
def _two(servable: Path, index: Path, *options: str) -> Iterator[str]:
    """An embedded server as the encoder, and the retrieval server, each in a process of its own."""
    with ExitStack() as stack:
        encoder = stack.enter_context(server_process("serve", servable))
        words = ("retrieval", index, "--encoder", encoder.target, *options)
        yield stack.enter_context(server_process(*words)).target


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
