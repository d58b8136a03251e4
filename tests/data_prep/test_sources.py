"""Known logs: their files, and what the judge makes of the same ones."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import data_prep
from data_prep import PrepareOptions
from data_prep.sources import SOURCES
from tfrec.dataset import Dataset

QUIET = Console(quiet=True)
SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture(scope="module")
def judge() -> ModuleType:
    path = SHARED / "bench" / "judge.py"
    if not path.exists():
        pytest.skip("the judge (../shared/bench/judge.py) is not on this machine")
    spec = importlib.util.spec_from_file_location("judge", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["judge"] = module
    spec.loader.exec_module(module)
    return module


def prepare(source: str, paths: list[Path], out: Path, **options: object) -> Dataset:
    chosen = SOURCES[source].defaults.model_dump() | options
    data_prep.prepare(source, paths, out, PrepareOptions.model_validate(chosen), console=QUIET)
    return Dataset.load(out)


def frame_of(dataset: Dataset) -> pd.DataFrame:
    s = dataset.sequences
    raw = np.concatenate([[-9, -1], dataset.items.values])
    return pd.DataFrame(
        {
            "user_id": s.user_id[s.user_of_event],
            "item_id": raw[s.item],
            "timestamp": s.time,
            "session": s.session,
            "role": np.array(["train", "val", "test"])[s.role],
        }
    )


def test_complete_journey_is_the_judge_s(judge: ModuleType, tmp_path: Path) -> None:
    events = judge.split("completejourney")
    dataset = prepare("completejourney", [], tmp_path / "dataset")
    ours = frame_of(dataset)
    columns = ["user_id", "timestamp", "item_id", "role"]
    expected = events[columns].sort_values(columns, ignore_index=True)
    pd.testing.assert_frame_equal(ours[columns].sort_values(columns, ignore_index=True), expected)
    assert dataset.schema.counts.sessions == events.session_id.nunique()

    # A basket of the judge is a session of ours: its items, and no others.
    def baskets(frame: pd.DataFrame, session: str) -> list[tuple[int, ...]]:
        return sorted(frame.sort_values("item_id").groupby(["user_id", session])["item_id"].agg(tuple))

    assert baskets(ours, "session") == baskets(events, "session_id")
    # The file lists a basket by ascending product id; here the order says nothing.
    place = ours.groupby(["user_id", "session"]).cumcount()
    rank = ours.groupby(["user_id", "session"])["item_id"].rank()
    size = ours.groupby(["user_id", "session"])["item_id"].transform("size")
    large = size >= 10
    assert abs(np.corrcoef(place[large] / size[large], rank[large] / size[large])[0, 1]) < 0.01
    assert set(dataset.features) >= {"department", "product_category", "brand"}
    assert not dataset.schema.ordered_sessions


@pytest.mark.parametrize("name", ["ebnerd", "ml-1m", "beauty"])
def test_the_judge_s_events_keep_their_split(judge: ModuleType, tmp_path: Path, name: str) -> None:
    events = judge.split(name)
    events.to_parquet(tmp_path / "events.parquet", index=False)
    dataset = prepare("judge", [tmp_path / "events.parquet"], tmp_path / "dataset")
    s = dataset.sequences
    assert s.event_id.tolist() == events.event_id.tolist()
    ours = frame_of(dataset)
    assert ours["role"].tolist() == events.role.tolist()
    known = events.item_id.isin(events[events.role == "train"].item_id)
    assert (ours["item_id"][known] == events.item_id[known]).all()
    assert (ours["item_id"][~known] == -1).all()
    assert dataset.schema.has_clock == (name != "beauty")
    assert dataset.schema.repeats == ("anywhere" if name == "ebnerd" else "never")


def test_our_splits_are_the_judge_s(judge: ModuleType, tmp_path: Path) -> None:
    for name, source, split in (("ebnerd", "ebnerd", "last_session"), ("ml-1m", "log", "leave_one_out")):
        path = SHARED / "data" / name / "interactions.parquet"
        dataset = prepare(source, [path], tmp_path / name, split=split, drop_repeats=True)
        assert frame_of(dataset)["role"].tolist() == judge.split(name).role.tolist()


MOVIES = {
    "ratings.dat": ("1::10::5::978300760\n1::20::3::978300770\n2::10::4::978300780\n", "movies.dat"),
    "u.data": ("1\t10\t5\t978300760\n1\t20\t3\t978300770\n2\t10\t4\t978300780\n", "u.item"),
    "ratings.csv": (
        "userId,movieId,rating,timestamp\n1,10,5,978300760\n1,20,3,978300770\n2,10,4,978300780\n",
        "movies.csv",
    ),
}
TITLES = {
    "movies.dat": "10::Léon (1994)::Crime|Drama\n20::Heat (1995)::Crime\n",
    "u.item": "10|Léon (1994)|||x|0|0|0|0|0|0|1|0|1|0|0|0|0|0|0|0|0|0|0\n"
    "20|Heat (1995)|||x|0|0|0|0|0|0|1|0|0|0|0|0|0|0|0|0|0|0|0\n",
    "movies.csv": 'movieId,title,genres\n10,"Léon (1994)",Crime|Drama\n20,Heat (1995),Crime\n',
}


@pytest.mark.parametrize("name", list(MOVIES))
def test_movielens_in_every_edition(tmp_path: Path, name: str) -> None:
    ratings, movies = MOVIES[name]
    (tmp_path / name).write_text(ratings, encoding="utf-8")
    encoding = "utf-8" if name == "ratings.csv" else "latin-1"
    (tmp_path / movies).write_text(TITLES[movies], encoding=encoding)
    dataset = prepare("movielens", [tmp_path], tmp_path / "dataset", split="none")
    assert dataset.items.values.tolist() == [10, 20]
    assert dataset.catalogue["title"].tolist() == ["Léon (1994)", "Heat (1995)"]
    assert [sorted(g) for g in dataset.catalogue["genres"]] == [["Crime", "Drama"], ["Crime"]]
    assert dataset.sequences.context["rating"].tolist() == [5, 3, 4]


def test_retailrocket(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n1433221332999,257597,transaction,355908,4\n"
        "1433224214164,992329,addtocart,248676,\n"
    )
    dataset = prepare("retailrocket", [tmp_path / "events.csv"], tmp_path / "dataset", split="none")
    assert set(dataset.schema.event_types) == {"view", "transaction", "addtocart"}
    assert dataset.sequences.time.tolist() == [1433221332, 1433221332, 1433224214]
