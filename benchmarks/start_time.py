"""How soon `tfrec retrieval` listens: `python -m benchmarks.start_time [--index FOLDER]`.

Starts the server again and again with an encoder that is elsewhere, so without TensorFlow, and takes the
seconds from the start of the process until it listens: Python's own start, imports, the index with its
checksums. By default the indexes are made up: exact search over 10,000 and 100,000 items of 64 dimensions.
The last line of stdout is JSON, medians in seconds.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.report import report
from benchmarks.server_process import server_process
from tfrec.index.building import build_index
from tfrec.index.folder import write_index
from tfrec.index.ids import ItemIds
from tfrec.index.info import IndexInfo
from tfrec.index.segment import Segment
from tfrec.progress import track

SIZES = (10_000, 100_000)
DIMENSIONS = 65
NOBODY = "localhost:1"
"""An encoder that does not answer."""


def main(arguments: list[str] | None = None) -> None:
    """Measures, and prints one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--index", type=Path, action="append", help="indexes/NAME; more than one may be named"
    )
    parser.add_argument("--runs", type=int, default=7, help="starts of each, after one that is not counted")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folders = options.index or [made_up(Path(scratch) / f"{size}-items", size) for size in SIZES]
        found: dict[str, list[float]] = {folder.name: [] for folder in folders}
        for run in track(range(options.runs + 1), "starts", options.runs + 1):
            for folder in folders:
                seconds = start(folder)
                if run:
                    found[folder.name].append(seconds)
    report(
        seconds={name: round(statistics.median(values), 3) for name, values in found.items()},
        slowest={name: round(max(values), 3) for name, values in found.items()},
        runs=options.runs,
    )


def start(index: Path) -> float:
    """Seconds until a server of an index listens."""
    began = time.perf_counter()
    with server_process("retrieval", index, "--encoder", NOBODY, "--fallback", "popular"):
        return time.perf_counter() - began


def made_up(out: Path, items: int) -> Path:
    """An exact index of random embeddings."""
    embedding = np.random.default_rng(0).normal(size=(items, DIMENSIONS)).astype(np.float32)
    base = Segment(ItemIds(np.arange(items)), embedding, np.ones(items, np.int64), np.zeros(items, bool))
    info = IndexInfo(
        name=out.name,
        version=1,
        kind="exact",
        space=1,
        item_id_type="int64",
        dimensions=DIMENSIONS,
        items=items,
    )
    write_index(build_index(info, base, np.zeros((0, DIMENSIONS), np.float32)), out)
    return out


if __name__ == "__main__":
    main()
