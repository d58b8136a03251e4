"""RecTools' rankers on given embeddings; runs in the peers' environment.

.venv-peers/bin/python -m benchmarks.prediction_peer FOLDER USERS K
"""

import sys
import time
from pathlib import Path

import numpy as np
from rectools.models.rank import Distance, ImplicitRanker, TorchRanker

from benchmarks.retrieval_timing import tell

FIRST_ROW = 2
"""The rows before it are no items."""


def main() -> None:
    """Prints users a second of each ranker, and keeps the answers of one."""
    folder, users, k = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    candidates = np.load(folder / "candidates.npy")[FIRST_ROW:]
    queries = np.load(folder / "queries.npy")[:users]
    rankers = {
        "TorchRanker": TorchRanker(Distance.DOT, "cpu", queries, candidates),
        "ImplicitRanker": ImplicitRanker(Distance.DOT, queries, candidates),
    }
    found = {}
    for name, ranker in rankers.items():
        began = time.perf_counter()
        _, items, _ = ranker.rank(np.arange(len(queries)), k=k)
        found[name] = round(len(queries) / (time.perf_counter() - began), 1)
    np.save(folder / "peer.npy", np.asarray(items).reshape(len(queries), k) + FIRST_ROW)
    tell(found)


if __name__ == "__main__":
    main()
