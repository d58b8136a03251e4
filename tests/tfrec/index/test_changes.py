"""Items added to and removed from an index, against a dictionary of what should be in it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tfrec.index.made import as_dict, best_ids, index_of, queries, segment
from tfrec.config_answers import AnswerSettings
from tfrec.errors import DataError, SettingsError
from tfrec.index.changes import add, remove
from tfrec.index.folder import load_newest, write_index
from tfrec.index.ids import NO_ROW
from tfrec.index.info import ScannSettings

SCANN = ScannSettings(leaves=6, leaves_to_search=6, reorder=60)


@pytest.mark.parametrize("scann", [None, SCANN], ids=["exact", "scann"])
def test_what_is_added_is_found_and_what_is_removed_is_not(
    scann: ScannSettings | None, tmp_path: Path
) -> None:
    base, new = segment(range(60)), segment([500, 501, 3], seed=8)
    first = write_index(index_of(base, scann), tmp_path)
    second = add(tmp_path, new, 7)
    third = remove(tmp_path, [501, 10])
    index = load_newest(tmp_path)
    assert [first.name, second.name, third.name] == ["1", "2", "3"]
    assert (index.info.items, index.info.added, index.info.removed) == (60, 2, 2)
    items = as_dict(base, new)
    del items[501], items[10]
    asked = queries(15)
    rows, scores = index.search(asked, 6)
    for q, query in enumerate(asked):
        found = index.raw(rows[q], -1).tolist()
        assert found == best_ids(items, query, 6)
        np.testing.assert_allclose(scores[q], [items[item] @ query for item in found], rtol=1e-5)
    assert index.rows(np.array([501, 10])).tolist() == [NO_ROW, NO_ROW]
    np.testing.assert_array_equal(index.embeddings(index.rows(np.array([3, 500, 59])))[0], new.embedding[2])
    # 500 and 3 are red and none; of the base every third is red, without the removed.
    red = index.raw(index.having("colour", [b"red"]).rows, -1).tolist()
    assert sorted(red) == sorted({*range(0, 60, 3), 500} - {3})
    # The base is shared, not copied.
    assert (second / "base" / "embedding.npy").samefile(third / "base" / "embedding.npy")


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_any_series_of_changes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("index")
    base = segment(range(30))
    write_index(index_of(base), folder)
    items = as_dict(base)
    ids = st.lists(st.integers(0, 60), min_size=1, max_size=8, unique=True)
    for step in range(data.draw(st.integers(1, 5))):
        chosen = data.draw(ids)
        if data.draw(st.booleans()):
            new = segment(chosen, seed=100 + step)
            add(folder, new, 7)
            items |= as_dict(new)
        else:
            there = [item for item in chosen if item in items]
            if there and len(there) < len(items):
                remove(folder, there)
                items = {item: e for item, e in items.items() if item not in there}
    index = load_newest(folder)
    query = queries(1)
    rows, _ = index.search(query, 10)
    real = rows[0][rows[0] != NO_ROW]
    assert len(index) == index.info.items == len(items)
    assert index.raw(real, -1).tolist() == best_ids(items, query[0], 10)
    assert not np.isin(index.popular(99), index.removed).any()
    assert len(index.popular(99)) == len(items)


def test_many_changes_build_the_search_anew(tmp_path: Path) -> None:
    base = segment(range(40))
    write_index(index_of(base, SCANN), tmp_path)
    remove(tmp_path, [0, 2, 4, 6, 8])
    index = load_newest(tmp_path)
    assert (index.info.items, index.info.removed, len(index.base)) == (35, 0, 35)
    assert index.info.recall is not None
    # The first were the most popular; what is known of an item stays when it is embedded anew.
    assert index.raw(index.popular(3), -1).tolist() == [1, 3, 5]
    add(tmp_path, segment(range(100, 120), seed=4), 7)
    index = load_newest(tmp_path)
    assert (index.info.items, index.info.added, len(index.base)) == (55, 0, 55)


def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    base = segment(range(30))
    write_index(index_of(base), tmp_path)
    new = segment([99])
    with pytest.raises(DataError, match="another model"):
        add(tmp_path, new, 8)
    with pytest.raises(DataError, match="lack the columns colour"):
        add(tmp_path, replace(new, columns={}), 7)
    with pytest.raises(DataError, match="8 dimensions, expected 9"):
        add(tmp_path, replace(new, embedding=new.embedding[:, :8]), 7)
    with pytest.raises(DataError, match=r"no items \[77\]"):
        remove(tmp_path, [3, 77])
    with pytest.raises(DataError, match="all of its items"):
        remove(tmp_path, list(range(30)))
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_items_that_must_not_be_ranked_are_not_added(tmp_path: Path) -> None:
    base = segment(range(30))
    write_index(index_of(base, has_formula=True), tmp_path / "refuse")
    with pytest.raises(SettingsError, match="unknown_candidates=rank"):
        add(tmp_path / "refuse", segment([99]), 7)
    answers = AnswerSettings(unknown_candidates="rank")
    write_index(index_of(base, has_formula=True, answers=answers), tmp_path / "rank")
    add(tmp_path / "rank", segment([99]), 7)
