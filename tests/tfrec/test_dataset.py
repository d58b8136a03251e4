"""Dataset folders: read whole, or refused with the reason."""

import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.dataset import Dataset
from tfrec.errors import DataError
from tfrec.schema import CATALOGUE_FILE, ROLES, SCHEMA_FILE, SEQUENCES_FOLDER, UNKNOWN_ROW, ContextColumn
from tfrec.sequences import Sequences
from tfrec.vocabulary import Vocabulary


def events_of(items: list[list[str]]) -> pd.DataFrame:
    """Users as lists of items; the last of each is in test."""
    rows = [
        (user, item, place // 2, "test" if place + 1 == len(own) else "train")
        for user, own in enumerate(items)
        for place, item in enumerate(own)
    ]
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "session_id", "role"])
    return events.assign(timestamp=np.arange(len(rows)))


@pytest.fixture
def dataset(dataset_of: Callable[..., Dataset]) -> Dataset:
    """Two users, with a categorical and a numeric context column."""
    dataset = dataset_of(events_of([["a", "b", "a"], ["c", "a", "b", "new"]]))
    context = {
        "store": np.array([2, 3, 2, 1, 3, 3, 2], np.int32),
        "price": np.linspace(0, 1, 7, dtype=np.float32),
    }
    columns = (
        ContextColumn(name="store", kind="categorical", size=4),
        ContextColumn(name="price", kind="numeric"),
    )
    return replace(
        dataset,
        schema=dataset.schema.model_copy(update={"context": columns, "shards": 2}),
        sequences=replace(dataset.sequences, context=context),
        context={"store": Vocabulary(["north", "south"])},
    )


@pytest.fixture
def folder(dataset: Dataset, write_dataset: Callable[[Dataset, Path], None], tmp_path: Path) -> Path:
    write_dataset(dataset, tmp_path / "dataset")
    return tmp_path / "dataset"


def assert_same_events(found: Sequences, expected: Sequences) -> None:
    for name in (field.name for field in fields(Sequences) if field.name != "context"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
        assert ours.dtype == theirs.dtype or name == "user_id", name
    assert found.context.keys() == expected.context.keys()
    for name, values in expected.context.items():
        np.testing.assert_array_equal(found.context[name], values)
        assert found.context[name].dtype == values.dtype


def test_a_folder_is_read_as_it_was_written(dataset: Dataset, folder: Path) -> None:
    loaded = Dataset.load(folder)
    assert_same_events(loaded.sequences, dataset.sequences)
    assert loaded.schema == dataset.schema
    assert loaded.items.values.tolist() == dataset.items.values.tolist()
    assert loaded.context["store"].values.tolist() == ["north", "south"]
    pd.testing.assert_frame_equal(loaded.catalogue, dataset.catalogue, check_dtype=False)


@given(
    items=st.lists(st.lists(st.sampled_from("abcdefü"), min_size=2, max_size=6), min_size=1, max_size=6),
    shards=st.integers(1, 4),
)
def test_any_number_of_shards_holds_the_same_events(
    items: list[list[str]],
    shards: int,
    dataset_of: Callable[..., Dataset],
    write_dataset: Callable[[Dataset, Path], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    dataset = dataset_of(events_of(items))
    dataset = replace(dataset, schema=dataset.schema.model_copy(update={"shards": min(shards, len(items))}))
    folder = tmp_path_factory.mktemp("shards") / "dataset"
    write_dataset(dataset, folder)
    assert_same_events(Dataset.load(folder).sequences, dataset.sequences)


def test_events_know_their_user_and_role(dataset: Dataset) -> None:
    sequences = dataset.sequences
    assert sequences.users == 2
    assert sequences.user_of_event.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert np.flatnonzero(sequences.is_role("test")).tolist() == [2, 6]
    assert sum(sequences.is_role(role).sum() for role in ROLES) == 7


def test_another_cut_of_the_log_speaks_in_the_rows_of_the_first(dataset_of: Callable[..., Dataset]) -> None:
    first = dataset_of(events_of([["a", "b", "b", "a"], ["b", "a", "a"]]))
    second = dataset_of(events_of([["c", "a", "c", "c", "b"]]))
    moved = second.in_rows_of(first)
    known = moved.sequences.item != UNKNOWN_ROW
    assert known.tolist() == [False, True, False, False, False]  # c is new to first, b to second
    assert moved.items.raw(moved.sequences.item[known]).tolist() == ["a"]
    assert moved.items is first.items


def test_other_context_columns_are_named(dataset: Dataset, dataset_of: Callable[..., Dataset]) -> None:
    other = dataset_of(events_of([["a", "b"]]))
    with pytest.raises(DataError, match=r"context columns: \[\] and \['price', 'store'\]"):
        other.in_rows_of(dataset)


def test_a_missing_shard_is_counted(folder: Path) -> None:
    (folder / SEQUENCES_FOLDER / "part-00001.parquet").unlink()
    with pytest.raises(DataError, match="has 1 shards, its schema says 2"):
        Dataset.load(folder)


def test_a_truncated_shard_is_named(folder: Path) -> None:
    shard = folder / SEQUENCES_FOLDER / "part-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"{SEQUENCES_FOLDER} cannot be read.*Prepare the log again"):
        Dataset.load(folder)


@pytest.mark.parametrize("column", ["role", "context.store"])
def test_a_missing_column_is_named(folder: Path, column: str) -> None:
    for shard in (folder / SEQUENCES_FOLDER).iterdir():
        pd.read_parquet(shard).drop(columns=column).to_parquet(shard)
    with pytest.raises(DataError, match=rf"{SEQUENCES_FOLDER} cannot be read.*{column}"):
        Dataset.load(folder)


def test_lists_of_different_lengths_are_named(folder: Path) -> None:
    shard = folder / SEQUENCES_FOLDER / "part-00000.parquet"
    table = pd.read_parquet(shard)
    table["time"] = table["time"].map(lambda times: times[:-1])
    table.to_parquet(shard)
    with pytest.raises(DataError, match=r"lists of column 'time' are not as long as those of 'item'"):
        Dataset.load(folder)


def test_an_item_beyond_the_vocabulary_is_named(folder: Path) -> None:
    Vocabulary(["a"]).save(folder / "vocabulary" / "item.parquet")
    with pytest.raises(DataError, match=r"item row [34], beyond the vocabulary"):
        Dataset.load(folder)


@pytest.mark.parametrize(
    "name", [SCHEMA_FILE, CATALOGUE_FILE, "vocabulary/item.parquet", "vocabulary/context.store.parquet"]
)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=Path(name).name):
        Dataset.load(folder)


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is no dataset"):
        Dataset.load(tmp_path / "nowhere")


def test_a_folder_can_be_moved(folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    shutil.move(folder, tmp_path / "elsewhere")
    assert_same_events(Dataset.load(tmp_path / "elsewhere").sequences, dataset.sequences)
