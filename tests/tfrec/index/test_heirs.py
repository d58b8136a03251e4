"""What is inherited, against a loop; and that it survives every change of an index."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.tfrec.index.made import index_of, segment
from tfrec.index.changes import add, remove
from tfrec.index.folder import load_newest, write_index
from tfrec.index.heirs import NOBODY, Heirs, Inheritance
from tfrec.index.index import Index
from tfrec.index.segment import Segment, joined


@given(data=st.data())
def test_what_is_inherited_is_a_sum_over_what_an_item_is_like(data: st.DataObject) -> None:
    entries = data.draw(
        st.lists(st.tuples(st.integers(10, 14), st.integers(0, 9), st.floats(0.1, 3)), max_size=30)
    )
    heir, source, weight = (np.array(part) for part in zip(*entries, strict=True)) if entries else [[]] * 3
    inheritance = Inheritance(
        np.array(heir, np.int64), np.array(source, np.int64), np.array(weight, np.float32)
    )
    scores = data.draw(st.dictionaries(st.integers(0, 12), st.floats(-20, 20), max_size=8))
    expected: dict[int, float] = {}
    for one, other, part in entries:
        if other in scores:
            expected[one] = expected.get(one, 0) + part * np.exp(scores[other])
    rows, values = inheritance.of(
        np.array(list(scores), np.int64), np.array(list(scores.values()), np.float32)
    )
    assert rows.tolist() == sorted(expected)
    np.testing.assert_allclose(values, [np.log(expected[row]) for row in rows.tolist()], rtol=1e-4, atol=1e-4)


def new_items(ids: list[int], like: list[list[int]], seed: int) -> Segment:
    weight = np.arange(1, 1 + np.size(like), dtype=np.float32).reshape(np.shape(like)) / 10
    heirs = Heirs(np.arange(len(ids)), np.array(like), weight)
    return replace(segment(ids, seed=seed), new=np.ones(len(ids), bool), heirs=heirs)


def inherited(index: Index, of: list[int]) -> dict[int, float]:
    """By id, what is inherited where each of these scores 0."""
    rows = index.rows(np.array(of))
    heirs, values = index.inherited(rows[rows >= 0], np.zeros((rows >= 0).sum(), np.float32))
    return dict(
        zip(index.raw(heirs, -1).tolist(), np.exp(values, dtype=float).round(4).tolist(), strict=True)
    )


def test_heirs_outlive_changes(tmp_path: Path) -> None:
    write_index(index_of(segment(range(60))), tmp_path)
    add(tmp_path, new_items([500, 501], [[3, 4], [4, 59]], seed=8), 7)
    assert inherited(load_newest(tmp_path), [3, 4]) == {500: 0.3, 501: 0.3}
    # Of other width, and in place of one that was added before.
    add(tmp_path, new_items([501, 502], [[3], [59]], seed=9), 7)
    assert inherited(load_newest(tmp_path), [3, 4, 59]) == {500: 0.3, 501: 0.1, 502: 0.2}
    remove(tmp_path, [4, 502])
    assert inherited(load_newest(tmp_path), [3, 4, 59]) == {500: 0.1, 501: 0.1}
    # So many that the base is built anew, and what was added becomes a part of it.
    remove(tmp_path, list(range(20, 40)))
    index = load_newest(tmp_path)
    assert not len(index.added)
    assert inherited(index, [3, 4, 59]) == {500: 0.1, 501: 0.1}
    add(tmp_path, new_items([700], [[500]], seed=4), 7)
    assert inherited(load_newest(tmp_path), [3, 500]) == {500: 0.1, 501: 0.1, 700: 0.1}


def test_segments_carry_their_heirs() -> None:
    first, second = segment(range(5)), new_items([500, 501, 502], [[1], [2], [3]], seed=3)
    assert joined(first, segment([9])).heirs is NOBODY
    both = joined(first, second)
    assert both.heirs.row.tolist() == [5, 6, 7]
    taken = both.take(np.array([7, 0, 5]))
    assert (taken.heirs.row.tolist(), taken.heirs.like.tolist()) == ([0, 2], [[3], [1]])
