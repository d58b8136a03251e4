"""Search among a million candidates beside its peers: `python -m benchmarks.retrieval --model MODEL`.

Candidates and queries have the shape of a trained model's (benchmarks/retrieval_points.py). Each method
builds its index, and another process loads and measures it: recall@10 and @100 against exact search, queries
a second with 1 and 2 threads (the fastest of five rounds), the memory that is no map of a file. FAISS and
hnswlib run in `.venv-peers` (`make peers`). The last line is one JSON object with all points, the best of
each method at recall@10 ≥ 0.95, and `ratio_to_best_peer`. `--record` appends it to
benchmarks/results/retrieval.jsonl and draws docs/images/retrieval.png.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.places import PEERS_PYTHON, RETRIEVAL, ROOT, record, require
from benchmarks.processes import in_fresh_process, run_json
from benchmarks.report import machine, report, versions
from benchmarks.retrieval_ours import METHODS as OURS
from benchmarks.retrieval_peers import HNSWLIB
from benchmarks.retrieval_peers import METHODS as PEERS
from benchmarks.retrieval_plot import draw
from benchmarks.retrieval_points import points
from tfrec.evaluation_plots import DPI
from tfrec.index.exact import ExactSearch

RECALL = 0.95
EXACT = "tfrec exact"
Point = dict[str, Any]


def main(arguments: list[str] | None = None) -> None:
    """Measures, shows a table, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--model", type=Path, default=ROOT / "quickstart" / "model")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", default=[*OURS, *PEERS], choices=[*OURS, *PEERS])
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args(arguments)
    require(options.model, "a trained model; `make quickstart` makes one")
    require(PEERS_PYTHON, "`make peers` creates the environment of the peers")
    methods = [method for method in options.only if method not in HNSWLIB or has_hnswlib()]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # In a process of its own: its TensorFlow would stay.
        in_fresh_process(prepare, folder, options.model, options.items)
        found: list[Point] = []
        for method in methods:
            print(f"{method} …", file=sys.stderr)
            found += measure(method, folder)
    show(found)
    line = {"items": options.items, "points": found, **summary(found)}
    if options.record:
        record(RETRIEVAL, {"machine": machine(), "versions": versions(), **line})
        draw(found, RECALL).savefig(ROOT / "docs" / "images" / "retrieval.png", dpi=DPI)
    report(**line)


def has_hnswlib() -> bool:
    """Whether it is there: it has to be compiled."""
    tried = subprocess.run([PEERS_PYTHON, "-c", "import hnswlib"], capture_output=True, check=False)
    if tried.returncode:
        print("hnswlib is not in .venv-peers, so it is left out; `make peers` says why", file=sys.stderr)
    return not tried.returncode


def prepare(folder: Path, model: Path, items: int) -> None:
    """Writes candidates, queries and the 100 best of each."""
    candidates, queries = points(model, items)
    queries = queries[:1000]
    np.save(folder / "candidates.npy", candidates)
    np.save(folder / "queries.npy", queries)
    np.save(folder / "truth.npy", ExactSearch(candidates).search(queries, 100)[0])


def measure(method: str, folder: Path) -> list[Point]:
    """Builds and measures one method, each in a process of its own."""
    python, module = (
        (sys.executable, "retrieval_ours") if method in OURS else (PEERS_PYTHON, "retrieval_peers")
    )
    words = [python, "-m", f"benchmarks.{module}"]
    built, _ = run_json([*words, "build", folder, method])
    found, _ = run_json([*words, "search", folder, method])
    return [{**one, **built} for one in found]  # type: ignore[dict-item]


def summary(found: list[Point]) -> dict[str, Any]:
    """Returns the fastest of each method that reaches the recall, and our best beside the best peer."""
    best: dict[str, Point] = {}
    for one in found:
        known = best.get(one["method"])
        if one["recall@10"] >= RECALL and (known is None or one["qps"] > known["qps"]):
            best[one["method"]] = one
    exact = next((one["memory_mb"] for one in found if one["method"] == EXACT), None)
    small = [
        one
        for method, one in best.items()
        if method in OURS and (exact is None or one["memory_mb"] <= 0.4 * exact)
    ]
    peers = [one for method, one in best.items() if method in PEERS]
    ratio = None
    if small and peers:
        ratio = round(max(one["qps"] for one in small) / max(one["qps"] for one in peers), 3)
    return {"at_recall": RECALL, "best": [*best.values()], "exact_mb": exact, "ratio_to_best_peer": ratio}


def show(found: list[Point]) -> None:
    """Prints a table to stderr."""
    columns = ("method", "setting", "recall@10", "recall@100", "qps", "qps_2_threads", "memory_mb", "build_s")
    table = Table(*columns)
    for one in found:
        table.add_row(*(str(one[name]) for name in columns))
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
