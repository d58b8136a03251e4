"""What is added to the judge's events stands in their order, and leaves them as they were."""

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from benchmarks.logs import EVENTS, ITEMS, enrich
from data_prep.sources.completejourney import TRANSACTIONS, data_folder


def enriched(judge: ModuleType, dataset: str, folder: Path) -> pd.DataFrame:
    """The events with what is added: what the options name, and no more; the rest is as it was."""
    events = judge.split(dataset)
    events.to_parquet(folder / EVENTS, index=False)
    options = enrich(dataset, folder)
    found = pd.read_parquet(folder / EVENTS)
    pd.testing.assert_frame_equal(found[events.columns], events)
    assert set(options["context"]) == set(found.columns) - set(events.columns)
    return found


def test_how_long_an_article_was_read_stands_beside_its_event(
    judge: ModuleType, shared: Path, tmp_path: Path
) -> None:
    found = enriched(judge, "ebnerd", tmp_path)
    # Looked up in the log itself: of events that user, item and second tell apart.
    key = ["user_id", "item_id", "timestamp"]
    log = pd.read_parquet(shared / "data" / "ebnerd" / "interactions.parquet")
    log = log[~log.duplicated(key, keep=False)]
    both = found.merge(log, on=key).sample(200, random_state=0)
    for read, scroll, row in zip(both.read_time_x, both.scroll_percentage, both.scrolled, strict=True):
        assert pd.isna(scroll) == pd.isna(row)
        assert pd.isna(row) or int(row) == int(scroll // 10)
        assert 0 <= int(read) <= 12
    assert (2 ** both.read_time_x.astype(int) <= 1 + both.read_time_y).all()
    assert (2 ** (both.read_time_x.astype(int) + 1) > 1 + both.read_time_y).all()


def test_what_was_paid_stands_beside_its_event(judge: ModuleType, tmp_path: Path) -> None:
    found = enriched(judge, "completejourney", tmp_path)
    assert found.notna().all().all()
    raw = pd.read_parquet(data_folder() / TRANSACTIONS)
    raw = raw[~raw.duplicated(["basket_id", "product_id"], keep=False)].sample(200, random_state=0)
    known = found.set_index(["session_id", "item_id"])
    checked = 0
    for line in raw.itertuples():
        key = (int(line.basket_id), int(line.product_id))
        if key not in known.index:  # of a product that the judge leaves out
            continue
        event = known.loc[key]
        checked += 1
        assert int(event.quantity) == min(line.quantity, 12)
        assert event.store == str(line.store_id)
        if line.sales_value > 0.1 * line.quantity > 0:
            price = line.sales_value / line.quantity
            assert 2 ** (int(event.price) / 2) <= price * (1 + 1e-9) < 2 ** ((int(event.price) + 1) / 2)
        if line.retail_disc == line.coupon_disc == 0:
            assert event.off == "0"
    assert checked > 100


@pytest.mark.parametrize(("dataset", "features"), [("ml-1m", {"genres", "year"}), ("beauty", {"attributes"})])
def test_items_have_features(judge: ModuleType, tmp_path: Path, dataset: str, features: set[str]) -> None:
    options = enrich(dataset, tmp_path)
    items = pd.read_parquet(tmp_path / ITEMS)
    assert set(options["features"]) == features == set(items.columns) - {"item_id", "title"}
    assert items.notna().all().all()
    assert items.item_id.is_unique


def test_without_strength_events_stay_as_they_are(judge: ModuleType, tmp_path: Path) -> None:
    events = judge.split("completejourney")
    events.to_parquet(tmp_path / EVENTS, index=False)
    options = enrich("completejourney", tmp_path, strength=False)
    assert options["context"] == {}
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / EVENTS), events)
    assert (tmp_path / ITEMS).exists()
