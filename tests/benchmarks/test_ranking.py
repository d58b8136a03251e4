"""EB-NeRD as a dataset for ranking, and what the peers are given."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.ranking_ebnerd import features, figures_of
from benchmarks.ranking_ebnerd_data import A_DAY, events, roles
from benchmarks.seeds import mean_of, spread
from tests.tfrec.datasets import rich_dataset
from tests.tfrec.shown import CANDIDATES, shown_to
from tfrec.impressions import Impressions
from tfrec.settings_file import load_settings

END = 10 * A_DAY


@pytest.fixture(scope="module")
def impressions() -> Impressions:
    return shown_to(rich_dataset())[1]


def test_roles_go_by_time() -> None:
    moments = pd.Series([0, END - A_DAY - 1, END - A_DAY, END - 1, END])
    assert roles(moments, END).tolist() == ["train", "train", "val", "val", "test"]


def test_clicks_that_the_reads_lack_are_events_too() -> None:
    read = {"user_id": [2, 1, 1], "item_id": [7, 5, 6], "timestamp": [50, 10, 20], "read_time": [1.0] * 3}
    shown = pd.DataFrame(
        {"user_id": [1, 1, 2], "clicked": [[6], [8, 9], []], "timestamp": [20, END + 1900, END + 5]}
    )
    log = events(pd.DataFrame(read), shown, END)
    assert log["item_id"].tolist() == [5, 6, 8, 9, 7]
    assert log["session_id"].tolist() == [1, 1, 2, 2, 3]
    assert log["role"].tolist() == ["train", "train", "test", "test", "train"]
    assert log["event_id"].tolist() == [0, 1, 2, 3, 4]
    assert log["read_time"].isna().tolist() == [False, False, True, True, False]


def test_peers_see_the_statistics_and_the_circumstances(impressions: Impressions) -> None:
    settings = load_settings(None, ["ranking.tasks={click: {label: click}}"])
    frame = features(settings, impressions)
    assert set(frame) == {"click_6h", "device", "hour", "weekday", "length", "list", "role", "label"}
    assert frame["length"].eq(CANDIDATES).all()
    assert frame.groupby("list")["label"].sum().eq(1).all()
    none = load_settings(None, ["ranking.tasks={click: {label: click}}", "ranking.statistics=[]"])
    assert "click_6h" not in features(none, impressions)


def test_an_order_that_knows_the_labels_is_perfect(impressions: Impressions) -> None:
    label = impressions.labels["click"].astype(np.float32)
    found = figures_of(label, impressions)
    assert [found[name] for name in ("auc", "mrr", "ndcg@5", "ndcg@10")] == [1.0] * 4


def test_means_and_spreads_over_seeds() -> None:
    runs = [{"auc": 0.1}, {"auc": 0.3}]
    assert mean_of(runs) == {"auc": 0.2}
    assert spread([0.1, 0.3]) == pytest.approx(0.14142)
    assert spread([0.1]) is None
