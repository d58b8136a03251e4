"""Users that training never met, asked from their first event on, beside what needs no learning."""

import argparse
import functools
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import judge
from benchmarks.cold_items import hold_out
from tfrec import metrics
from tfrec.baselines import BASELINES
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.prediction import Predictor
from tfrec.queries import first_of_user
from tfrec.sequences import Sequences
from tfrec.slices import buckets
from tfrec.training import train

MOST = 32
"""Events of a user that are asked for, the first ones."""
KNOWN = (0, 1, 2, 4, 8, 16)
"""Lower bounds of the numbers of events that are known of a user when asked."""


def run(options: argparse.Namespace, folder: Path, settings: Settings) -> dict[str, object]:
    """Trains without a share of the users, and returns the figures of their first events.

    Args:
        options: dataset, and the share of users that is held out. A role there is none to choose: nothing of
            these users is trained or tuned on.
        folder: for all that is written.
        settings: of the model; `seed` draws the users, too.
    """
    change = functools.partial(only_new, share=options.share, seed=settings.seed)
    judge.prepare(options.dataset, folder, strength=False, change=change)
    trained = train(folder / "dataset", folder / "model", settings)
    queries = Dataset.load(folder / "dataset").in_rows_of(trained.facts)
    at, known = first_events(queries.sequences)
    masks = buckets(known, KNOWN)
    methods: dict[str, dict[str, dict[str, float]]] = {}
    for name, answerer in {"tfrec": Predictor(trained.model), **BASELINES}.items():
        rank = metrics.target_rank(answerer(queries, at), queries.sequences.item[at])
        methods[name] = {
            label: {
                "ndcg@10": round(float(metrics.ndcg(rank[mask], 10).mean()), 5),
                "hr@10": round(float(metrics.recall(rank[mask], 10).mean()), 5),
            }
            for label, mask in masks.items()
        }
    return {
        "held_out": len(np.unique(queries.sequences.user_of_event[at])),
        "events_known": {label: int(mask.sum()) for label, mask in masks.items()},
        "methods": methods,
    }


def only_new(events: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Returns the events with all of new users' as test, and without other users' test events.

    Args:
        events: the judge's.
        share: of the users that are new.
        seed: draws them.
    """
    new = events.user_id.isin(hold_out(events.user_id, share, seed))
    return events.assign(role=events.role.where(~new, "test"))[new | (events.role != "test")]


def first_events(sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
    """Returns places [Q] of the first test events of each user, and how many events lie before each."""
    at = np.flatnonzero(sequences.is_role("test"))
    known = at - first_of_user(sequences, at)
    return at[known < MOST], known[known < MOST]
