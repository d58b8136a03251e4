"""Tables in bytes: close to what they were, used alike everywhere, and a servable a fraction of the size."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tests.tfrec.asking import ask, nothing, requests
from tests.tfrec.made import K, Made
from tests.tfrec.test_model import model_of, packed, small
from tfrec.compression import to_int8
from tfrec.dataset import Dataset
from tfrec.graph_index import ExactIndex
from tfrec.int8 import Int8Candidates, Int8Table
from tfrec.placement.kernels import knows_gpu
from tfrec.placement.signatures import placements
from tfrec.rescoring import embeddings_of, product
from tfrec.servable import ServableInfo


def test_a_table_in_bytes_is_the_table_within_half_a_step() -> None:
    table = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    table[7] = 0
    kept = Int8Table(table)
    assert kept.values.dtype == tf.int8
    rows = tf.constant([[3, 7], [49, 0]])
    found = kept.gather(rows).numpy()
    step = np.abs(table).max(axis=1) / 127
    assert (np.abs(found - table[rows.numpy()]) <= 0.51 * step[rows.numpy()][..., None] + 1e-7).all()
    assert (found[0, 1] == 0).all()


def test_candidates_in_bytes_are_searched_and_looked_up_alike() -> None:
    random = np.random.default_rng(1)
    table = random.normal(size=(60, 9)).astype(np.float32)
    table[:, -1] *= 20  # biases are of another size
    kept = Int8Candidates(tf.constant(table))
    query = tf.constant(random.normal(size=(4, 9)), tf.float32)
    every = tf.tile(tf.range(60)[None], [4, 1])
    one_by_one = tf.einsum("qd,qcd->qc", query, embeddings_of(kept, every))
    np.testing.assert_allclose(product(query, kept), one_by_one, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(embeddings_of(kept, every)[0, :, -1], table[:, -1])
    nobody = tf.zeros([4, 1], tf.int32)
    ours, theirs = (ExactIndex(x).answer(query, nobody, None, nobody, 10) for x in (kept, tf.constant(table)))
    shared = [len(set(a) & set(b)) for a, b in zip(ours[0].numpy(), theirs[0].numpy(), strict=True)]
    assert min(shared) >= 9


def test_a_servable_in_bytes_answers_nearly_as_it_did(made: Made) -> None:
    folder = made.folder / "int8" / "1"
    small, full = made.export("int8", precision="int8"), made.exact
    assert ServableInfo.load(folder).precision == "int8"
    # What is as large as the catalogue, or squares of the dimensions, is in bytes; numbers alone are not.
    floats = [v.shape for v in small.variables_read if v.dtype == tf.float32 and len(v.shape) == 2]
    dimensions = made.trained.model.spec.settings.dimensions
    assert (made.trained.model.spec.items, dimensions) not in floats
    assert (dimensions, dimensions) not in floats
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))
    inputs = requests(made.dataset, positions)
    none = nothing(len(positions))
    ours, theirs = (ask(one, "recommend", inputs, exclude_item_id=none) for one in (small, full))
    shared = [len(set(a) & set(b)) / K for a, b in zip(ours["item_id"], theirs["item_id"], strict=True)]
    assert np.mean(shared) > 0.9
    everything = np.tile(made.dataset.items.values, (len(positions), 1))
    chances = [ask(one, "rank", inputs, candidate_item_id=everything)["next_item"] for one in (small, full)]
    np.testing.assert_allclose(chances[0], chances[1], atol=0.05)
    np.testing.assert_allclose(chances[0].sum(axis=1), 1, atol=0.01)
    if knows_gpu():
        assert all(one.dense_part_stays for one in placements(folder))


@pytest.mark.parametrize("table", ["full", "quotient_remainder"])
def test_a_model_of_mixed_precision_computes_as_it_did(
    rich_dataset: Callable[..., Dataset], table: str
) -> None:
    dataset = rich_dataset()
    model = model_of(dataset, small("training.precision=mixed_bfloat16", f"model.id_table={table}"))
    rows = packed(dataset, 16)
    before = model(rows.inputs).embedding.numpy()
    to_int8(model)
    after = model(rows.inputs).embedding.numpy()
    assert not np.array_equal(after, before)
    assert np.corrcoef(after.ravel(), before.ravel())[0, 1] > 0.99
