"""The judge of `../shared/bench`: its events as a dataset of ours, our answers as figures of its."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import data_prep
from benchmarks.logs import EVENTS, enrich
from data_prep import PrepareOptions
from data_prep.sources import SOURCES
from tfrec.dataset import Dataset
from tfrec.evaluation import answers_frame
from tfrec.model import TwoTowerModel
from tfrec.prediction import Predictor
from tfrec.schema import DatasetSchema

JUDGE = Path(__file__).resolve().parents[2] / "shared" / "bench" / "judge.py"
DATASETS = ("ebnerd", "ml-1m", "beauty", "completejourney")

# What a log is and its events file cannot say: a basket of Complete Journey has no inner order.
KNOWN = {"completejourney": {"ordered_sessions": False, "repeats": "across_sessions"}}


def require_judge() -> None:
    """Ends the program where the judge is not beside the checkout."""
    if not JUDGE.exists():
        sys.exit("the judge is not here: expected ../shared/bench/judge.py beside the checkout")


def prepare(
    dataset: str,
    folder: Path,
    *,
    strength: bool = True,
    words: Sequence[str] = (),
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda events: events,
    **options: Any,
) -> DatasetSchema:
    """Lets the judge split a log into `folder/events.parquet`, and makes it `folder/dataset`.

    Args:
        dataset: the judge's name of the log.
        folder: to write to.
        strength: whether events carry what the log knows of their strength.
        words: columns of items, text whose words become a feature.
        change: what is left of the judge's events, or other roles of them.
        options: of `data_prep.PrepareOptions`, besides.
    """
    split(dataset, folder)
    known = KNOWN.get(dataset, {}) | enrich(dataset, folder, strength) | options
    if words:
        known["features"] = known["features"] | dict.fromkeys(words, "words")
    change(pd.read_parquet(folder / EVENTS)).to_parquet(folder / EVENTS, index=False)
    chosen = PrepareOptions.model_validate(SOURCES["judge"].defaults.model_dump() | known)
    return data_prep.prepare("judge", [folder / EVENTS], folder / "dataset", chosen, overwrite=True)


def split(dataset: str, folder: Path) -> None:
    """Lets the judge write `folder/events.parquet`."""
    subprocess.run([sys.executable, str(JUDGE), "split", dataset, str(folder)], check=True, stdout=sys.stderr)


def score(
    dataset: str, model: TwoTowerModel, queries: Dataset, folder: Path, role: str = "test"
) -> dict[str, float]:
    """Lets a model answer the queries of a role, and returns what the judge says of it.

    Args:
        dataset: the judge's name of the log.
        model: trained.
        queries: in the rows of the model's vocabularies.
        folder: for the file of answers.
        role: "test" or "val".
    """
    return score_predictor(dataset, Predictor(model), queries, folder, role)


def score_predictor(
    dataset: str, predictor: Predictor, queries: Dataset, folder: Path, role: str
) -> dict[str, float]:
    """As `score`, of answers of one's own."""
    at = np.flatnonzero(queries.sequences.is_role(role))
    path = folder / "answers.parquet"
    answers_frame(queries, at, predictor(queries, at)).to_parquet(path, index=False)
    return score_file(dataset, path, role)


def score_file(dataset: str, answers: Path, role: str) -> dict[str, float]:
    """Returns what the judge says of a file of answers; ends the program where it refuses them."""
    command = [sys.executable, str(JUDGE), "score", dataset, str(answers), "--role", role]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the judge refuses the answers: {done.stderr[-1000:]}")
    return json.loads(done.stdout)
