"""The benchmark of search: its points, its measures, and our side of it as it runs."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import retrieval_ours, retrieval_timing
from benchmarks.retrieval import measure, summary
from benchmarks.retrieval_plot import frontier
from benchmarks.retrieval_points import between
from benchmarks.retrieval_timing import share
from tfrec.index.exact import ExactSearch


def test_points_lie_between_neighbours() -> None:
    corners = np.repeat(np.eye(3, 4, dtype=np.float32) * 100, 20, axis=0)
    corners += np.random.default_rng(0).normal(size=corners.shape).astype(np.float32)
    found = between(corners, 500, seed=1)
    assert found.shape == (500, 4)
    # Neighbours are of one corner, so nothing lies between two.
    nearest = ((found[:, None] - np.eye(3, 4) * 100) ** 2).sum(axis=-1).min(axis=1) ** 0.5
    assert nearest.max() < 12
    assert not (found[:, None] == corners[None]).all(axis=-1).any()


def test_share_of_the_true_rows() -> None:
    assert share(np.array([[1, 2], [3, 4]]), np.array([[2, 9], [4, 3]])) == 0.75


def points(method: str, memory: int, *pairs: tuple[float, int]) -> list[dict[str, Any]]:
    return [{"method": method, "memory_mb": memory, "recall@10": r, "qps": q} for r, q in pairs]


def test_the_summary_compares_what_reaches_the_recall() -> None:
    found = [
        *points("tfrec exact", 100, (1.0, 5)),
        *points("tfrec scann int8", 40, (0.9, 900), (0.96, 500), (0.99, 300)),
        *points("tfrec scann float32", 130, (0.97, 700)),
        *points("faiss HNSW", 300, (0.94, 800), (0.951, 400)),
        *points("hnswlib", 300, (0.99, 250)),
    ]
    told = summary(found)
    assert told["ratio_to_best_peer"] == 1.25
    assert {one["method"]: one["qps"] for one in told["best"]} == {
        "tfrec exact": 5,
        "tfrec scann int8": 500,
        "tfrec scann float32": 700,
        "faiss HNSW": 400,
        "hnswlib": 250,
    }
    assert summary(found[:4])["ratio_to_best_peer"] is None


def test_the_frontier_leaves_out_what_is_beaten() -> None:
    found = frontier(points("a", 1, (0.9, 100), (0.95, 120), (0.99, 50), (0.97, 40)))
    assert [(one["recall@10"], one["qps"]) for one in found] == [(0.95, 120), (0.99, 50)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the methods search, small."""
    random = np.random.default_rng(0)
    candidates = random.normal(size=(400, 9)).astype(np.float32)
    queries = random.normal(size=(20, 9)).astype(np.float32)
    np.save(tmp_path / "candidates.npy", candidates)
    np.save(tmp_path / "queries.npy", queries)
    np.save(tmp_path / "truth.npy", ExactSearch(candidates).search(queries, 100)[0])
    return tmp_path


def test_our_side_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ".")
    (found,) = measure("tfrec exact", folder)
    columns = {"method", "setting", "recall@10", "recall@100", "memory_mb", "build_s"}
    assert columns | {"qps", "qps_2_threads"} <= {*found}
    assert found["recall@10"] == 1


def test_scann_is_measured_at_every_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval_timing, "ROUNDS", 1)
    monkeypatch.setattr(retrieval_timing, "LEAST_S", 0.0)
    method, out = "tfrec scann int8", folder / "index"
    retrieval_ours.build(folder, method, out)
    found = retrieval_ours.search(Namespace(folder=folder, method=method), out)
    assert len(found) == len(retrieval_ours.SEARCHED)
    assert max(one["recall@10"] for one in found) > 0.95


def test_the_peers_program_needs_none_of_ours() -> None:
    script = "import sys, json; import benchmarks.retrieval_peers; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"tfrec", "tensorflow", "serving"} & {name.split(".")[0] for name in json.loads(done.stdout)}
