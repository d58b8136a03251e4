"""Vocabularies: there and back again, growth, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.errors import DataError
from tfrec.schema import FIRST_ROW, PADDING_ROW, UNKNOWN_ROW
from tfrec.vocabulary import Vocabulary

INTEGERS = st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, min_size=1)
STRINGS = st.lists(st.text(), unique=True, min_size=1)
IDS = INTEGERS | STRINGS


@given(IDS)
def test_raw_ids_come_back(ids: list[int] | list[str]) -> None:
    vocabulary = Vocabulary(ids)
    rows = vocabulary.rows(ids)
    assert rows.dtype == np.int32
    assert rows.tolist() == list(range(FIRST_ROW, vocabulary.size))
    assert vocabulary.raw(rows).tolist() == ids


@given(INTEGERS, st.integers(-(2**63), 2**63 - 1))
def test_only_known_ids_have_a_row(ids: list[int], wanted: int) -> None:
    row = Vocabulary(ids).rows(wanted)
    assert row.shape == ()
    assert int(row) == (FIRST_ROW + ids.index(wanted) if wanted in ids else UNKNOWN_ROW)


@given(IDS.flatmap(lambda ids: st.tuples(st.just(ids), st.lists(st.sampled_from(ids)), INTEGERS | STRINGS)))
def test_growth_keeps_every_row(parts: tuple[list, list, list]) -> None:
    ids, again, new = parts
    if type(ids[0]) is not type(new[0]):
        new = []
    grown = Vocabulary(ids).grow([*again, *new, *new])
    assert grown.raw(np.arange(FIRST_ROW, FIRST_ROW + len(ids))).tolist() == ids
    assert grown.values.tolist() == ids + [value for value in new if value not in ids]


@given(INTEGERS, INTEGERS)
def test_remap_leads_to_the_same_ids(ids: list[int], others: list[int]) -> None:
    here, there = Vocabulary(ids), Vocabulary(others)
    mapping = here.remap(there)
    assert mapping[:FIRST_ROW].tolist() == [PADDING_ROW, UNKNOWN_ROW]
    assert mapping[there.rows(others)].tolist() == here.rows(others).tolist()


@pytest.mark.parametrize(
    "ids",
    [[5, -1, 2**62], ["bread", "Brötchen", "面包", "", " 1", "1"], []],
    ids=["int64", "string", "empty"],
)
def test_saved_and_loaded(ids: list, tmp_path: Path) -> None:
    path = tmp_path / "vocabulary" / "item.parquet"
    Vocabulary(ids).save(path)
    loaded = Vocabulary.load(path)
    assert loaded.values.tolist() == ids
    assert loaded.rows(ids).tolist() == list(range(FIRST_ROW, loaded.size))
    assert loaded.grow(ids[:1]).size == loaded.size


def test_rows_have_the_shape_of_the_ids() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.rows([["a", "x"], ["b", "a"]]).tolist() == [[2, UNKNOWN_ROW], [3, 2]]
    assert vocabulary.rows(np.zeros((0, 3), object)).shape == (0, 3)


def test_ids_of_the_other_type_are_unknown() -> None:
    assert Vocabulary(["1", "2"]).rows([1, 2]).tolist() == [UNKNOWN_ROW, UNKNOWN_ROW]
    assert Vocabulary([1, 2]).rows(["1", "2"]).tolist() == [UNKNOWN_ROW, UNKNOWN_ROW]


def test_an_empty_vocabulary_knows_nothing() -> None:
    vocabulary = Vocabulary([])
    assert vocabulary.size == FIRST_ROW
    assert vocabulary.rows([3, 4]).tolist() == [UNKNOWN_ROW, UNKNOWN_ROW]
    assert vocabulary.grow(["a"]).values.tolist() == ["a"]


def test_an_id_that_stands_twice_is_named() -> None:
    with pytest.raises(DataError, match="'milk' twice"):
        Vocabulary(["milk", "bread", "milk"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (PADDING_ROW, r"row 0 \(padding\)"),
        (UNKNOWN_ROW, r"row 1 \(unknown\)"),
        (4, r"row 4 .*2\.\.3"),
        (-1, "row -1 "),
    ],
)
def test_rows_without_an_id_are_refused(row: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Vocabulary(["a", "b"]).raw(np.array([2, row]))


def test_what_is_no_vocabulary_is_named(tmp_path: Path) -> None:
    missing, binary, other = (
        tmp_path / "missing.parquet",
        tmp_path / "binary.parquet",
        tmp_path / "other.parquet",
    )
    binary.write_bytes(bytes(range(256)))
    pd.DataFrame({"id": [1]}).to_parquet(other)
    for path in (missing, binary, other):
        with pytest.raises(DataError, match=rf"{path.name} is no vocabulary"):
            Vocabulary.load(path)
