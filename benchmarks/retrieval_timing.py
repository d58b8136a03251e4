"""Recall and queries a second of a search; NumPy alone, since the peers have an environment of their own."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Search = Callable[[np.ndarray, int, int], np.ndarray]
"""(queries [Q, D], answers k, threads) -> rows [Q, k]"""

LEAST_S = 0.3
ROUNDS = 5
THREADS = (1, 2)


def point(search: Search, folder: Path, **facts: Any) -> dict[str, Any]:
    """Returns recall@10 and @100 and queries a second of one setting, with facts beside.

    Of several rounds the fastest counts: other work on the machine only slows. All queries are given at once.

    Args:
        search: of one setting.
        folder: has `queries.npy` and `truth.npy` [Q, 100].
        facts: about the setting.
    """
    queries, truth = np.load(folder / "queries.npy"), np.load(folder / "truth.npy")
    found = {k: share(search(queries, k, 1), truth[:, :k]) for k in (10, 100)}
    qps = {threads: queries_per_s(search, queries, threads) for threads in THREADS}
    return {
        **facts,
        "recall@10": round(found[10], 4),
        "recall@100": round(found[100], 4),
        "qps": round(qps[1]),
        "qps_2_threads": round(qps[2]),
    }


def queries_per_s(search: Search, queries: np.ndarray, threads: int) -> float:
    """Returns how many queries a second a search answers with 10 items, in the fastest of the rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        done, began = 0, time.perf_counter()
        while time.perf_counter() - began < LEAST_S:
            search(queries, 10, threads)
            done += len(queries)
        best = max(best, done / (time.perf_counter() - began))
    return best


def share(found: np.ndarray, truth: np.ndarray) -> float:
    """Returns the share of the true rows [Q, k] that are among the found ones."""
    hits = [len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True)]
    return float(np.mean(hits)) / truth.shape[1]


def anonymous_mb() -> float:
    """Returns the memory of this process that is no map of a file, in MB."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no RssAnon: memory is read on Linux alone")


def tell(found: Any) -> None:
    """Prints what a program has found as its last line."""
    print(json.dumps(found), flush=True)
