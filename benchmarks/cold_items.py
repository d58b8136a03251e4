"""Items that training never met, embedded by their features, found by the retrieval server.

Two models: one trained without them, whose index gets them by their features; and one trained with all items,
which says what they would be worth had they been there. Beside them a user's nearest items by content, which
can be had without learning.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import judge
from benchmarks.asking import Answers, asking, serve
from benchmarks.content import content_answers
from benchmarks.logs import EVENTS, ITEMS
from data_prep.new_items import read_new_items
from tfrec import metrics
from tfrec.config import Settings
from tfrec.new_items import index_new_items
from tfrec.schema import FIRST_ROW, DatasetSchema
from tfrec.training import train

K = 10
QUERIES = 2000
"""Asked at most, of each kind."""
AMONG_NEW = "new ones asked for, among new ones"
NEW, OTHERS = "new ones asked for", "others asked for"
Figures = dict[str, float]


def run(options: argparse.Namespace, folder: Path, settings: Settings) -> dict[str, object]:
    """Trains both models, asks both, and returns the figures of each kind of query by method.

    Args:
        options: dataset, role of the queries, and the share of items that is held out.
        folder: for all that is written.
        settings: of both models; `seed` draws the items, too.
    """
    whole, without = folder / "whole", folder / "without"
    held = _prepare(options, whole, without, settings.seed)
    # What a user had of new items before they were new nobody can know.
    events = pd.read_parquet(without / EVENTS)
    catalogue = np.union1d(events.item_id[events.role == "train"], held)
    random = np.random.default_rng(settings.seed)
    wanted = queries_of(events, options.role, held, catalogue, random)
    allow = {AMONG_NEW: held}
    found: dict[str, dict[str, Figures]] = {kind: {} for kind in wanted}

    def measure(method: str, answer: Callable[[np.ndarray, np.ndarray | None], Answers], *kinds: str) -> None:
        for kind in kinds:
            at = wanted[kind]
            found[kind][method] = figures(answer(at, allow.get(kind)), events.item_id.to_numpy()[at])

    train(without / "dataset", without / "model", settings)
    index = serve(without)
    with asking(without, events, K) as ask:
        measure("tfrec before they are added", ask, OTHERS)
    items = pd.read_parquet(whole / ITEMS)
    new = folder / "new.parquet"
    items[items.item_id.isin(held)].to_parquet(new, index=False)
    schema = DatasetSchema.load(without / "model")
    index_new_items(without / "model", index, read_new_items(new, schema))
    with asking(without, events, K) as ask:
        measure("tfrec, added by their features", ask, *wanted)
    train(whole / "dataset", whole / "model", settings)
    serve(whole)
    with asking(whole, events, K) as ask:
        measure("tfrec, trained with them", ask, *wanted)
    kinds = {feature.name: feature.kind for feature in schema.item_features}
    by_content = content_answers(events, items, kinds, schema.repeats, catalogue, K)
    measure("nearest by content", by_content, *wanted)
    found[AMONG_NEW]["chance"] = {"hr@10": round(K / len(held), 5)}
    return {
        "held_out": len(held),
        "catalogue": len(catalogue),
        "queries": {kind: len(at) for kind, at in wanted.items()},
        "methods": found,
    }


def queries_of(
    events: pd.DataFrame, role: str, held: np.ndarray, catalogue: np.ndarray, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Returns places of the events of a role that are asked for, by kind; not more than `QUERIES` each.

    Args:
        events: all, in order.
        role: test or val.
        held: ids that training has not met.
        catalogue: ids that can be answered.
        random: draws among more.
    """
    item = events.item_id
    asked = (events.role == role) & item.isin(catalogue)
    new, others = (
        np.sort(random.permutation(np.flatnonzero(asked & which))[:QUERIES])
        for which in (item.isin(held), ~item.isin(held))
    )
    return {NEW: new, AMONG_NEW: new, OTHERS: others}


def figures(answers: Answers, targets: np.ndarray) -> Figures:
    """NDCG@10 and HR@10.

    Args:
        answers: raw ids of Q queries, best first.
        targets: [Q] raw ids.
    """
    padded = np.full((len(answers), K), -1, np.int64)
    for row, answer in enumerate(answers):
        padded[row, : len(answer)] = answer
    # Raw ids begin where they like, rows of items at FIRST_ROW.
    rank = metrics.target_rank(padded + FIRST_ROW, targets + FIRST_ROW)
    return {
        "ndcg@10": round(float(metrics.ndcg(rank, K).mean()), 5),
        "hr@10": round(float(metrics.recall(rank, K).mean()), 5),
    }


def hold_out(values: pd.Series, share: float, seed: int) -> np.ndarray:
    """Draws a share of the distinct values, at least one; sorted."""
    distinct = np.sort(values.unique())
    number = max(round(share * len(distinct)), 1)
    return np.sort(np.random.default_rng(seed).choice(distinct, number, replace=False))


def _prepare(options: argparse.Namespace, whole: Path, without: Path, seed: int) -> np.ndarray:
    """Writes both datasets; the second has none but the asked events of the items that are returned."""
    judge.prepare(options.dataset, whole, strength=False)
    events = pd.read_parquet(whole / EVENTS)
    held = hold_out(events.item_id[events.role == "train"], options.share, seed)

    def left(events: pd.DataFrame) -> pd.DataFrame:
        return events[~events.item_id.isin(held) | (events.role == options.role)]

    judge.prepare(options.dataset, without, strength=False, change=left)
    return held
