"""Tables in parts: rows come from where they are, and move as those of a whole table."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.tfrec.test_training import settings
from tfrec.building import build_model, build_shards, item_tables
from tfrec.dataset import Dataset
from tfrec.distribution.shards import BEYOND, Shards, behind, part_of
from tfrec.distribution.workers import Workers
from tfrec.epochs import Epochs
from tfrec.errors import SettingsError
from tfrec.rows_apart import RowsApart, place_of
from tfrec.sparse_updates import LazyAdamW

ITEMS, WIDTH, COUNT = 11, 3, 3
OPTIONS = {"beta_2": 0.98, "weight_decay": 0.1, "use_ema": True, "ema_momentum": 0.8}


def tables() -> list[RowsApart]:
    drawn = keras.initializers.RandomNormal(stddev=0.05)
    return [
        RowsApart("items/table", (ITEMS, WIDTH), drawn, "float32"),
        RowsApart("tower/bias", (ITEMS,), "zeros", "float32"),
    ]


def parts() -> list[Shards]:
    """The parts of all workers."""
    found = [Shards(tables(), index, COUNT, seed=3) for index in range(COUNT)]
    for shards in found:
        shards.compile(LazyAdamW(0.05, tables=shards.weights, **OPTIONS))
    return found


def whole(of: list[Shards], place: int) -> np.ndarray:
    return np.concatenate([shards.weights[place].numpy() for shards in of])


@given(items=st.integers(1, 40), count=st.integers(1, 9))
def test_every_row_is_of_one_worker(items: int, count: int) -> None:
    runs = [part_of(items, index, count) for index in range(count)]
    assert [row for begin, end in runs for row in range(begin, end)] == list(range(items))


@given(
    known=st.sets(st.integers(0, 60), min_size=1).map(lambda found: sorted(found | {0})),
    behind=st.integers(0, 9),
)
def test_a_row_is_found_by_halving(known: list[int], behind: int) -> None:
    padded = tf.constant(known + [BEYOND] * behind)
    places = place_of(tf.constant(known), padded)
    np.testing.assert_array_equal(places, range(len(known)))


def test_workers_begin_with_rows_of_their_own() -> None:
    table = whole(parts(), 0)
    assert len(np.unique(table[:, 0])) == ITEMS
    np.testing.assert_array_equal(table, whole(parts(), 0))


def test_rows_come_from_where_they_are() -> None:
    of = parts()
    rows = tf.constant([0, 3, 4, 10])
    found = [shards.fetch(rows, lambda own: own) for shards in of]
    for place in range(2):
        summed = tf.add_n([values[place] for values in found])
        np.testing.assert_array_equal(summed, whole(of, place)[rows])


def test_a_layer_looks_up_what_it_is_given() -> None:
    (shards, *_) = of = parts()
    rows = tf.constant([0, 2, 3, 7])
    values = [tf.gather(whole(of, place), rows) for place in range(2)]
    known, padded = behind(rows, values, 6)
    asked = tf.constant([[3, 0], [7, 3]])
    with shards.given(known, padded):
        for place, table in enumerate(shards.tables):
            np.testing.assert_array_equal(table.gather(asked), whole(of, place)[asked])
    with pytest.raises(RuntimeError, match="rows of table lie apart"):
        shards.tables[0].gather(asked)


def test_parts_move_as_a_whole_table_does() -> None:
    of = parts()
    weights = [keras.Variable(whole(of, place), name=of[0].tables[place].name) for place in range(2)]
    optimizer = LazyAdamW(0.05, tables=weights, **OPTIONS)
    optimizer.build(weights)
    for step in range(5):
        random = np.random.default_rng(step)
        rows = tf.constant(np.sort(random.choice(ITEMS, 6, replace=False)).astype(np.int32))
        gradients = [tf.constant(random.normal(size=(6, *w.shape[1:])), tf.float32) for w in weights]
        gradients[1] *= tf.constant([1.0, 0, 1, 1, 0, 1])  # only looked up: these rest
        kept = tf.constant([0, 2, 3, 5])
        slices = [tf.IndexedSlices(gradients[0], rows)]
        slices.append(tf.IndexedSlices(tf.gather(gradients[1], kept), tf.gather(rows, kept)))
        optimizer.apply(slices, weights)
        for shards in of:
            shards.move(rows, gradients)
    for place, weight in enumerate(weights):
        np.testing.assert_allclose(whole(of, place), weight, rtol=1e-5, atol=1e-7)
    now = whole(of, 0)
    optimizer.finalize_variable_values(weights)
    with of[0].averaged(), of[1].averaged(), of[2].averaged():
        for place, weight in enumerate(weights):
            np.testing.assert_allclose(whole(of, place), weight, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(whole(of, 0), now)


def test_a_model_without_tables_has_none(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, asked = rich_dataset(), settings("loss.negatives=sampled")
    model = build_model(dataset, asked, Epochs(dataset, asked), tables_apart=True)
    assert all(isinstance(table, RowsApart) for table in item_tables(model))
    names = {weight.path.partition("/")[2] for weight in model.weights}
    ordinary = build_model(dataset, asked, Epochs(dataset, asked))
    missing = {table.path.partition("/")[2] for table in item_tables(ordinary)}
    assert {table.path.partition("/")[2] for table in item_tables(model)} == missing
    assert {weight.path.partition("/")[2] for weight in ordinary.weights} - names == missing


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("loss.negatives=sampled", "training.rows=28"), "29 items are too few for 28 workers"),
        (("loss.negatives=full",), "over all 29 items.*loss.negatives=sampled"),
        (("loss.negatives=sampled", "model.id_table=hashed"), "model.id_table=hashed is for one process"),
        (
            ("loss.negatives=sampled", "ranking.tasks={click: {label: click}}"),
            "tasks of ranking .click. are for one process",
        ),
    ],
)
def test_what_cannot_be_held_together_is_refused(
    rich_dataset: Callable[..., Dataset], changes: tuple[str, ...], message: str
) -> None:
    from tests.tfrec.shown import shown_to

    dataset, impressions = shown_to(rich_dataset())
    asked = settings(*changes)
    epochs = Epochs(dataset, asked, impressions if asked.ranking.tasks else None)
    model = build_model(dataset, asked, epochs, tables_apart=True)
    with pytest.raises(SettingsError, match=message):
        build_shards(model, asked, Workers(index=0, count=28 if asked.training.rows == 28 else 2))
