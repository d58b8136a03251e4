"""Complete Journey's baskets as lists: which of their products are on promotion, which are bought again.

What is bought within a fortnight after a basket of the last fortnight is not in the log. So all roles lie a
fortnight earlier than the judge's: the judge's val baskets are test here, those of the fortnight before are
val, and events of the judge's test baskets tell labels alone.
"""

from pathlib import Path

import numpy as np
import pandas as pd

import data_prep
from benchmarks import judge
from benchmarks.logs import EVENTS, enrich, purchases
from data_prep import PrepareOptions
from data_prep.sources import SOURCES
from tfrec.schema import DatasetSchema

FORTNIGHT = 14 * 86_400
SHOWN = "impressions.parquet"
LABELS = {"again": "again", "promotion": "promotion"}
DISCOUNTS = ["retail_disc", "coupon_disc", "coupon_match_disc"]


def prepare(folder: Path) -> DatasetSchema:
    """Writes `folder/events.parquet`, `folder/impressions.parquet` and `folder/dataset`."""
    judge.split("completejourney", folder)
    options = enrich("completejourney", folder)
    events = pd.read_parquet(folder / EVENTS)
    promoted = purchases(events[["session_id", "item_id"]])[DISCOUNTS].sum(axis=1) > 0
    events = events.assign(
        again=bought_again(events), promotion=promoted.to_numpy(), role=earlier_roles(events)
    )
    events = events[events.role != ""]
    baskets(events[~not_known_yet(events)]).to_parquet(folder / SHOWN, index=False)
    events.drop(columns=list(LABELS)).to_parquet(folder / EVENTS, index=False)
    options |= judge.KNOWN["completejourney"] | {
        "impressions": {
            "file": folder / SHOWN,
            "shown": "item_id",
            "labels": LABELS,
            "context": {"store": "categorical"},
            "counted": ["promotion"],  # known at the till; what is bought again is known a fortnight later
            "session": "session_id",
            "role": "role",
        }
    }
    chosen = PrepareOptions.model_validate(SOURCES["judge"].defaults.model_dump() | options)
    return data_prep.prepare("judge", [folder / EVENTS], folder / "dataset", chosen, overwrite=True)


def bought_again(events: pd.DataFrame) -> np.ndarray:
    """[E] bool: whether the user has the item again in a later session, within a fortnight.

    Args:
        events: in order of users and times; an item once a session.
    """
    later = events.groupby(["user_id", "item_id"]).timestamp.shift(-1)
    return (later - events.timestamp <= FORTNIGHT).to_numpy()


def earlier_roles(events: pd.DataFrame) -> np.ndarray:
    """[E] the judge's roles, a fortnight earlier; "" for its test events."""
    start = events.groupby("session_id").timestamp.transform("min")
    val = start > start[events.role == "train"].max() - FORTNIGHT
    return np.select([events.role == "test", events.role == "val", val], ["", "test", "val"], "train")


def not_known_yet(events: pd.DataFrame) -> np.ndarray:
    """[E] bool: train events of which val alone would tell what is bought again."""
    begin = events.timestamp[events.role == "val"].min()
    return ((events.role == "train") & (events.timestamp > begin - FORTNIGHT)).to_numpy()


def baskets(events: pd.DataFrame) -> pd.DataFrame:
    """A row a session: id, user, time, role and store, its items, and for each label those that have it."""
    by_session = events.groupby("session_id", sort=False)
    heads = by_session.agg(
        user_id=("user_id", "first"),
        timestamp=("timestamp", "min"),
        role=("role", "first"),
        store=("store", "first"),
        item_id=("item_id", list),
    )
    for label in LABELS:
        having = events[events[label]].groupby("session_id").item_id.agg(list)
        heads[label] = [having.get(session, []) for session in heads.index]
    return heads.reset_index()
