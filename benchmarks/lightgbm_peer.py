"""LightGBM on the statistics of candidates: what an engineer would try first.

    .venv-peers/bin/python -m benchmarks.lightgbm_peer FEATURES.parquet OUT.parquet --objective lambdarank

FEATURES.parquet has a row a candidate: `list`, `role` (0 train, 1 val, 2 test), `label`, and features. Learns
from role 0, stops on role 1, tries a few sizes of trees and keeps the one that is best on role 1, and writes
the `score` of every row (a probability with the objective `binary`). The last line is a JSON object of what
it chose.
"""

import argparse
import json
import time

import lightgbm
import numpy as np
import pandas as pd

LEAVES = (15, 31, 63)
TREES, PATIENCE = 2000, 60
FIXED = {
    "learning_rate": 0.05,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5,
    "verbose": -1,
}
METRICS = {"binary": "binary_logloss", "lambdarank": "ndcg"}


def main() -> None:
    """Learns, and writes the scores."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("features")
    parser.add_argument("out")
    parser.add_argument("--objective", choices=sorted(METRICS), required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    began = time.perf_counter()
    frame = pd.read_parquet(options.features)
    boosters = {leaves: learn(frame, leaves, options) for leaves in LEAVES}
    sign = 1 if METRICS[options.objective] == "ndcg" else -1
    found = {leaves: best_score(booster) for leaves, booster in boosters.items()}
    leaves = max(LEAVES, key=lambda size: sign * found[size])
    score = boosters[leaves].predict(inputs(frame))
    pd.DataFrame({"score": np.asarray(score)}).to_parquet(options.out, index=False)
    facts = {"leaves": leaves, "trees": boosters[leaves].best_iteration, "val": found[leaves]}
    versions = {"lightgbm": lightgbm.__version__}
    print(json.dumps({**facts, "seconds": round(time.perf_counter() - began, 1), "versions": versions}))


def learn(frame: pd.DataFrame, leaves: int, options: argparse.Namespace) -> lightgbm.Booster:
    """Returns the trees of one size."""
    data = [dataset(frame[frame.role == role], grouped=options.objective == "lambdarank") for role in (0, 1)]
    chosen = FIXED | {"num_leaves": leaves, "seed": options.seed, "num_threads": options.threads}
    chosen |= {"objective": options.objective, "metric": METRICS[options.objective], "eval_at": [10]}
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    return lightgbm.train(chosen, data[0], TREES, valid_sets=[data[1]], callbacks=[stop])


def dataset(frame: pd.DataFrame, *, grouped: bool) -> lightgbm.Dataset:
    """Candidates, in lists where their order is what is learned."""
    sizes = np.unique(frame["list"], return_counts=True)[1] if grouped else None
    return lightgbm.Dataset(inputs(frame), frame["label"], group=sizes)


def inputs(frame: pd.DataFrame) -> pd.DataFrame:
    """The features."""
    return frame.drop(columns=["list", "role", "label"])


def best_score(booster: lightgbm.Booster) -> float:
    """The value of the metric that stopped it."""
    return float(next(iter(booster.best_score["valid_0"].values())))


if __name__ == "__main__":
    main()
