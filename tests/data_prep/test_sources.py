"""Known logs: their files, and what the judge makes of the same ones."""

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
from tfrec.errors import DataError, SettingsError

QUIET = Console(quiet=True)


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


def test_our_splits_are_the_judge_s(judge: ModuleType, shared: Path, tmp_path: Path) -> None:
    for name, source, split in (("ebnerd", "ebnerd", "last_session"), ("ml-1m", "log", "leave_one_out")):
        path = shared / "data" / name / "interactions.parquet"
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


def test_retailrocket_s_folder_gives_categories(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n1433224214164,992329,addtocart,248676,\n"
    )
    header = "timestamp,itemid,property,value\n"
    (tmp_path / "item_properties_part1.csv").write_text(
        f"{header}1433041200000,355908,categoryid,1338\n1433646000000,355908,categoryid,1114\n"
    )
    (tmp_path / "item_properties_part2.csv").write_text(
        f"{header}1431226800000,355908,categoryid,7\n1431226800000,248676,888,n552 x\n"
    )
    (tmp_path / "category_tree.csv").write_text("categoryid,parentid\n1114,\n")
    dataset = prepare("retailrocket", [tmp_path], tmp_path / "dataset", split="none")
    by_id = dataset.catalogue.set_index("item_id")["categoryid"]
    assert by_id[355908] == "1114"
    assert pd.isna(by_id[248676])
    assert dataset.features["categoryid"].values.tolist() == ["1114"]


def test_ebnerd_s_bundle(tmp_path: Path) -> None:
    def moment(minute: int) -> pd.Timestamp:
        return pd.Timestamp(2023, 5, 1, 12, minute)

    def history(part: str, users: dict[int, list[tuple[int, int]]]) -> None:
        (tmp_path / part).mkdir()
        pd.DataFrame(
            {
                "user_id": list(users),
                "article_id_fixed": [[article for article, _ in reads] for reads in users.values()],
                "impression_time_fixed": [[moment(m) for _, m in reads] for reads in users.values()],
                "read_time_fixed": [[float(m) for _, m in reads] for reads in users.values()],
                "scroll_percentage_fixed": [[np.nan for _ in reads] for reads in users.values()],
            }
        ).to_parquet(tmp_path / part / "history.parquet")

    history("train", {7: [(100, 1), (101, 2)], 8: [(100, 5)]})
    history("validation", {7: [(101, 2), (102, 9)], 9: []})
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "train" / "behaviors.parquet")
    pd.DataFrame(
        {
            "article_id": [100, 101, 102],
            "title": ["Én", "To", "Tre"],
            "category_str": ["sport", "nyheder", "sport"],
            "topics": [["Fodbold", "Live"], [], ["Fodbold"]],
        }
    ).to_parquet(tmp_path / "articles.parquet")
    dataset = prepare("ebnerd", [tmp_path], tmp_path / "dataset", split="none")
    ours, reads = frame_of(dataset), [(7, 100), (7, 101), (7, 102), (8, 100)]
    assert list(zip(ours["user_id"], ours["item_id"], strict=True)) == reads
    assert dataset.sequences.time[0] == moment(1).timestamp()
    assert dataset.sequences.context["read_time"].tolist() == [1, 2, 9, 5]
    assert {f.name: f.kind for f in dataset.schema.item_features} == {
        "category_str": "categorical",
        "topics": "multi",
    }
    assert dataset.catalogue.set_index("item_id")["title"][100] == "Én"


JUDGED = pd.DataFrame(
    {
        "event_id": [0, 1, 2, 3],
        "user_id": [1, 1, 2, 2],
        "item_id": [5, 6, 5, 6],
        "timestamp": 1_600_000_000,
        "session_id": [0, 0, 1, 1],
        "role": ["train", "test", "train", "val"],
    }
)


def test_a_judged_log_is_kept_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    JUDGED.to_parquet(path)
    dataset = prepare("judge", [path], tmp_path / "dataset")
    assert dataset.schema.split == "judge"
    assert dataset.sequences.role.tolist() == [0, 2, 0, 1]
    with pytest.raises(SettingsError, match="leave min_item_events out"):
        prepare("judge", [path], tmp_path / "other", min_item_events=2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user_id": [1, 2, 1, 2]}, "sorted"),
        ({"session_id": [0, 1, 0, 1], "user_id": [1, 1, 1, 1]}, "sorted"),
        ({"event_id": [0, 2, 1, 3]}, "sorted"),
        ({"role": ["train", "dev", "train", "val"]}, "role 'dev' is none of"),
        ({"timestamp": [1_600_000_000, None, 1_600_000_000, 1_600_000_000]}, "timestamp is missing"),
    ],
)
def test_a_judged_log_with_a_fault_is_refused(tmp_path: Path, change: dict[str, list], words: str) -> None:
    JUDGED.assign(**change).to_parquet(tmp_path / "events.parquet")
    with pytest.raises(DataError, match=words):
        prepare("judge", [tmp_path / "events.parquet"], tmp_path / "dataset")


def test_features_of_a_known_log_can_be_forced(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text(MOVIES["ratings.dat"][0], encoding="utf-8")
    (tmp_path / "movies.dat").write_text(TITLES["movies.dat"], encoding="latin-1")
    dataset = prepare(
        "movielens",
        [tmp_path],
        tmp_path / "a",
        split="none",
        features={"title": "categorical", "genres": "none"},
    )
    assert [f.name for f in dataset.schema.item_features] == ["title"]
    pd.DataFrame({"movieId": [10, 20], "year": [1994, 1995]}).to_csv(tmp_path / "own.csv", index=False)
    own = prepare("movielens", [tmp_path], tmp_path / "b", split="none", items_file=tmp_path / "own.csv")
    assert [f.name for f in own.schema.item_features] == ["year"]
