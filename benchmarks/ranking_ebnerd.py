"""Clicks among the articles that EB-NeRD showed: trained on part `train`, reported on part `validation`.

Beside the model of `configs/ranking/ebnerd.yaml`, in the same run: clicks of the last six hours, LightGBM on
the same statistics (`binary` and `lambdarank`), and the model without target attention.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import ranking_ebnerd_data
from benchmarks.places import CONFIGS, PEERS_PYTHON
from benchmarks.processes import run_json
from benchmarks.seeds import mean_of, spread
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.impressions import Impressions
from tfrec.ranking_evaluation import list_metrics
from tfrec.ranking_facts import chosen_statistics
from tfrec.ranking_metrics import log_loss
from tfrec.ranking_prediction import RankingPredictor
from tfrec.settings_file import load_settings
from tfrec.training import train

TASK, LABEL = "click", "click"
METRICS = ("auc", "mrr", "ndcg@5", "ndcg@10", "log_loss")
Figures = dict[str, float]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Prepares, trains all, and returns the figures."""
    config = options.config or CONFIGS / "ranking" / f"{options.dataset}.yaml"
    settings = load_settings(config, options.overrides)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ranking_ebnerd_data.prepare(folder)
        dataset = Dataset.load(folder / "dataset")
        shown = Impressions.load(folder / "dataset", dataset)
        asked = shown.take(np.flatnonzero(shown.is_role(options.role)))
        ours = [trial(folder, settings, seed, dataset, asked) for seed in options.seeds]
        peers: dict[str, Any] = {}
        if not options.no_peers:
            clicks = np.nan_to_num(asked.statistics["click_6h"])
            peers["recent clicks"] = {k: v for k, v in figures_of(clicks, asked).items() if k != "log_loss"}
            peers |= lightgbm_peers(folder, settings, shown, options.role)
            without = load_settings(config, [*options.overrides, "ranking.attention=false"])
            peers["without target attention"] = mean_of(
                [trial(folder, without, seed, dataset, asked) for seed in options.seeds]
            )
    return {
        "dataset": options.dataset,
        "role": options.role,
        "seeds": options.seeds,
        "settings": settings.model_dump(mode="json"),
        **mean_of(ours),
        "spread": {name: spread([one[name] for one in ours]) for name in METRICS},
        "peers": peers,
    }


def trial(folder: Path, settings: Settings, seed: int, dataset: Dataset, asked: Impressions) -> Figures:
    """Trains one seed, and returns its figures."""
    began = time.perf_counter()
    chosen = settings.model_copy(update={"seed": seed})
    trained = train(folder / "dataset", folder / "model", chosen, overwrite=True)
    seconds = time.perf_counter() - began
    probabilities = RankingPredictor(trained.model)(dataset, asked)[:, 0]
    found = figures_of(probabilities, asked) | {"train_s": seconds, "epochs": trained.training["epochs"]}
    print({name: round(value, 4) for name, value in found.items()}, file=sys.stderr)
    return found


def figures_of(score: np.ndarray, asked: Impressions) -> Figures:
    """The metrics of an order; the log loss means something of probabilities alone."""
    label = asked.labels[LABEL]
    found = list_metrics(score, label, asked.offsets, asked.user_id)
    return {**found, "log_loss": log_loss(score, label)}


def lightgbm_peers(folder: Path, settings: Settings, shown: Impressions, role: str) -> dict[str, Any]:
    """What LightGBM reaches with the statistics and the context that the model has."""
    features(settings, shown).to_parquet(folder / "features.parquet", index=False)
    kept = np.flatnonzero(shown.is_role(role)[shown.of_candidate])
    asked = shown.take(np.flatnonzero(shown.is_role(role)))
    found = {}
    for objective in ("binary", "lambdarank"):
        out = folder / "scores.parquet"
        module = [PEERS_PYTHON, "-m", "benchmarks.lightgbm_peer", folder / "features.parquet", out]
        said, peak_mb = run_json([*module, "--objective", objective])
        score = pd.read_parquet(out)["score"].to_numpy()[kept]
        figures = figures_of(score, asked)
        if objective != "binary":
            del figures["log_loss"]
        found[f"LightGBM {objective}"] = {**figures, **said, "peak_mb": peak_mb}
    return found


def features(settings: Settings, shown: Impressions) -> pd.DataFrame:
    """A row a candidate: statistics, context, the moment, the length of its list."""
    of = shown.of_candidate
    names = [s.name for s in chosen_statistics(settings.ranking, shown.facts)]
    columns = {name: shown.statistics[name] for name in names}
    columns |= {name: values[of] for name, values in shown.context.items()}
    columns |= {"hour": shown.time[of] // 3600 % 24, "weekday": shown.time[of] // 86400 % 7}
    columns["length"] = np.diff(shown.offsets)[of]
    return pd.DataFrame({**columns, "list": of, "role": shown.role[of], "label": shown.labels[LABEL]})
