"""Impressions of logs that have none: what is in them, and what it stands for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from data_prep.impression_options import SampledOptions
from data_prep.log import Column, Log
from data_prep.sampled_impressions import sampled_impressions
from data_prep.splits import TRAIN, VAL
from tfrec.cli.prepare import register
from tfrec.dataset import Dataset
from tfrec.errors import DataError, SettingsError
from tfrec.impressions import Impressions
from tfrec.ranking_lists import RankingLists
from tfrec.settings_file import load_settings

ITEMS, TYPES = 6, ("view", "buy")
ROW = st.tuples(
    st.integers(0, 2), st.integers(0, 3), st.integers(0, ITEMS - 1), st.integers(0, 1), st.booleans()
)


def log_of(rows: list[tuple[int, int, int, int, bool]]) -> tuple[Log, np.ndarray, np.ndarray]:
    """A log of rows of user, session of theirs, item, type, and whether it is val; an event a minute."""
    frame = pd.DataFrame(rows, columns=["user", "session", "item", "type", "val"])
    frame = frame.sort_values(["user", "session", "val"], kind="stable", ignore_index=True)
    frame["time"] = frame["session"] * 10_000 + frame.groupby(["user", "session"]).cumcount() * 60
    codes = {name: frame[name].to_numpy(np.int32) for name in ("user", "item", "type")}
    log = Log(
        user=Column(codes["user"], pd.Index(range(3), dtype="int64")),
        item=Column(codes["item"], pd.Index(range(100, 100 + ITEMS), dtype="int64")),
        time=frame["time"].to_numpy(np.int64),
        event=Column(codes["type"], pd.Index(TYPES)),
    )
    role = np.where(frame["val"], VAL, TRAIN).astype(np.int8)
    return log, frame.groupby(["user", "session"]).ngroup().to_numpy(np.int64), role


@given(st.lists(ROW, min_size=1, max_size=40), st.integers(1, 8), st.booleans(), st.integers(0, 9))
def test_candidates_are_what_followed_and_what_was_known(
    rows: list[tuple[int, int, int, int, bool]], negatives: int, ordered: bool, seed: int
) -> None:
    log, session, role = log_of(rows)
    asked = SampledOptions(negatives=negatives)
    found = sampled_impressions(log, session, role, asked, ordered=ordered, seed=seed)
    assert len(found) == session.max() + 1
    assert (np.diff(found.heads.time) >= 0).all()
    assert found.stands_for is not None
    train = role == TRAIN
    first = {item: log.time[train & (log.item.codes == item)].min(initial=10**9) for item in range(ITEMS)}
    for place in range(len(found)):
        own = slice(found.offsets[place], found.offsets[place + 1])
        items, weight = found.item.codes[own], found.stands_for[own]
        user, moment = found.heads.user.codes[place], found.heads.time[place]
        of_session = session == found.heads.id.codes[place]
        assert (log.user.codes[of_session] == user).all()
        assert found.heads.session[place] == len(
            set(session[(log.user.codes == user) & (session < found.heads.id.codes[place])])
        )
        after = of_session & (log.time >= moment)
        # What nobody had before would tell by that alone that it is had now.
        new = np.array([first[item] >= moment for item in log.item.codes])
        same_role = after & (role == found.heads.role[place]) & ~new
        if not ordered:
            assert moment == log.time[of_session].min()
        # Each once; those that follow are there, with the types of their events.
        assert len(set(items)) == len(items)
        assert set(log.item.codes[same_role]) == set(
            items[weight == 1][np.isin(items[weight == 1], log.item.codes[same_role])]
        )
        for name, code in zip(TYPES, range(2), strict=True):
            having = set(log.item.codes[same_role & (log.event.codes == code)])
            assert set(items[found.labels[name][own] > 0]) == having
        # The others had an event before, and together stand for all that had.
        drawn = ~np.isin(items, log.item.codes[same_role])
        known = set(log.item.codes[train & (log.time < moment)]) - set(log.item.codes[after])
        assert set(items[drawn]) <= known
        if drawn.any():
            assert weight[drawn].sum() == pytest.approx(len(known), rel=1e-5)


def test_lots_are_drawn_by_the_seed() -> None:
    rows = [(user, session, (user + session) % ITEMS, 0, False) for user in range(3) for session in range(4)]
    log, session, role = log_of(rows)

    def items(seed: int) -> list[int]:
        asked = SampledOptions(negatives=2)
        return sampled_impressions(log, session, role, asked, ordered=True, seed=seed).item.codes.tolist()

    assert items(0) == items(0)
    assert items(0) != items(1)


EARLIER = [(0, 0, 1, 0, False), (0, 0, 2, 0, False)]
"""A session that makes two items known."""


def test_labels_are_groups_of_event_types() -> None:
    log, session, role = log_of([*EARLIER, (0, 1, 1, 0, False), (0, 1, 2, 1, False)])
    asked = SampledOptions(labels={"any": TYPES, "buy": ("buy",)})
    found = sampled_impressions(log, session, role, asked, ordered=False, seed=0)
    items = found.item.codes[found.offsets[-2] :]
    by_item = {item: place for place, item in enumerate(items.tolist(), int(found.offsets[-2]))}
    assert [found.labels["any"][by_item[item]] for item in (1, 2)] == [1, 1]
    assert [found.labels["buy"][by_item[item]] for item in (1, 2)] == [0, 1]
    assert found.labels["any"].sum() == 2  # in the first session all was new
    with pytest.raises(
        SettingsError, match="--label like: the log has no event type like; its types are view"
    ):
        sampled_impressions(
            log, session, role, SampledOptions(labels={"like": ("like",)}), ordered=True, seed=0
        )


def test_numbers_are_those_of_the_first_event() -> None:
    rows = [(0, 1, 1, 0, False), (0, 1, 2, 1, False), (0, 1, 1, 1, False)]
    log, session, role = log_of([*EARLIER, *rows])
    numbers = np.array([6.0, 7.0, 3.0, np.nan, 8.0], np.float32)
    log = replace(log, context={"price": numbers, "shop": log.item})
    asked = SampledOptions(values={"paid": "price"})
    found = sampled_impressions(log, session, role, asked, ordered=False, seed=0)
    last = slice(found.offsets[-2], None)
    by_item = dict(zip(found.item.codes[last].tolist(), found.values["paid"][last].tolist(), strict=True))
    assert by_item[1] == 3.0
    assert np.isnan(by_item[2])
    wrong = SampledOptions(values={"paid": "shop"})
    with pytest.raises(SettingsError, match=r"'shop' is no numeric context .* such ones are price"):
        sampled_impressions(log, session, role, wrong, ordered=False, seed=0)


def command(tmp_path: Path, log: pd.DataFrame, *options: str):  # type: ignore[no-untyped-def]
    log.to_csv(tmp_path / "log.csv", index=False)
    app = typer.Typer()
    register(app)
    arguments = [str(tmp_path / "log.csv"), "--out", str(tmp_path / "dataset"), "--event", "did"]
    return CliRunner().invoke(app, [*arguments, *options])


def test_the_command_makes_them(shop_log: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    log = shop_log()
    log = log.assign(did=np.where(np.arange(len(log)) % 3 == 2, "buy", "view"))
    done = command(
        tmp_path, log, "--sampled-impressions", "3", "--label", "any=view|buy", "--label", "buy=buy"
    )
    assert done.exit_code == 0, done.output
    dataset = Dataset.load(tmp_path / "dataset")
    assert dataset.schema.impressions is not None
    assert dataset.schema.impressions.sampled
    assert dataset.schema.impressions.labels == ("any", "buy")
    shown = Impressions.load(tmp_path / "dataset", dataset)
    assert len(shown) == dataset.schema.counts.sessions
    assert shown.weight.max() > 1
    assert shown.labels["any"].sum() > shown.labels["buy"].sum() > 0
    # In rows of events each stands in its own session, whatever the gap says.
    lists = RankingLists.of(shown, dataset, load_settings(None, ["ranking.tasks={a: {label: any}}"]).ranking)
    np.testing.assert_array_equal(lists.lines(dataset.sequences, 10**9).session, shown.session)
    assert set(shown.session) == {0, 1, 2, 3}
    # Nobody was shown anything, and what is bought later in a session counts in no statistic.
    assert not [name for name in shown.statistics if "shown" in name]
    assert {"events_24h", "events_24h.buy", "age_h", "user_events"} <= set(shown.statistics)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (["--impressions", "shown.csv"], SettingsError, "from a file or from the log itself"),
        (["--label", "like=like"], SettingsError, "has no event type like"),
        (["--no-clock"], DataError, "the log has positions for times"),
    ],
)
def test_what_cannot_be_made_is_said(
    shop_log: Callable[..., pd.DataFrame], tmp_path: Path, options: list[str], error: type, words: str
) -> None:
    done = command(tmp_path, shop_log().assign(did="view"), "--sampled-impressions", "3", *options)
    assert isinstance(done.exception, error)
    assert words in str(done.exception)
