"""What becomes of events: each once, in order, with the values that train events have."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import data_prep
from data_prep import PrepareOptions
from data_prep.cleaning import LEAST_BOT_LIMIT, bot_limit, busy_days
from data_prep.log import Column, Log
from tfrec.dataset import Dataset
from tfrec.errors import DataError, SettingsError
from tfrec.schema import FIRST_ROW, REJECTED_FILE, UNKNOWN_ROW

Preparer = Callable[..., Dataset]
LogMaker = Callable[..., pd.DataFrame]
# Text that a CSV file means as it is: what reads as missing, or as a number, is tested elsewhere.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=5).map("x".__add__)
ROWS = st.lists(
    st.tuples(TEXT, TEXT, st.integers(1_500_000_000, 1_500_400_000) | st.none()), min_size=1, max_size=40
)


@given(ROWS, st.integers(1, 4))
@settings(max_examples=30)
def test_each_event_is_there_once_or_set_aside(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int | None]], shards: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    frame["timestamp"] = frame["timestamp"].astype("Int64")
    frame.to_csv(folder / "log.csv", index=False)
    accepted = [row for row in rows if row[2] is not None]
    options = PrepareOptions(split="none", drop_duplicates=False, max_rejected_share=1, shards=shards)
    if not accepted:
        with pytest.raises(DataError, match="cannot be read"):
            data_prep.prepare("log", [folder / "log.csv"], folder / "out", options)
        return
    data_prep.prepare("log", [folder / "log.csv"], folder / "out", options, console=Console(quiet=True))
    dataset = Dataset.load(folder / "out")
    s = dataset.sequences
    found = zip(
        s.user_id[s.user_of_event].tolist(),
        dataset.items.values[s.item - FIRST_ROW].tolist(),
        s.time.tolist(),
        strict=True,
    )
    assert Counter(found) == Counter(accepted)
    assert s.event_id.tolist() == list(range(len(accepted)))
    assert len(pd.read_parquet(folder / "out" / REJECTED_FILE)) == len(rows) - len(accepted)


def test_values_outside_train_events_are_unknown(prepared: Preparer, shop_log: LogMaker) -> None:
    frame = shop_log(users=3).assign(action="view", device="phone")
    last = frame.groupby("user_id").tail(1).index
    frame.loc[last, ["action", "device"]] = ["refund", "watch"]
    frame.loc[0, ["action", "device"]] = None
    dataset = prepared(frame, event="action", context={"device": "auto"}, split="leave_one_out")
    assert dataset.schema.event_types == ("view",)
    assert dataset.context["device"].values.tolist() == ["phone"]
    held_out = dataset.sequences.is_role("test")
    for rows in (dataset.sequences.event_type, dataset.sequences.context["device"]):
        assert set(rows[held_out]) == {UNKNOWN_ROW}
        assert rows[0] == UNKNOWN_ROW  # a missing value, as a request without it has
        assert set(rows[~held_out][1:]) == {FIRST_ROW}


def test_vocabularies_fall_by_train_count_then_by_id(prepared: Preparer) -> None:
    items = [9, 9, 9, 4, 4, 10, 10, 2]
    frame = pd.DataFrame({"user_id": 1, "item_id": items, "timestamp": 1_600_000_000 + np.arange(8)})
    dataset = prepared(frame, split="none")
    assert dataset.items.values.tolist() == [9, 4, 10, 2]
    assert dataset.catalogue["train_count"].tolist() == [3, 2, 2, 1]


def test_positions_are_found_and_kept(prepared: Preparer) -> None:
    frame = pd.DataFrame(
        {"user_id": [1, 1, 1, 2, 2], "item_id": [5, 6, 7, 5, 7], "timestamp": [1, 2, 3, 1, 2]}
    )
    dataset = prepared(frame, split="leave_one_out")
    assert not dataset.schema.has_clock
    assert dataset.sequences.time.tolist() == [0, 1, 2, 0, 1]
    assert dataset.schema.counts.sessions == 2


def test_any_number_can_be_an_order(prepared: Preparer) -> None:
    big = 2**60  # beyond the exact range of floats
    frame = pd.DataFrame({"user_id": 1, "item_id": [7, 8, 9], "timestamp": [big + 2, big + 1, -5]})
    dataset = prepared(frame, split="none", has_clock=False)
    assert dataset.items.values[dataset.sequences.item - FIRST_ROW].tolist() == [9, 8, 7]
    assert dataset.sequences.time.tolist() == [0, 1, 2]
    assert dataset.schema.counts.sessions == 1


def test_a_moment_cannot_cut_positions(prepared: Preparer) -> None:
    frame = pd.DataFrame({"user_id": 1, "item_id": [7, 8, 9], "timestamp": [1, 2, 3]})
    with pytest.raises(SettingsError, match="global_time"):
        prepared(frame, split="global_time")


def test_an_event_without_its_session_is_set_aside(prepared: Preparer, shop_log: LogMaker) -> None:
    frame = shop_log().assign(visit=lambda f: "v" + (f.index // 3).astype(str))
    frame.loc[5, "visit"] = None
    dataset = prepared(frame, session="visit", split="none")
    assert dataset.schema.session_from == "id"
    assert dataset.schema.session_id_type == "string"
    assert dataset.schema.counts.rejected_rows == 1
    assert dataset.schema.counts.sessions == 16


@pytest.mark.parametrize(
    ("items", "repeats"),
    [([1, 2, 3, 4], "never"), ([1, 2, 1, 3], "across_sessions"), ([1, 1, 2, 3], "anywhere")],
)
def test_where_items_repeat_is_found(prepared: Preparer, items: list[int], repeats: str) -> None:
    times = 1_600_000_000 + np.array([0, 60, 90_000, 90_060])
    frame = pd.DataFrame({"user_id": 1, "item_id": items, "timestamp": times})
    assert prepared(frame, split="none").schema.repeats == repeats
    assert prepared(frame, split="none", repeats="anywhere").schema.repeats == "anywhere"


def test_the_limit_of_a_day_follows_the_log() -> None:
    def log_of(events_a_day: list[int]) -> Log:
        user = np.repeat(np.arange(len(events_a_day)), events_a_day)
        column = Column(user.astype(np.int32), pd.RangeIndex(len(events_a_day)))
        return Log(user=column, item=column, time=np.full(len(user), 10**9), event=column)

    rng = np.random.default_rng(0)
    quiet = np.maximum(1, rng.lognormal(1, 0.3, 400)).astype(int)
    busy = np.maximum(1, rng.lognormal(5, 0.8, 400)).astype(int)
    assert bot_limit([busy_days(log_of(quiet.tolist()))]) == LEAST_BOT_LIMIT
    assert bot_limit([busy_days(log_of(busy.tolist()))]) > busy.max()
    assert bot_limit([busy_days(log_of([*busy.tolist(), 500_000]))]) < 500_000


def test_what_was_found_is_shown(shop_log: LogMaker, tmp_path: Path) -> None:
    shop_log().assign(device="phone", dwell=1.5).to_csv(tmp_path / "log.csv", index=False)
    console = Console(record=True, width=200, quiet=False, file=(tmp_path / "screen").open("w"))
    options = PrepareOptions.model_validate({"context": {"device": "auto", "dwell": "auto"}})
    data_prep.prepare("log", [tmp_path / "log.csv"], tmp_path / "out", options, console=console)
    screen = console.export_text()
    for words in (
        "(times: s)",
        "device (categorical), dwell (numeric)",
        "exact duplicates",
        "gaps of 1800 s",
    ):
        assert words in screen
    assert "The split leaves" not in screen
    options = options.model_copy(update={"session_gap_s": 10**9})
    data_prep.prepare("log", [tmp_path / "log.csv"], tmp_path / "one", options, console=console)
    assert "The split leaves 0 val and 0 test events" in console.export_text()


def test_a_context_that_is_no_finite_number_is_missing(prepared: Preparer, shop_log: LogMaker) -> None:
    frame = shop_log().assign(dwell=2.0)
    frame.loc[:2, "dwell"] = [np.inf, 1e300, np.nan]
    dataset = prepared(frame, context={"dwell": "numeric"}, split="none")
    found = dataset.sequences.context["dwell"]
    assert np.isnan(found[:3]).all()
    assert (found[3:] == 2.0).all()
    (column,) = dataset.schema.context
    assert (column.mean, column.std) == (2.0, 1.0)


def test_no_time_tells_the_order_inside_unordered_sessions(prepared: Preparer, shop_log: LogMaker) -> None:
    frame = shop_log().assign(basket=lambda f: f.index // 3)
    for options in ({"session": "basket"}, {}):
        dataset = prepared(frame, ordered_sessions=False, split="none", **options)
        s = dataset.sequences
        found = pd.DataFrame({"user": s.user_of_event, "session": s.session, "time": s.time})
        starts = found.groupby(["user", "session"])["time"]
        assert (starts.max() == starts.min()).all()
        assert sorted(starts.first()) == sorted(frame.groupby("basket")["timestamp"].min())


def test_rows_set_aside_leave_positions_what_they_are(prepared: Preparer) -> None:
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(20), 5), "timestamp": np.tile(np.arange(5), 20)})
    frame["item_id"] = pd.Series(range(100), dtype="Int64")
    frame.loc[2, "item_id"] = pd.NA
    dataset = prepared(frame, split="none")
    assert not dataset.schema.has_clock
    assert dataset.sequences.time[:9].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4]
