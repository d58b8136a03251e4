"""A trial trains as tfrec does, knows its seconds, and slices what the judge scores."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import data_prep
from benchmarks.budget import epochs_within, measure
from benchmarks.trial import Budget, ndcg_by_slice
from data_prep.sources import SOURCES
from tfrec.dataset import Dataset
from tfrec.run import SECONDS
from tfrec.settings_file import load_settings
from tfrec.training import train

SMALL = load_settings(
    None,
    [
        "model.dimensions=8",
        "model.blocks=1",
        "model.rules=0",
        "model.feed_forward=8",
        "model.max_length=15",
        "training.epochs=3",
        "training.rows=4",
        "training.xla=false",
    ],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users of three sessions, the last of each a val session, as a dataset."""
    place = tmp_path_factory.mktemp("trial")
    random = np.random.default_rng(1)
    rows = []
    for user in range(12):
        for session in range(3):
            for event in range(4):
                time = 1_600_000_000 + user + session * 86_400 + event * 60
                role = "val" if session == 2 else "train"
                rows.append((user, int(random.integers(100, 110)), time, user * 3 + session, role))
    columns = ["user_id", "item_id", "timestamp", "session_id", "role"]
    events = pd.DataFrame(rows, columns=columns)
    events.insert(0, "event_id", np.arange(len(events)))
    events.to_parquet(place / "events.parquet", index=False)
    data_prep.prepare("judge", [place / "events.parquet"], place / "dataset", SOURCES["judge"].defaults)
    return place


def test_seconds_stand_in_the_history(folder: Path, tmp_path: Path) -> None:
    trained = train(folder / "dataset", tmp_path / "model", SMALL, quiet=True)
    assert all(entry[SECONDS] > 0 for entry in trained.training["history"])


def test_no_epoch_is_begun_that_would_end_beyond_the_budget(folder: Path, tmp_path: Path) -> None:
    stopped = train(
        folder / "dataset", tmp_path / "model", SMALL, quiet=True, callbacks=[Budget(seconds=1e-3)]
    )
    assert stopped.training["epochs"] == 1


def test_epochs_fit_their_time() -> None:
    assert epochs_within(minutes=1, begin_s=10, epoch_s=20, most=30) == 2
    assert epochs_within(minutes=10, begin_s=10, epoch_s=20, most=12) == 12
    assert epochs_within(minutes=0.1, begin_s=10, epoch_s=20, most=12) == 1


def test_an_epoch_is_measured_by_its_steps(folder: Path) -> None:
    begin_s, epoch_s = measure(folder / "dataset", SMALL)
    assert begin_s > 0
    assert epoch_s > 0


def test_slices_add_up_to_the_whole(folder: Path) -> None:
    queries = Dataset.load(folder / "dataset")
    sequences = queries.sequences
    at = np.flatnonzero(sequences.is_role("val"))
    # The first event of each session is answered at rank 2, the second at rank 1, the others not.
    place = np.arange(len(at)) % 4
    asked = at[place < 2]
    answers = pd.DataFrame(
        {
            "event_id": sequences.event_id[asked],
            "item_id": queries.items.raw(sequences.item[asked]),
            "rank": 2 - place[place < 2],
        }
    )
    wrong = answers.assign(item_id=answers.item_id % 10 + 100, rank=3)
    wrong.item_id = wrong.item_id.where(wrong.item_id != answers.item_id, 100 + (answers.item_id + 1) % 10)
    found = ndcg_by_slice(queries, pd.concat([wrong, answers]), "val")
    second = 1 / np.log2(3)
    assert found["session_event"]["first"] == [round(second, 5), 12]
    assert found["session_event"]["later"] == [round(1 / 3, 5), 36]
    assert found["history_sessions"] == {"2-3": [round((second + 1) / 4, 5), 48]}
    assert [queries for _, queries in found["place_in_session"].values()] == [12, 12, 24]
