"""Sparse updates: rows that are met move as AdamW has it, others rest, and averages miss no step."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.tfrec.test_pruning import Stop
from tests.tfrec.test_training import PLAIN, settings
from tfrec.building import build_model, compile_model, item_tables
from tfrec.dataset import Dataset
from tfrec.epochs import Epochs
from tfrec.sparse_updates import LazyAdamW, met_rows
from tfrec.training import train

ROWS, WIDTH = 7, 3
OPTIONS = {
    "beta_2": 0.98,
    "weight_decay": 0.1,
    "use_ema": True,
    "ema_momentum": 0.8,
    "global_clipnorm": 2.0,
}
SPARSE = ("training.sparse_updates=true", "training.average=0.2", "loss.negatives=sampled")


def weights() -> tuple[keras.Variable, keras.Variable, keras.Variable]:
    """A table, a weight of each row, and one that is no table."""
    random = np.random.default_rng(0)
    return tuple(
        keras.Variable(random.normal(size=shape).astype(np.float32), name=f"weight_{len(shape)}_{shape[0]}")
        for shape in ((ROWS, WIDTH), (ROWS,), (4, WIDTH))
    )


@given(rows=st.lists(st.integers(0, 5), min_size=1, max_size=12), flat=st.booleans())
def test_rows_that_come_several_times_are_added_up(rows: list[int], flat: bool) -> None:
    values = np.random.default_rng(len(rows)).normal(size=(len(rows), 2)).astype(np.float32)
    values = values[:, 0] if flat else values
    found = met_rows(tf.IndexedSlices(tf.constant(values), tf.constant(rows, tf.int64)))
    expected = {row: values[np.array(rows) == row].sum(axis=0) for row in set(rows)}
    met = found.met.numpy() > 0
    assert sorted(found.row.numpy()[met].tolist()) == sorted(expected)
    for row, gradient in zip(found.row.numpy()[met], found.gradient.numpy()[met], strict=True):
        np.testing.assert_allclose(gradient, expected[row], rtol=1e-5, atol=1e-6)
    assert (found.gradient.numpy()[~met] == 0).all()


def test_where_every_row_is_met_it_is_adamw() -> None:
    lazy, dense = weights(), weights()
    optimizers = (LazyAdamW(0.05, tables=lazy[:2], **OPTIONS), keras.optimizers.AdamW(0.05, **OPTIONS))
    for optimizer, variables in zip(optimizers, (lazy, dense), strict=True):
        optimizer.build(list(variables))
    for step in range(5):
        random = np.random.default_rng(step)
        order = random.permutation(ROWS)
        gradients = [random.normal(size=v.shape).astype(np.float32) for v in lazy]
        slices = [tf.IndexedSlices(tf.constant(g[order]), tf.constant(order)) for g in gradients[:2]]
        if step == 3:  # a weight may have no gradient
            gradients[2] = None
        optimizers[0].apply([*slices, gradients[2]], list(lazy))
        optimizers[1].apply(gradients, list(dense))
    for ours, theirs in zip(lazy, dense, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    for optimizer, variables in zip(optimizers, (lazy, dense), strict=True):
        optimizer.finalize_variable_values(list(variables))
    for ours, theirs in zip(lazy, dense, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_gradients_are_clipped_by_the_length_that_they_have_as_dense_ones() -> None:
    """Adam does not mind a gradient's size, so that no weight would show it."""
    table, _, other = weights()
    optimizer = LazyAdamW(0.05, tables=[table], **OPTIONS)
    optimizer.build([table, other])
    rows = tf.constant([2, 5, 2])
    values = tf.constant(np.random.default_rng(3).normal(size=(3, WIDTH)), tf.float32)
    slices, dense = tf.IndexedSlices(values, rows, tf.constant([ROWS, WIDTH])), tf.ones([4, WIDTH])
    ours = optimizer._clip_gradients([met_rows(slices), dense])
    theirs, _ = tf.clip_by_global_norm([tf.convert_to_tensor(slices), dense], OPTIONS["global_clipnorm"])
    found = tf.scatter_nd(ours[0].row[:, None], ours[0].gradient, [ROWS, WIDTH])
    np.testing.assert_allclose(found, theirs[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5)
    np.testing.assert_array_equal(optimizer._clip_gradients([dense * 0.01])[0], dense * 0.01)


@pytest.mark.parametrize("compiled", [False, True])
def test_rows_that_are_not_met_rest_and_averages_miss_no_step(compiled: bool) -> None:
    table, each, other = weights()
    optimizer = LazyAdamW(0.05, tables=[table, each], **OPTIONS)
    optimizer.build([table, each, other])

    @tf.function(jit_compile=compiled)
    def step(rows: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            read = tf.gather(table, rows) ** 2, tf.gather(each, rows) ** 3, other**2
            loss = tf.add_n([tf.reduce_sum(part) for part in read])
        optimizer.apply(tape.gradient(loss, [table.value, each.value, other.value]))

    averages: list[np.ndarray] = []
    for number, rows in enumerate([[1, 1, 4], [4, 2, 0], [6, 6, 6], [1, 2, 0], [4, 4, 5]]):
        before = table.numpy(), each.numpy()
        step(tf.constant(rows))
        for old, new in zip(before, (table.numpy(), each.numpy()), strict=True):
            moved = np.unique(np.nonzero(old != new)[0])
            assert moved.tolist() == sorted(set(rows))
        now = [v.numpy() for v in (table, each, other)]
        share = OPTIONS["ema_momentum"] if number else 0.0
        averages = [share * a + (1 - share) * w for a, w in zip(averages or now, now, strict=True)]
        if number == 2:  # looking in between changes nothing
            optimizer.finalize_variable_values([table, each, other])
            for variable, value in zip((table, each, other), now, strict=True):
                variable.assign(value)
    optimizer.finalize_variable_values([table, each, other])
    for variable, expected in zip((table, each, other), averages, strict=True):
        np.testing.assert_allclose(variable, expected, rtol=1e-5, atol=1e-6)


def test_a_model_s_tables_get_rows_alone(rich_dataset: Callable[..., Dataset]) -> None:
    dataset = rich_dataset()
    asked = settings(*SPARSE, "training.rows=1", "training.warm_up=0", "loss.uniform=1", "model.max_length=3")
    epochs = Epochs(dataset, asked)
    model = build_model(dataset, asked, epochs)
    compile_model(model, asked, epochs.steps)
    tables = item_tables(model)
    assert [len(table.shape) for table in tables] == [2, 1, 1]
    before = [table.numpy() for table in tables]
    model.train_on_batch(*next(epochs.batches(0)))
    for old, table in zip(before, tables, strict=True):
        moved = np.unique(np.nonzero(old != table.numpy())[0])
        assert 0 < len(moved) < len(old) / 2


def test_a_run_goes_on_as_if_it_had_not_been_broken_off(
    rich_dataset: Callable[..., Dataset], write_dataset: Callable[[Dataset, Path], None], tmp_path: Path
) -> None:
    write_dataset(rich_dataset(), tmp_path / "dataset")
    asked = settings(*SPARSE, *PLAIN, "training.epochs=2")
    whole = train(tmp_path / "dataset", tmp_path / "whole", asked, quiet=True)
    assert whole.training["history"][-1]["loss"] < whole.training["history"][0]["loss"]
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "dataset", tmp_path / "broken", asked, quiet=True, callbacks=[Stop()])
    resumed = train(tmp_path / "dataset", tmp_path / "broken", asked, quiet=True)
    for ours, theirs in zip(resumed.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)
