"""What a log knows beside the judge's columns: the strength of events, and the features of items.

The judge's `events.parquet` has users, items, times, sessions and roles. Reading times and the like
are facts of an event that has happened when the next one is asked for, so that they may be inputs;
genres, attributes and departments are facts of the catalogue.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from data_prep.sources.completejourney import FEATURES, PRODUCTS, TRANSACTIONS, data_folder

SHARED = Path(__file__).resolve().parents[2] / "shared"
EVENTS, ITEMS = "events.parquet", "items.parquet"


def enrich(dataset: str, folder: Path, strength: bool = True) -> dict[str, Any]:
    """Adds the strength of events, if wanted, to `folder/events.parquet`, and writes `folder/items.parquet`.

    Returns:
        The options of `data_prep.prepare` that make it part of the dataset.
    """
    context = _strength(dataset, folder) if strength else {}
    if context:
        events = pd.read_parquet(folder / EVENTS)
        events.assign(**context).to_parquet(folder / EVENTS, index=False)
    options: dict[str, Any] = {"context": dict.fromkeys(context, "categorical")}
    if dataset == "ebnerd":
        return options
    items, features = _items(dataset)
    items.to_parquet(folder / ITEMS, index=False)
    return options | {"items_file": folder / ITEMS, "features": features}


def _strength(dataset: str, folder: Path) -> dict[str, pd.Series]:
    """Returns columns in the order of `folder/events.parquet`; none where the log has none."""
    if dataset == "ebnerd":
        return _reading(_judge().load(dataset))
    if dataset == "completejourney":
        return _purchase(pd.read_parquet(folder / EVENTS, columns=["session_id", "item_id"]))
    return {}


def _reading(log: pd.DataFrame) -> dict[str, pd.Series]:
    """How long (doubling seconds) and how far (tenths) each article was read."""
    scrolled = log.scroll_percentage // 10
    return {
        "read_time": np.log2(1 + log.read_time).astype(int).astype(str),
        "scrolled": scrolled.map(lambda tenth: None if np.isnan(tenth) else str(int(tenth))),
    }


def _purchase(events: pd.DataFrame) -> dict[str, pd.Series]:
    """How many were bought, at which price for one (√2-fold steps), with how much off (tenths), and where."""
    line = purchases(events)
    price = line.sales_value / line.quantity.clip(lower=1)
    off = line.retail_disc + line.coupon_disc
    share_off = off / (line.sales_value + off).clip(lower=0.01)
    return {
        "quantity": line.quantity.clip(upper=12).astype(int).astype(str),
        "price": np.floor(2 * np.log2(price.clip(lower=0.05))).astype(int).astype(str),
        "off": (share_off * 10).clip(0, 10).astype(int).astype(str),
        "store": line.store_id.astype(str),
    }


def purchases(events: pd.DataFrame) -> pd.DataFrame:
    """Returns what Complete Journey knows of each event, in their order: a line of a basket."""
    key = ["session_id", "item_id"]
    lines = pd.read_parquet(data_folder() / TRANSACTIONS)
    lines = lines.rename(columns={"basket_id": "session_id", "product_id": "item_id"})
    lines[key] = lines[key].astype("int64")
    # The judge keeps the first line of a product in a basket.
    return events.merge(lines.drop_duplicates(key), on=key, how="left", validate="one_to_one")


def _items(dataset: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Returns a table of items with `item_id`, and the kinds of its features."""
    if dataset == "completejourney":
        items = pd.read_parquet(data_folder() / PRODUCTS).rename(columns={"product_id": "item_id"})
        return items[["item_id", *FEATURES]], dict.fromkeys(FEATURES, "categorical")
    items = pd.read_parquet(SHARED / "data" / dataset / ITEMS)
    if dataset == "beauty":
        attributes = items.attributes.map(lambda values: "|".join(map(str, values)))
        return items[["item_id"]].assign(attributes=attributes), {"attributes": "multi"}
    year = items.orig_title.str.extract(r"\((\d{4})\)")[0]
    title = items.orig_title.str.replace(r"\s*\(\d{4}\)", "", regex=True)
    found = pd.DataFrame({"item_id": items.ItemID, "genres": items.genres, "year": year, "title": title})
    return found, {"genres": "multi", "year": "categorical"}


def _judge() -> ModuleType:
    """The judge as a module: it alone knows which rows of a log it keeps, in which order."""
    path = SHARED / "bench" / "judge.py"
    spec = importlib.util.spec_from_file_location("judge", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
