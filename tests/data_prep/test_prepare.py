"""Logs of every form become the dataset that the contract describes."""

import gzip
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
from data_prep.sequences import shard_bounds
from data_prep.times import read_times
from data_prep.values import encode
from tfrec.dataset import Dataset
from tfrec.errors import DataError, SettingsError
from tfrec.schema import FIRST_ROW, REJECTED_FILE, UNKNOWN_ROW

QUIET = Console(quiet=True)
LogMaker = Callable[..., pd.DataFrame]
Preparer = Callable[..., Dataset]


def run(paths: list[Path], out: Path, **options: object) -> Dataset:
    data_prep.prepare("log", paths, out, PrepareOptions.model_validate(options), console=QUIET)
    return Dataset.load(out)


def events_of(dataset: Dataset) -> list[tuple[object, object, int]]:
    s = dataset.sequences
    raw = np.concatenate([[None, "unknown"], dataset.items.values.astype(object)])
    return [(s.user_id[u], raw[i], int(t)) for u, i, t in zip(s.user_of_event, s.item, s.time, strict=True)]


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet", "jsonl", "folder"])
def test_every_form_gives_the_same_dataset(shop_log: LogMaker, tmp_path: Path, form: str) -> None:
    frame = shop_log()
    path = tmp_path / f"log.{form}"
    if form == "csv":
        frame.to_csv(path, index=False)
    elif form == "csv.gz":
        path.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    elif form == "parquet":
        frame.to_parquet(path)
    elif form == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        path.mkdir()
        frame.iloc[:20].to_csv(path / "a.csv", index=False)
        frame.iloc[20:].to_parquet(path / "b.parquet")
    dataset = run([path], tmp_path / "dataset", split="none")
    assert events_of(dataset) == sorted(frame.itertuples(index=False, name=None), key=lambda r: (r[0], r[2]))
    assert dataset.schema.user_id_type == "string"
    assert dataset.schema.item_id_type == "int64"
    assert dataset.schema.counts.sessions == 16


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_ids_come_back_as_they_were(raw: list[str]) -> None:
    import pyarrow as pa

    column = encode(pa.array(raw))
    assert [str(column.values[c]) for c in column.codes] == raw


def test_integers_are_integers_and_007_is_text() -> None:
    import pyarrow as pa

    assert encode(pa.array(["-5", "12", None])).values.tolist() == [-5, 12]
    assert encode(pa.array(["007", "12"])).values.tolist() == ["007", "12"]
    assert encode(pa.array([1.0, float("nan"), 3.0])).codes.tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        (["1600000000", "1600000001.5"], "s"),
        (["1600000000000", "1600000001500"], "ms"),
        (["1600000000000000", "1600000001500000"], "us"),
        (["2020-09-13T12:26:40Z", "2020-09-13 14:26:41+02:00"], "iso"),
    ],
)
def test_times_are_found_out(texts: list[str], unit: str) -> None:
    import pyarrow as pa

    times = read_times(pa.array(texts), "auto")
    assert times.unit == unit
    assert times.seconds.tolist() == [1_600_000_000, 1_600_000_001]
    assert times.readable.all()


def test_no_event_of_val_or_test_is_train(prepared: Preparer, shop_log: LogMaker) -> None:
    from tfrec.epochs import Epochs
    from tfrec.settings_file import load_settings

    frame = shop_log(users=6, days=6)
    for split in ("last_session", "leave_one_out", "global_time"):
        dataset = prepared(frame, split=split, split_days=1)
        held_out = set(dataset.sequences.event_id[~dataset.sequences.is_role("train")].tolist())
        assert held_out
        epochs = Epochs(dataset, load_settings(None, ["model.max_length=4", "training.rows=2"]))
        assert not held_out & set(epochs.sequences.event_id.tolist())
        # What the batches hold are the train events: each is a target once.
        targets = np.concatenate([y["item"].ravel() for _, y in epochs.batches(0)])
        assert (targets >= FIRST_ROW).sum() == dataset.schema.counts.train_events
        seen = {i for i in targets.tolist() if i >= FIRST_ROW}
        train_items = dataset.sequences.item[dataset.sequences.is_role("train")]
        assert seen == set(train_items.tolist())


def test_items_outside_train_are_unknown(prepared: Preparer, shop_log: LogMaker) -> None:
    frame = shop_log()
    frame.loc[frame.index[-1], "item_id"] = 999  # the last event of the last user
    dataset = prepared(frame, split="leave_one_out")
    assert 999 not in dataset.items.values
    assert dataset.sequences.item[-1] == UNKNOWN_ROW


def test_bad_rows_are_set_aside_with_their_place(shop_log: LogMaker, tmp_path: Path) -> None:
    lines = shop_log(users=9, days=9).to_csv(index=False).splitlines()
    lines[3] = ",5,1600000000"
    lines[7] = "u1,,1600000000"
    lines[9] = "u1,5,yesterday"
    lines[11] = "u1,5,99999999999"
    lines[12] = "u" * 2000 + ",5,1600000000"
    lines[14] = "u1,5"
    lines[16] = "u1,5,-86400"
    lines[17] = "u1,5,NaN"
    (tmp_path / "log.csv").write_text("\n".join(lines))
    dataset = run([tmp_path / "log.csv"], tmp_path / "dataset")
    rejected = pd.read_parquet(tmp_path / "dataset" / REJECTED_FILE)
    assert dataset.schema.counts.rejected_rows == len(rejected) == 8
    assert (rejected["file"] == "log.csv").all()
    by_row = dict(zip(rejected["row_number"], rejected["reason"], strict=True))
    assert by_row[10] == "timestamp is no time between 1970 and tomorrow"
    assert by_row[8] == "item_id is missing"
    assert by_row[17] == by_row[12] == by_row[10]
    assert by_row[18] == "timestamp is missing"
    assert {4, 8, 10, 12, 13, 15, 17, 18} == set(by_row)


def test_too_many_bad_rows_stop_before_anything_is_written(shop_log: LogMaker, tmp_path: Path) -> None:
    frame = shop_log().astype({"timestamp": object})
    frame.loc[::2, "timestamp"] = "never"
    frame.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(DataError, match=r"24 of 48 rows cannot be read.*log.csv, row 2.*never.*--time-unit"):
        run([tmp_path / "log.csv"], tmp_path / "dataset")
    assert [p.name for p in tmp_path.iterdir()] == ["log.csv"]


def test_duplicates_bots_and_rare_ones_go(prepared: Preparer, shop_log: LogMaker) -> None:
    frame = shop_log(users=5, days=5)
    bot = pd.DataFrame(
        {"user_id": "bot", "item_id": range(1000), "timestamp": 1_600_000_000 + np.arange(1000)}
    )
    rare = pd.DataFrame({"user_id": ["once"], "item_id": [3], "timestamp": [1_600_000_000]})
    dataset = prepared(pd.concat([frame, frame.iloc[:7], bot, rare]), min_user_events=2, min_item_events=2)
    assert set(dataset.sequences.user_id) == {f"u{i}" for i in range(5)}
    assert dataset.schema.counts.events == len(frame)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"user_id,item_id,timestamp\n", "the log is empty"),
        (b"1,2,3\n4,5,6\n", "has no column 'user_id'"),
        (b"user,item_id,timestamp\n1,2,3\n", "Did you mean 'user'"),
        (b"\x00\x01\x02" * 99, "binary"),
        (b"user_id,item_id,timestamp\n,,\n,,\n", r"2 of 2 rows cannot be read.*user_id=\(missing\)"),
    ],
)
def test_what_is_no_log_is_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        run([tmp_path / "log.csv"], tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()


def test_one_user_and_one_item(prepared: Preparer) -> None:
    dataset = prepared(pd.DataFrame({"user_id": [-1], "item_id": ["ü"], "timestamp": [1_600_000_000]}))
    assert dataset.schema.counts.users == dataset.schema.counts.items == 1
    assert dataset.items.values.tolist() == ["ü"]
    assert dataset.sequences.user_id.tolist() == [-1]


def test_context_and_item_features(shop_log: LogMaker, tmp_path: Path) -> None:
    frame = shop_log().assign(device=lambda f: np.where(f.index % 2, "phone", None), dwell=1.5)
    frame.to_csv(tmp_path / "log.csv", index=False)
    items = pd.DataFrame(
        {"item_id": range(11), "genres": "a|b", "price": np.arange(11) / 2, "brand": ["x", "y"] * 5 + [None]}
    )
    items.to_csv(tmp_path / "items.csv", index=False)
    dataset = run(
        [tmp_path / "log.csv"],
        tmp_path / "dataset",
        context={"device": "auto", "dwell": "auto"},
        items_file=tmp_path / "items.csv",
        split="none",
    )
    assert {c.name: c.kind for c in dataset.schema.context} == {"device": "categorical", "dwell": "numeric"}
    assert dataset.context["device"].values.tolist() == ["phone"]
    assert set(dataset.sequences.context["device"].tolist()) == {UNKNOWN_ROW, FIRST_ROW}
    kinds = {f.name: f.kind for f in dataset.schema.item_features}
    assert kinds == {"genres": "multi", "price": "numeric", "brand": "categorical"}
    assert dataset.features["genres"].values.tolist() == ["a", "b"]
    prices = dataset.catalogue["price"].to_numpy()
    price = next(f for f in dataset.schema.item_features if f.name == "price")
    np.testing.assert_allclose([price.mean, price.std], [prices.mean(), prices.std()])


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 12))
def test_shards_are_balanced(lengths: list[int], shards: int) -> None:
    offsets = np.append(0, np.cumsum(lengths))
    bounds = shard_bounds(offsets, shards)
    assert bounds[0] == 0
    assert bounds[-1] == len(lengths)
    assert len(bounds) == min(shards, len(lengths)) + 1
    assert (np.diff(bounds) >= 1).all()
    sizes = np.diff(offsets[bounds])
    if len(lengths) >= 2 * shards:
        assert sizes.max() <= offsets[-1] / (len(bounds) - 1) + 2 * max(lengths)


def test_unknown_source_and_option(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no source .netflix.; known are\n  log: any log"):
        data_prep.prepare("netflix", [], tmp_path / "dataset", console=QUIET)
