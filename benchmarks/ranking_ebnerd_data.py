"""EB-NeRD's reads and impressions as a dataset: trained on part `train`, tuned on its last day.

Clicks are events too: the log of reads has those of some users only, and ends where part `validation` begins.
Roles go by time alone: the last day of part `train` is val, part `validation` is test.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

import data_prep
from benchmarks.logs import SHARED
from data_prep import PrepareOptions
from data_prep.sources import SOURCES
from tfrec.schema import ROLES, DatasetSchema

A_DAY, A_GAP = 86_400, 1800
FOLDER = SHARED / "data" / "ebnerd"
EVENTS, IMPRESSIONS = "events.parquet", "impressions.parquet"
CONTEXT = ("device_type", "is_subscriber")


def prepare(folder: Path) -> DatasetSchema:
    """Writes `folder/events.parquet`, `folder/impressions.parquet` and `folder/dataset`.

    Ends the program where the log is not there.
    """
    if not (FOLDER / IMPRESSIONS).exists():
        sys.exit("the log is not here: expected ../shared/data/ebnerd/ beside the checkout")
    shown = pd.read_parquet(FOLDER / IMPRESSIONS)
    end = int(shown.timestamp[shown.part == "train"].max()) + 1
    shown = shown.assign(role=roles(shown.timestamp, end))
    reads = pd.read_parquet(FOLDER / "interactions.parquet")
    events(reads, shown, end).to_parquet(folder / EVENTS, index=False)
    shown.drop(columns=["part", "session_id"]).to_parquet(folder / IMPRESSIONS, index=False)
    options = SOURCES["judge"].defaults.model_dump() | {
        "context": {"read_time": "numeric", "scroll_percentage": "numeric"},
        "impressions": {
            "file": folder / IMPRESSIONS,
            "context": dict.fromkeys(CONTEXT, "categorical"),
            "role": "role",
        },
    }
    chosen = PrepareOptions.model_validate(options)
    return data_prep.prepare("judge", [folder / EVENTS], folder / "dataset", chosen, overwrite=True)


def events(reads: pd.DataFrame, shown: pd.DataFrame, end: int) -> pd.DataFrame:
    """Returns reads, and the clicks that they lack, in the form of the source `judge`.

    Args:
        reads: the log.
        shown: all impressions.
        end: unix seconds after part `train`.
    """
    clicks = shown[["user_id", "clicked", "timestamp"]].explode("clicked").dropna()
    clicks = clicks.rename(columns={"clicked": "item_id"}).astype({"item_id": "int64"})
    log = pd.concat([reads, clicks]).drop_duplicates(["user_id", "item_id", "timestamp"])
    log = log.sort_values(["user_id", "timestamp"], kind="stable", ignore_index=True)
    opens = (log.user_id != log.user_id.shift()) | (log.timestamp.diff() > A_GAP)
    return log.assign(event_id=np.arange(len(log)), session_id=opens.cumsum(), role=roles(log.timestamp, end))


def roles(time: pd.Series, end: int) -> np.ndarray:
    """Returns the names of the roles of moments: val is the last day of part `train`, test what follows."""
    return np.select([time >= end, time >= end - A_DAY], [ROLES[2], ROLES[1]], ROLES[0])
