"""What an impression knows is what came before its moment, and its role is that of the moment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import data_prep
from data_prep import PrepareOptions
from data_prep.impression_moments import at_session_begins
from data_prep.impression_options import ImpressionOptions
from data_prep.impression_table import beside_log
from data_prep.impressions import Heads, Impressions
from data_prep.log import Column, Log
from tests.data_prep.test_impressions import DAY, QUIET, SHOWN, START, prepare
from tfrec.dataset import Dataset
from tfrec.errors import SettingsError
from tfrec.impressions import Impressions as Loaded
from tfrec.ranking_lists import RankingLists
from tfrec.settings_file import load_settings

Events = list[tuple[int, int, int]]


def test_statistics_are_those_of_the_moment(shop_log: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    found = prepare(tmp_path, shop_log(), SHOWN)
    # 30 seconds into the log u0 has had item 0, at second 0, and nobody item 1.
    assert found.statistics["events_1h"][:2].tolist() == [1, 0]
    assert found.statistics["user_events"][:2].tolist() == [1, 0]
    assert np.isnan(found.statistics["age_h"][1])
    # u1 is shown item 1 after u0 and u9 were, a day before.
    at = int(found.offsets[2])
    assert found.statistics["shown_24h"][at] == 1
    assert found.statistics["user_shown"][at] == 0


def test_roles_begin_a_session_gap_before_the_events_of_their_role(
    shop_log: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    # Each user has a session a day; that of the third day is val, that of the fourth test.
    begin = START + 3600  # u1's time of day
    moments = [begin + 2 * DAY - 1801, begin + 2 * DAY - 1800, begin + 3 * DAY - 1801, begin + 3 * DAY]
    shown = pd.DataFrame({"user_id": "u1", "timestamp": moments, "shown": [[1, 7]] * 4, "clicked": [[1]] * 4})
    found = prepare(tmp_path, shop_log(), shown.assign(bought=shown["clicked"], device="phone"))
    assert found.role.tolist() == [0, 1, 1, 2]


def test_a_split_by_time_is_one_for_all_users(shop_log: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    """Users without events too; `last_session` knows nothing of them."""
    log = shop_log(days=6)
    shown = pd.DataFrame(
        {
            "user_id": "nobody",
            "timestamp": [START + day * DAY + 4 * 3600 for day in range(6)],
            "shown": [[1, 7]] * 6,
            **dict.fromkeys(("clicked", "bought"), [[1]] * 6),
            "device": "phone",
        }
    )
    assert prepare(tmp_path, log, shown).role.tolist() == [0] * 6
    assert prepare(tmp_path, log, shown, split="global_time", split_days=2).role.tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
    ]


def test_labels_count_in_statistics_where_they_come_at_once(
    shop_log: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    shown = pd.concat([SHOWN, SHOWN.iloc[2:].assign(timestamp=START + DAY + 60)])
    counts = {"click_24h": [0, 0, 1, 1], "purchase_24h": [0, 0, 1, 0]}
    default = prepare(tmp_path, shop_log(), shown).statistics
    late = prepare(tmp_path, shop_log(), shown, counted=["purchase"]).statistics
    later = slice(2, 6)  # the two candidates of the day after, twice
    assert default["click_24h"][later].tolist() == counts["click_24h"]
    assert "purchase_24h" not in default
    assert late["purchase_24h"][later].tolist() == counts["purchase_24h"]
    assert "click_24h" not in late
    with pytest.raises(ValueError, match="'purchase' is counted, and is none of the labels like"):
        ImpressionOptions(file=tmp_path, labels={"like": "clicked"}, counted=("purchase",))


def test_what_is_shown_during_a_session_without_order_sees_none_of_it(
    shop_log: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    begin = START + 3600  # of u1's first session, of three events, a minute apart
    moments = [begin - 1, begin, begin + 61, begin + 120, begin + 121]
    item = int(shop_log().query("user_id == 'u1'").item_id.iloc[0])
    shown = pd.DataFrame(
        {"user_id": "u1", "timestamp": moments, "shown": [[item, 99]] * 5, "device": "phone"}
    )
    shown = shown.assign(shown=[[item, 99]] * 5, clicked=[[item]] * 5, bought=[[]] * 5)
    found = prepare(tmp_path, shop_log(), shown, ordered=False)
    assert found.time.tolist() == [begin - 1, begin, begin, begin, begin + 121]
    assert found.statistics["user_events"][::2].tolist() == [0, 0, 0, 0, 1]
    told = prepare(tmp_path, shop_log(), shown, ordered=True)
    assert told.time.tolist() == moments
    assert told.statistics["user_events"][::2].tolist() == [0, 0, 1, 1, 1]


def test_sessions_may_be_named_by_the_log_s_own_ids(
    shop_log: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    """A visit that begins soon after another one is another one all the same."""
    log = shop_log()
    log["visit"] = log.groupby("user_id").cumcount() // 3  # a day
    log.to_csv(tmp_path / "log.csv", index=False)
    moments = [START + 3600 + 200, START + 3600 + 200, START + DAY]
    shown = pd.DataFrame({"user_id": ["u1", "u1", "u1"], "timestamp": moments, "visit": [1, 77, 3]})
    shown = shown.assign(shown=[[1, 7]] * 3, clicked=[[1]] * 3)
    shown.to_parquet(tmp_path / "shown.parquet")
    asked = {"impressions": {"file": tmp_path / "shown.parquet", "session": "visit"}}
    options = PrepareOptions.model_validate({"session": "visit", **asked})
    folder = tmp_path / "dataset"
    data_prep.prepare("log", [tmp_path / "log.csv"], folder, options, console=QUIET)
    dataset = Dataset.load(folder)
    found = Loaded.load(folder, dataset)
    assert found.session.tolist() == [1, -1, 3]
    tasks = load_settings(None, ["ranking.tasks={a: {label: click}}"]).ranking
    lines = RankingLists.of(found, dataset, tasks).lines(dataset.sequences, 1800)
    assert lines.session.tolist() == [1, 0, 3]  # no session has the id 77: the gap says which it is
    with pytest.raises(SettingsError, match="impressions name sessions, and the log has none: say --session"):
        data_prep.prepare(
            "log", [tmp_path / "log.csv"], tmp_path / "x", PrepareOptions(**asked), console=QUIET
        )


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 40)), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 50)), min_size=1, max_size=10),
)
def test_sessions_may_lie_one_in_another(events: Events, asked: list[tuple[int, int]]) -> None:
    """A moment goes to the begin of what it lies in, and on, until it lies in nothing."""
    events.sort()
    users, sessions, times = (list(part) for part in zip(*events, strict=True))
    log = Log(column(users, 3), column(users, 3), np.array(times, np.int64), column([0] * len(users), 1))
    number = pd.factorize(np.array(users) * 5 + np.array(sessions))[0]
    who, when = (np.array(part, np.int64) for part in zip(*asked, strict=True))
    found = at_session_begins(when, who, log, number)
    for user, moment, moved in zip(who, when, found, strict=True):
        own = [[t for u, s, t in events if u == user and s == session] for session in range(5)]
        expected, before = moment, None
        while expected != before:
            before = expected
            expected = min([min(of) for of in own if of and min(of) <= before <= max(of)] + [before])
        assert moved == expected


MOMENT = 1000
EVENT = st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2 * MOMENT))
EVENTS = st.lists(EVENT, min_size=1, max_size=30)


def column(values: list[int], size: int) -> Column:
    return Column(np.array(values, np.int32), pd.Index(range(size), dtype="int64"))


def table(events: Events, shown: Events, clicks: list[int]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Times of impressions of one candidate each, and their statistics."""
    users, items, times = (
        list(part) for part in zip(*sorted(events, key=lambda e: (e[0], e[2])), strict=True)
    )
    log = Log(column(users, 3), column(items, 4), np.array(times, np.int64), column([0] * len(users), 1))
    who, what, when = ([*part] for part in zip(*shown, strict=True))
    heads = Heads(column([*range(len(who))], len(who)), column(who, 3), np.array(when, np.int64), {}, None)
    labels = {"click": np.array(clicks, np.int8)}
    impressions = Impressions(heads, np.arange(len(who) + 1), column(what, 4), labels).by_time()
    found = beside_log(impressions, log, np.zeros(len(users), np.int8), "none", 1800, ["click"])
    return impressions.heads.time, found.statistics


@given(EVENTS, EVENTS, EVENTS, st.data())
def test_the_future_changes_no_input_of_the_past(
    events: Events, later: Events, shown: Events, data: Any
) -> None:
    """Other events, impressions and labels from a moment on leave all inputs up to it as they are."""
    shown = [s for s in [*shown, (0, 0, MOMENT)] if s[2] <= MOMENT]
    events = [e for e in events if e[2] < MOMENT] or [(0, 0, 0)]
    future = [(user, item, time + MOMENT) for user, item, time in later]
    shown_later = [(user, item, time + 1) for user, item, time in future]
    most = len(shown) + len(future)
    clicks = st.lists(st.integers(0, 1), min_size=most, max_size=most)
    told, anew = data.draw(clicks), data.draw(clicks)
    time, before = table(events, shown, told[: len(shown)])
    # What is shown at the moment itself may end otherwise too.
    past = [told[i] if s[2] < MOMENT else anew[i] for i, s in enumerate(shown)]
    after_time, after = table([*events, *future], [*shown, *shown_later], [*past, *anew[len(shown) :]])
    kept = after_time <= MOMENT
    assert np.array_equal(after_time[kept], time)
    for name, values in before.items():
        assert np.array_equal(after[name][kept], values, equal_nan=True), name
