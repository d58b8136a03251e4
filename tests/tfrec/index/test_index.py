"""Search over an index, with filters, against a loop over all items."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tfrec.index.made import as_dict, best_ids, index_of, queries, segment
from tfrec.errors import DataError, SettingsError
from tfrec.index import exact as exact_module
from tfrec.index import index as index_module
from tfrec.index.building import build_index
from tfrec.index.exact import ExactSearch, best_of
from tfrec.index.folder import load_index, load_newest, write_index
from tfrec.index.ids import NO_ROW, ItemIds, id_array
from tfrec.index.index import Index
from tfrec.index.info import ScannSettings
from tfrec.index.tuning import measured, tuned

BASE = segment(range(1000, 1200))
WHOLE = ScannSettings(leaves=12, leaves_to_search=12, reorder=200)
KINDS = {"exact": None, "scann": WHOLE, "few leaves": ScannSettings(leaves=12, leaves_to_search=1, reorder=5)}


@pytest.fixture(scope="module")
def indexes() -> dict[str, Index]:
    return {name: index_of(BASE, scann) for name, scann in KINDS.items()}


@pytest.mark.parametrize("kind", ["exact", "scann"])
def test_the_best_items_are_found(indexes: dict[str, Index], kind: str) -> None:
    asked = queries(20)
    rows, scores = indexes[kind].search(asked, 7)
    for q, query in enumerate(asked):
        assert indexes[kind].raw(rows[q], -1).tolist() == best_ids(as_dict(BASE), query, 7)
        np.testing.assert_allclose(scores[q], BASE.embedding[rows[q]] @ query, rtol=1e-5)


@pytest.mark.parametrize("at_once", [4, 1 << 16])
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_filters_leave_as_many_answers_as_there_are(
    indexes: dict[str, Index], kind: str, at_once: int, data: st.DataObject
) -> None:
    index = indexes[kind]
    rows = st.lists(st.integers(0, len(BASE) - 1), max_size=200)
    barred = data.draw(rows)
    allowed = data.draw(st.none() | rows)
    k = data.draw(st.integers(1, 30))
    query = queries(1, data.draw(st.integers(0, 100)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "SCORED_AT_ONCE", at_once)
        found, scores = index.search(
            query,
            k,
            [np.array([*barred, NO_ROW], np.int64)],
            [None if allowed is None else index.allowed(np.array(allowed, np.int64))],
        )
    may = set(range(len(BASE)) if allowed is None else allowed) - set(barred)
    real = found[0][found[0] != NO_ROW]
    assert len(real) == min(k, len(may))
    assert set(real.tolist()) <= may
    assert len(set(real.tolist())) == len(real)
    assert (np.diff(scores[0][: len(real)]) <= 1e-6).all()
    assert (scores[0][len(real) :] == -np.inf).all()
    if kind != "few leaves":
        want = best_ids({row: BASE.embedding[row] for row in may}, query[0], k)
        assert real.tolist() == want


def test_a_column_names_rows(indexes: dict[str, Index]) -> None:
    index = indexes["exact"]
    blue = index.having("colour", [b"blue", b"green" * 1000])
    assert blue.rows.tolist() == list(range(1, 200, 3))
    assert index.having("colour", [b"green" * 1000, b"blue"]) is blue
    few = index.allowed(np.array([4, 4, 5, 7, NO_ROW]))
    assert (blue & few).rows.tolist() == (few & blue).rows.tolist() == [4, 7]
    assert blue.holds(np.array([1, 2, NO_ROW])).tolist() == [True, False, False]


@pytest.mark.parametrize("ids", [[5, 3, 9], ["milk", "brød", "a"]], ids=["int64", "string"])
def test_ids_go_both_ways(ids: list[int | str]) -> None:
    base = segment(ids)
    index = index_of(base)
    wire = np.array([x.encode() if isinstance(x, str) else x for x in [*ids[::-1], ids[0]]])
    wire = wire if isinstance(ids[0], int) else wire.astype(object)
    rows = index.rows(wire)
    assert rows.tolist() == [2, 1, 0, 0]
    assert index.raw(rows, -1).tolist() == wire.tolist()
    unknown = np.array([77] if isinstance(ids[0], int) else [b"what"], wire.dtype)
    assert index.rows(unknown).tolist() == [NO_ROW]
    if isinstance(ids[0], str):
        # Ours are not made as wide as whatever is asked for, and NULs at the end count.
        asked = np.array([b"milk\0", b"milk" + b"k" * 10**6, b"", b"milk"], object)
        assert index.rows(asked).tolist() == [NO_ROW, NO_ROW, NO_ROW, 0]


def test_bad_ids_are_refused() -> None:
    with pytest.raises(DataError, match="5 stands twice"):
        ItemIds(np.array([5, 6, 5]))
    with pytest.raises(DataError, match="whole number"):
        id_array(["5"], "int64")
    with pytest.raises(DataError, match="NUL"):
        id_array(["a\0"], "string")
    with pytest.raises(DataError, match="not empty"):
        id_array([""], "string")


@pytest.mark.parametrize("kind", ["exact", "scann"])
def test_a_folder_can_be_moved_and_answers_alike(
    indexes: dict[str, Index], kind: str, tmp_path: Path
) -> None:
    first = write_index(indexes[kind], tmp_path / "a")
    assert first == tmp_path / "a" / "1"
    (tmp_path / "a").rename(tmp_path / "b")
    loaded = load_newest(tmp_path / "b")
    assert loaded.info == indexes[kind].info
    for found, expected in zip(
        loaded.search(queries(9), 5), indexes[kind].search(queries(9), 5), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(DataError, match="exists already"):
        write_index(indexes[kind], tmp_path / "b")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _instead(folder: Path) -> None:
    """A file where the folder was."""
    shutil.rmtree(folder)
    folder.write_text("")


def _turn(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: _cut(folder / "base" / "embedding.npy"), "embedding.npy: expected"),
        (lambda folder: _turn(folder / "base" / "item_id.npy"), "item_id.npy is damaged"),
        (lambda folder: (folder / "index.json").unlink(), "no index"),
        (lambda folder: _cut(folder / "index.json"), "cannot be read"),
        (
            lambda folder: (folder / "removed.npy").write_bytes(b""),
            "expected 128 bytes, found 0",
        ),
        (lambda folder: _turn(folder / "scann" / "hashed_dataset.npy"), "hashed_dataset.npy is damaged"),
        (lambda folder: (folder / "scann" / "scann_assets.pbtxt").unlink(), "found nothing"),
        (lambda folder: (folder / "files.json").unlink(), "no whole index"),
        (lambda folder: _instead(folder), "cannot be read"),
        (lambda folder: _cut(folder / "files.json"), "cannot be read"),
    ],
)
def test_damage_is_found(
    indexes: dict[str, Index], damage: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    folder = write_index(indexes["scann"], tmp_path)
    damage(folder)
    with pytest.raises(DataError, match=words):
        load_index(folder)


def test_an_exact_index_holds_its_embeddings_and_checks_them(
    indexes: dict[str, Index], tmp_path: Path
) -> None:
    folder = write_index(indexes["exact"], tmp_path)
    loaded = load_index(folder)
    rows = loaded.search(queries(3), 5)[0]
    _cut(folder / "base" / "embedding.npy")
    np.testing.assert_array_equal(loaded.search(queries(3), 5)[0], rows)
    write_index(indexes["exact"], tmp_path / "again")
    _turn(tmp_path / "again" / "1" / "base" / "embedding.npy")
    with pytest.raises(DataError, match=r"embedding.npy is damaged"):
        load_newest(tmp_path / "again")


def test_no_version_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no version"):
        load_newest(tmp_path / "none")


def test_recall_is_measured_and_tuned() -> None:
    base = segment(range(2000), seed=3)
    poor = index_of(base, ScannSettings(leaves=40, leaves_to_search=1, reorder=10))
    asked = queries(60, 5)
    before = measured(poor.structure, base.embedding, asked)
    assert before.queries == 60
    assert before.at_10 < 0.7
    rows, _ = poor.search(asked, 10)
    hits = [
        len(set(rows[q].tolist()) & set(best_ids(dict(enumerate(base.embedding)), query, 10)))
        for q, query in enumerate(asked)
    ]
    assert before.at_10 == pytest.approx(np.mean(hits) / 10, abs=1e-5)
    better = tuned(poor.structure, base.embedding, asked, 0.9)
    assert measured(better, base.embedding, asked).at_10 >= 0.9
    index = build_index(poor.info, base, asked, recall=0.9)
    assert index.info.recall is not None
    assert index.info.recall.queries == 30
    assert index.info.scann == index.structure.settings
    with pytest.raises(SettingsError, match="best that ScaNN reaches"):
        tuned(poor.structure, base.embedding, asked, 1.1)


def test_of_equal_scores_the_first_is_found() -> None:
    rows, scores = best_of(np.array([[1.0, 3.0, 3.0, 2.0, 3.0]], np.float32), 3)
    assert rows.tolist() == [[1, 2, 4]]
    assert scores.tolist() == [[3.0, 3.0, 3.0]]


def test_searching_needs_no_tensorflow(indexes: dict[str, Index], tmp_path: Path) -> None:
    write_index(indexes["scann"], tmp_path)
    script = f"""
import sys
from pathlib import Path
from tfrec.index.folder import load_newest
index = load_newest(Path({str(tmp_path)!r}))
rows, _ = index.search(index.queries[:1], 3)
assert len(rows[0]) == 3
assert not {{"tensorflow", "keras", "pandas"}} & set(sys.modules), "heavy"
import scann
assert hasattr(scann, "scann_ops"), "whoever wants the ops can still have them"
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_exact_search_in_blocks_is_a_sort(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    items, k = data.draw(st.integers(1, 300)), data.draw(st.integers(1, 40))
    # Few distinct values, so that many scores are equal, and blocks get better or worse as they come.
    embedding = random.integers(-2, 3, (items, 3)).astype(np.float32)
    embedding[:, -1] += np.linspace(0, data.draw(st.integers(-6, 6)), items).round()
    asked = random.integers(-2, 3, (data.draw(st.integers(0, 9)), 3)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_module, "CANDIDATES", data.draw(st.integers(1, 50)))
        patch.setattr(exact_module, "QUERIES", 4)
        rows, scores = ExactSearch(embedding).search(asked, k)
    every = asked @ embedding.T
    order = np.argsort(-every, axis=1, kind="stable")[:, :k]
    found = min(k, items)
    np.testing.assert_array_equal(scores[:, :found], np.take_along_axis(every, order, axis=1))
    assert (rows[:, found:] == NO_ROW).all()
    # Which of equal scores stay at the edge is left open.
    np.testing.assert_array_equal(np.take_along_axis(every, rows[:, :found], axis=1), scores[:, :found])
    assert all(len(set(one)) == found for one in rows[:, :found].tolist())
