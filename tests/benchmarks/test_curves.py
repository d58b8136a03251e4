"""Curves count the same things for every method."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import curve as curve_module
from benchmarks.accuracy_report import points_of
from benchmarks.counting import asked_users, contexts, real_events
from benchmarks.curve import Curve, Paced, Point, seconds_to_reach, summary
from benchmarks.places import CURVES, record, recorded
from benchmarks.trial import epoch_seconds
from tfrec.run import SECONDS
from tfrec.schema import ROLES
from tfrec.sequences import Sequences
from tfrec.settings_file import load_settings
from tfrec.validation import validation_positions


def test_padding_is_no_event_and_the_last_event_of_a_shifted_sequence_is_one() -> None:
    batch = np.array([[0, 0, 5, 7], [0, 0, 0, 9]])
    assert real_events(batch, shifted=False) == 3
    assert real_events(batch, shifted=True) == 5  # sequences of 3 and of 2 events


def test_a_context_is_the_newest_rows_before_its_event() -> None:
    query, row = contexts(np.array([0, 0, 10]), np.array([2, 0, 15]), length=3)
    assert query.tolist() == [0, 0, 2, 2, 2]
    assert row.tolist() == [0, 1, 12, 13, 14]


def test_the_same_users_are_asked_as_by_tfrec() -> None:
    users, each = 50, 4
    role = np.tile([0, 0, ROLES.index("val"), ROLES.index("val")], users).astype(np.int8)
    role[: 5 * each] = 0  # the first five have no val events
    filled = np.zeros(users * each, np.int64)
    sequences = Sequences(
        user_id=np.arange(users),
        offsets=np.arange(0, users * each + 1, each),
        **dict.fromkeys(("event_id", "item", "event_type", "session", "time"), filled),
        role=role,
    )
    settings = load_settings(None, ["seed=3", "training.validation_users=8"])
    positions = validation_positions(SimpleNamespace(sequences=sequences), settings)
    raw_users = 1000 + np.repeat(np.arange(users), each)
    asked = asked_users(raw_users[role == ROLES.index("val")], 8, 3)
    assert len(asked) == 8
    assert set(raw_users[positions]) == set(asked)
    assert len(asked_users(raw_users, 100, 3)) == users


def paced(epochs: int) -> list[Paced]:
    """1,200 events and 60 sequences an epoch, of 10, 4 and 6 seconds."""
    values = [(10, 10, 0.1), (14, 4, 0.3), (20, 6, 0.2)]
    return [
        Paced(i, train_s, ndcg, 1200 / own, 60 / own)
        for i, (train_s, own, ndcg) in enumerate(values[:epochs], 1)
    ]


def test_seconds_of_epochs_add_up() -> None:
    points = points_of([10.0, 4.0, 6.0], [0.1, 0.3, 0.2])
    assert points == [Point(1, 10.0, 0.1), Point(2, 14.0, 0.3), Point(3, 20.0, 0.2)]


def test_the_first_epoch_counts_for_the_seconds_and_not_for_the_speed() -> None:
    found = summary(paced(3))
    assert found["best_epoch"] == 2
    assert found["best_ndcg"] == 0.3
    assert found["seconds_to_best"] == 14
    assert found["epoch_s"] == 5
    assert found["mean_events_per_s"] == 240  # 2400 events in 10 seconds
    assert found["mean_sequences_per_s"] == 12
    assert summary(paced(1))["mean_events_per_s"] == 120
    history = [{SECONDS: seconds} for seconds in (10.0, 4.0, 6.0)]
    assert epoch_seconds(history) == 5
    assert epoch_seconds(history[:1]) == 10


def test_seconds_to_reach_a_value_are_those_of_the_first_epoch_that_has_it() -> None:
    assert seconds_to_reach(paced(3), 0.15) == 14
    assert seconds_to_reach(paced(3), 0.31) is None


def test_lines_of_a_run_are_printed_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_module, "record", lambda name, line: record(name, line, tmp_path))
    curve = Curve("beauty", "rectools", {"seed": 1}, keep=True)
    curve.add(Paced(1, 2.0, 0.123456, 100.0, 10.0))
    curve.end(peak_mb=12.4)
    kept = recorded(CURVES, tmp_path)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == kept
    assert kept[0]["ndcg"] == 0.12346
    assert kept[0]["run"] == kept[1]["run"]
    assert kept[1]["peak_mb"] == 12
    assert kept[1]["best_ndcg"] == 0.12346
