"""FAISS and hnswlib for `benchmarks.retrieval`, run by the Python of `.venv-peers`.

.venv-peers/bin/python -m benchmarks.retrieval_peers build|search FOLDER METHOD
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.retrieval_timing import Search, anonymous_mb, point, tell

IVF_PROBES = (8, 32, 64, 128, 256, 512)
HNSW_EF = (16, 32, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072)
FAISS = {
    # Codes of 4 bits searched by SIMD, and scores worked out again in a byte a dimension.
    "faiss IVF-PQ": "IVF{leaves},PQ{pairs}x4fs,Refine(SQ8)",
    "faiss IVF SQ8": "IVF{leaves},SQ8",
    "faiss HNSW": "HNSW32",
    "faiss HNSW SQ8": "HNSW32_SQ8",
}
HNSWLIB = {"hnswlib": 16, "hnswlib 32 links": 32}
"""Links: those of its own examples, and twice as many; FAISS counts as many links twice at the bottom."""
EF_CONSTRUCTION = 200
METHODS = (*FAISS, *HNSWLIB)


def main() -> None:
    """Builds an index, or measures one that was built."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("build", "search"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("method", choices=METHODS)
    options = parser.parse_args()
    out = options.folder / options.method.replace(" ", "-")
    step = build if options.step == "build" else search
    tell(step(options.folder, options.method, out))


def build(folder: Path, method: str, out: Path) -> dict[str, Any]:
    """Writes an index of `candidates.npy`."""
    candidates = np.load(folder / "candidates.npy")
    items, dimensions = candidates.shape
    if method in HNSWLIB:
        import hnswlib

        began = time.perf_counter()
        index = hnswlib.Index("ip", dimensions)
        index.init_index(items, M=HNSWLIB[method], ef_construction=EF_CONSTRUCTION)
        index.add_items(candidates, num_threads=2)
        seconds = time.perf_counter() - began
        index.save_index(str(out))
        return {"build_s": round(seconds, 1)}
    import faiss

    faiss.omp_set_num_threads(2)
    began = time.perf_counter()
    text = FAISS[method].format(leaves=4 * int(items**0.5), pairs=-(-dimensions // 2))
    padded = _even(candidates)
    index = faiss.index_factory(padded.shape[1], text, faiss.METRIC_INNER_PRODUCT)
    index.train(padded[np.random.default_rng(0).permutation(items)[:250_000]])
    index.add(padded)
    seconds = time.perf_counter() - began
    faiss.write_index(index, str(out))
    return {"build_s": round(seconds, 1)}


def search(folder: Path, method: str, out: Path) -> list[dict[str, Any]]:
    """Measures an index at several settings of its search."""
    queries = np.load(folder / "queries.npy")
    if method in HNSWLIB:
        return _hnswlib(folder, out, queries, method)
    import faiss

    before = anonymous_mb()
    index = faiss.read_index(str(out))
    index.search(_even(queries[:8]), 10)
    memory = round(anonymous_mb() - before)
    facts = {"method": method, "memory_mb": memory}
    if "IVF" in method:
        ivf = faiss.extract_index_ivf(index)
        found = []
        for probes in IVF_PROBES:
            ivf.nprobe = probes
            if not hasattr(index, "k_factor"):
                found.append(point(_faiss(index), folder, **facts, setting=f"{probes} probes"))
                continue
            for factor in (10, 40, 160):
                index.k_factor = factor
                setting = f"{probes} probes, {factor} times as many again"
                found.append(point(_faiss(index), folder, **facts, setting=setting))
        return found
    found = []
    for ef in HNSW_EF:
        index.hnsw.efSearch = ef
        found.append(point(_faiss(index), folder, **facts, setting=f"efSearch {ef}"))
    return found


def _faiss(index: Any) -> Search:
    import faiss

    def run(queries: np.ndarray, k: int, threads: int) -> np.ndarray:
        faiss.omp_set_num_threads(threads)
        rows: np.ndarray = index.search(_even(queries), k)[1]
        return rows

    return run


def _hnswlib(folder: Path, out: Path, queries: np.ndarray, method: str) -> list[dict[str, Any]]:
    import hnswlib

    before = anonymous_mb()
    index = hnswlib.Index("ip", queries.shape[1])
    index.load_index(str(out))
    index.knn_query(queries[:8], 10, num_threads=1)
    facts = {"method": method, "memory_mb": round(anonymous_mb() - before)}
    found = []
    for ef in HNSW_EF:

        def run(queries: np.ndarray, k: int, threads: int, ef: int = ef) -> np.ndarray:
            index.set_ef(max(ef, k))
            rows: np.ndarray = index.knn_query(queries, k, num_threads=threads)[0]
            return rows

        found.append(point(run, folder, **facts, setting=f"ef {ef}"))
    return found


def _even(x: np.ndarray) -> np.ndarray:
    """With a dimension of zeros where there is an odd number: codes of FAISS are of pairs."""
    return np.pad(x, ((0, 0), (0, x.shape[1] % 2)))


if __name__ == "__main__":
    main()
