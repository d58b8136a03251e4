"""Exact answers for many users: `python -m benchmarks.prediction [--users 20000] [--items 1000000]`.

The best K of all items for each user, as `tfrec predict` finds them (`tfrec.blockwise_index`, called by
Keras `predict`), from embeddings with the shape of a trained model's; beside RecTools' rankers on the
same embeddings (`make peers`), and the machine's matrix products, measured in the same run: the share of
their peak that the search reaches. Each in a process of its own; ours with half of the users too, for the
memory. The last line is one JSON object; `--record` appends it to `benchmarks/results/prediction.jsonl`.
"""

import argparse
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.places import PEERS_PYTHON, PREDICTION, ROOT, record, require
from benchmarks.processes import in_fresh_process, run_json
from benchmarks.report import machine, report, versions

QUERIES = 256
"""Users of a step; about what 64 packed rows hold (`tfrec.batch_answers.MANY_ROWS`)."""
LEFT_OUT = 254
"""Beside the k answers, as many as `tfrec.batch_answers` fetches where sequences have 127 events."""
SIDE = 2048
"""Of the square matrices whose product is the peak."""


def main(arguments: list[str] | None = None) -> None:
    """Measures, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--model", type=Path, default=ROOT / "quickstart" / "model")
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("-k", type=int, default=50)
    parser.add_argument("--peer-users", type=int, default=2_000, help="that RecTools answers; it is slower")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args(arguments)
    require(options.model, "a trained model; `make quickstart` makes one")
    require(PEERS_PYTHON, "`make peers` creates the environment of RecTools")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # Its TensorFlow would stay in this process.
        in_fresh_process(_prepare, folder, options.model, options.items, options.users)
        half = in_fresh_process(ours, folder, options.users // 2, options.k)
        found = in_fresh_process(ours, folder, options.users, options.k)
        found["scann"] = in_fresh_process(ours, folder, options.users, options.k, True)
        words = [PEERS_PYTHON, "-m", "benchmarks.prediction_peer", folder, options.peer_users, options.k]
        peers, _ = run_json([str(word) for word in words])
        _require_same(np.load(folder / "ours.npy"), np.load(folder / "peer.npy"))
    best = max(peers, key=lambda name: peers[name])
    line = {
        "users": options.users,
        "items": options.items,
        "k": options.k,
        **found,
        "peak_mb_half_the_users": half["peak_mb"],
        "rectools_users_per_s": peers,
        "ratio_to_rectools": round(found["users_per_s"] / peers[best], 2),
    }
    if options.record:
        record(PREDICTION, {"machine": machine(), "versions": versions(), **line})
    report(**line)


def ours(folder: Path, users: int, k: int, scann: bool = False) -> dict[str, float]:
    """Answers users by Keras `predict`; the peak of matrix products is measured before and after.

    Args:
        folder: with candidates.npy and queries.npy; of ScaNN also ours.npy, the exact answers.
        users: how many of them.
        k: answers each.
        scann: search by ScaNN, as `tfrec predict --search scann` does.
    """
    import keras
    import tensorflow as tf

    from tfrec.allocation import keep_freed_memory
    from tfrec.batch_answers import without_autotuning
    from tfrec.blockwise_index import BlockwiseIndex
    from tfrec.coarse_index import scann_index

    class Search(keras.Model):
        def __init__(self, index: Any) -> None:
            super().__init__()
            self.index = index

        def predict_step(self, data: Any) -> tuple[tf.Tensor, tf.Tensor]:
            nothing = tf.zeros([tf.shape(data)[0], 1], tf.int32)
            return self.index.answer(data, nothing, None, nothing, k)

    keep_freed_memory()
    queries = np.load(folder / "queries.npy")[:users]
    candidates = tf.constant(np.load(folder / "candidates.npy"))
    model = Search(scann_index(candidates, k + LEFT_OUT) if scann else BlockwiseIndex(candidates))
    data = without_autotuning(tf.data.Dataset.from_tensor_slices(queries).batch(QUERIES))
    model.predict(data.take(1), verbose=0)
    peaks = [matrix_products()]
    began = time.perf_counter()
    rows, _ = model.predict(data, verbose=0)
    seconds = time.perf_counter() - began
    peaks.append(matrix_products())
    if scann:
        exact = np.load(folder / "ours.npy")[:users]
        return {
            "users_per_s": round(users / seconds, 1),
            "recall@10": round(same_share(rows, exact), 4),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    np.save(folder / "ours.npy", rows)
    work = 2.0 * users * model.index.candidates.shape[0] * model.index.candidates.shape[1]
    peak = statistics.mean(peaks)
    return {
        "users_per_s": round(users / seconds, 1),
        "seconds": round(seconds, 1),
        "peak_gflops": round(peak / 1e9, 1),
        "peak_share": round(work / seconds / peak, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def matrix_products(seconds: float = 3.0) -> float:
    """Operations a second of square float32 products, on all cores."""
    import tensorflow as tf

    one = tf.random.normal([SIDE, SIDE])
    product = tf.function(lambda a: tf.matmul(a, a))
    product(one)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        product(one)
        count += 1
    return 2.0 * SIDE**3 * count / (time.perf_counter() - began)


def _prepare(folder: Path, model: Path, items: int, users: int) -> None:
    """Writes candidates, their first rows no items, and as many queries as there are users."""
    from benchmarks.retrieval_points import points

    candidates, queries = points(model, items)
    # Of fewer queries than users some ask twice.
    queries = queries[np.arange(users) % len(queries)]
    np.save(folder / "candidates.npy", candidates.astype(np.float32))
    np.save(folder / "queries.npy", queries.astype(np.float32))


def _require_same(ours_: np.ndarray, peer: np.ndarray) -> None:
    """Both must find the same: of the first ten nearly all, since equal scores have no order."""
    same = same_share(ours_, peer)
    if same < 0.99:
        sys.exit(f"the answers differ: {same:.3f} of the best ten are the same")


def same_share(one: np.ndarray, other: np.ndarray) -> float:
    """Which share of the best ten both have."""
    return float(np.mean([len({*a[:10]} & {*b[:10]}) / 10 for a, b in zip(one, other, strict=False)]))


if __name__ == "__main__":
    main()
