"""tfrec's indexes for `benchmarks.retrieval`.

python -m benchmarks.retrieval_ours build|search FOLDER METHOD
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.retrieval_timing import Search, anonymous_mb, point, tell
from tfrec.index.building import build_index
from tfrec.index.folder import load_newest, write_index
from tfrec.index.ids import ItemIds
from tfrec.index.index import Index
from tfrec.index.info import IndexInfo, ScannSettings
from tfrec.index.scann import ScannSearch, guided
from tfrec.index.segment import Segment

METHODS = ("tfrec exact", "tfrec scann int8", "tfrec scann float32")
SEARCHED = (
    *((0.01, 100), (0.02, 200), (0.02, 400), (0.03, 600), (0.03, 1000), (0.03, 1500), (0.05, 1500)),
    *((0.05, 2500), (0.08, 2500), (0.2, 3000)),
)
"""share of the leaves, candidates whose scores are worked out again"""


def main() -> None:
    """Builds an index, or measures one that was built."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("build", "search"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("method", choices=METHODS)
    options = parser.parse_args()
    out = options.folder / options.method.replace(" ", "-")
    tell(build(options.folder, options.method, out) if options.step == "build" else search(options, out))


def build(folder: Path, method: str, out: Path) -> dict[str, Any]:
    """Writes an index of `candidates.npy`."""
    candidates = np.load(folder / "candidates.npy")
    items, dimensions = candidates.shape
    scann = None if method == "tfrec exact" else guided(items)
    if scann is not None:
        scann = scann.model_copy(update={"precision": method.rpartition(" ")[2]})
    info = IndexInfo(
        name=out.name,
        version=1,
        kind="exact" if scann is None else "scann",
        space=1,
        item_id_type="int64",
        dimensions=dimensions,
        items=items,
        scann=scann,
    )
    base = Segment(ItemIds(np.arange(items)), candidates, np.zeros(items, np.int64), np.zeros(items, bool))
    began = time.perf_counter()
    index = build_index(info, base, np.zeros((0, dimensions), np.float32))
    seconds = time.perf_counter() - began
    write_index(index, out)
    return {"build_s": round(seconds, 1)}


def search(options: argparse.Namespace, out: Path) -> list[dict[str, Any]]:
    """Measures an index at several settings of its search."""
    before = anonymous_mb()
    index = load_newest(out)
    index.search(index.base.embedding[:8], 10)
    memory = round(anonymous_mb() - before)
    facts = {"method": options.method, "memory_mb": memory}
    if index.info.scann is None:
        return [point(_search(index), options.folder, **facts, setting="")]
    found = []
    for share, reorder in SEARCHED:
        leaves = max(round(share * index.info.scann.leaves), 1)
        settings = index.info.scann.model_copy(update={"leaves_to_search": leaves, "reorder": reorder})
        setting = f"{leaves} of {settings.leaves} leaves, {reorder} again"
        found.append(point(_search(_with(index, settings)), options.folder, **facts, setting=setting))
    return found


def _with(index: Index, settings: ScannSettings) -> Index:
    structure = index.structure
    assert isinstance(structure, ScannSearch)
    parts = (index.added, index.removed, index.queries)
    return Index(index.info, index.base, structure.with_settings(settings), *parts)


def _search(index: Index) -> Search:
    pool = ThreadPoolExecutor(2)

    def run(queries: np.ndarray, k: int, threads: int) -> np.ndarray:
        parts = pool.map(lambda part: index.search(part, k)[0], np.array_split(queries, threads))
        return np.concatenate([*parts])

    return run


if __name__ == "__main__":
    main()
