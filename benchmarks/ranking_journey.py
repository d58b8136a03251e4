"""Two tasks of Complete Journey's baskets, together and each alone, all beside retrieval.

Which products of a basket will be bought again within a fortnight, and which are on promotion. The settings
are those of `configs/ranking/completejourney.yaml`; the trainings (both tasks, one, the other, none) differ
in the tasks alone. Of each task AUC (within baskets, and over all of their products), log loss and
calibration error; of each training retrieval's NDCG@10 on the events of the same baskets.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ranking_journey_data
from benchmarks.places import CONFIGS
from benchmarks.seeds import Figures, mean_of, spread
from tfrec import metrics
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.impressions import Impressions
from tfrec.prediction import Predictor
from tfrec.ranking_evaluation import list_metrics
from tfrec.ranking_metrics import calibration_error, log_loss
from tfrec.ranking_prediction import RankingPredictor
from tfrec.settings_file import load_settings
from tfrec.training import train

JOINT, NONE = "joint", "retrieval alone"
NDCG = "ndcg@10"


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Prepares, trains all, and returns the figures: by training, means over the seeds."""
    config = options.config or CONFIGS / "ranking" / f"{options.dataset}.yaml"
    settings = load_settings(config, options.overrides)
    tasks = settings.ranking.tasks
    variants = {JOINT: tasks}
    if not options.no_peers:
        variants |= {f"{name} alone": {name: task} for name, task in tasks.items()} | {NONE: {}}
    found: dict[str, list[Figures]] = {name: [] for name in variants}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ranking_journey_data.prepare(folder)
        for seed in options.seeds:
            for name, some in variants.items():
                ranking = settings.ranking.model_copy(update={"tasks": some})
                chosen = settings.model_copy(update={"seed": seed, "ranking": ranking})
                found[name].append(trial(folder, chosen, options.role))
                print(f"{name}, seed {seed}: {found[name][-1]}", file=sys.stderr)
    return {
        "dataset": options.dataset,
        "role": options.role,
        "seeds": options.seeds,
        "settings": settings.model_dump(mode="json"),
        "means": {name: mean_of(figures) for name, figures in found.items()},
        "spreads": {
            name: {key: spread([one[key] for one in figures]) for key in figures[0]}
            for name, figures in found.items()
        },
        "gains": gains({name: mean_of(figures) for name, figures in found.items()}),
    }


def trial(folder: Path, settings: Settings, role: str) -> Figures:
    """Trains, and returns the figures of each task, and retrieval's NDCG@10."""
    trained = train(folder / "dataset", folder / "model", settings, overwrite=True)
    dataset = Dataset.load(folder / "dataset").in_rows_of(trained.facts)
    positions = np.flatnonzero(dataset.sequences.is_role(role))
    answers = Predictor(trained.model, k=10)(dataset, positions)
    rank = metrics.target_rank(answers, dataset.sequences.item[positions])
    found = {NDCG: float(metrics.ndcg(rank, 10).mean()), "epochs": trained.training["epochs"]}
    if not settings.ranking.tasks:
        return found
    shown = Impressions.load(folder / "dataset", dataset)
    asked = shown.take(np.flatnonzero(shown.is_role(role)))
    probabilities = RankingPredictor(trained.model)(dataset, asked)
    for place, (name, task) in enumerate(settings.ranking.tasks.items()):
        label, probability = asked.labels[task.label], probabilities[:, place]
        of_lists = list_metrics(probability, label, asked.offsets, asked.user_id)
        found |= {f"{name}/{key}": of_lists[key] for key in ("auc", "auc_overall")}
        found[f"{name}/log_loss"] = log_loss(probability, label)
        found[f"{name}/calibration_error"] = calibration_error(probability, label)
    return found


def gains(means: dict[str, Figures]) -> Figures:
    """What learning together gives: differences of AUC to each task alone, and the ratio of NDCG@10."""
    if NONE not in means:
        return {}
    joint = means[JOINT]
    found = {
        key: round(joint[key] - alone[key], 5)
        for name, alone in means.items()
        for key in alone
        if key.endswith(("auc", "auc_overall")) and name != JOINT
    }
    return found | {f"{NDCG} ratio": round(joint[NDCG] / means[NONE][NDCG], 4)}
