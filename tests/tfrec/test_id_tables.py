"""Tables of ids: as many rows as asked for, items told apart as promised, and all of it learns."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tests.tfrec.test_model import model_of, small
from tfrec.dataset import Dataset
from tfrec.errors import SettingsError
from tfrec.layers.embeddings import ItemEmbedding
from tfrec.layers.id_tables import sizes
from tfrec.schema import FIRST_ROW
from tfrec.spec import ModelSpec
from tfrec.trained import TrainedModel
from tfrec.warm_start import begin_with


def layer(dataset: Dataset, items: int, *settings: str) -> ItemEmbedding:
    spec = ModelSpec.of(small("model.item_features=false", *settings), dataset)
    built = ItemEmbedding(spec.model_copy(update={"items": items + FIRST_ROW}))
    built.build()
    return built


def rows_of(items: int) -> tf.Tensor:
    return tf.range(items + FIRST_ROW)


@pytest.fixture(scope="module")
def dataset(rich_dataset: Callable[..., Dataset]) -> Dataset:
    return rich_dataset()


def test_quotient_remainder_is_a_product_of_two_rows_and_tells_all_apart(dataset: Dataset) -> None:
    built = layer(dataset, 100, "model.id_table=quotient_remainder", "model.items_a_row=10")
    assert sizes(built.spec) == (FIRST_ROW + 10, 10)
    table, quotient = built.table.numpy(), built.quotient.numpy()
    found = built(rows_of(100)).numpy()
    for item in (0, 7, 42, 99):
        expected = table[FIRST_ROW + item % 10] * quotient[item // 10]
        np.testing.assert_allclose(found[FIRST_ROW + item], expected, rtol=1e-6)
    assert len(np.unique(found, axis=0)) == 100 + FIRST_ROW


def test_hashed_items_share_rows_evenly_and_apart_from_padding(dataset: Dataset) -> None:
    built = layer(dataset, 8000, "model.id_table=hashed", "model.items_a_row=8")
    assert built.table.shape[0] == FIRST_ROW + 1000
    found = built(rows_of(8000)).numpy()
    distinct, shared = np.unique(found[FIRST_ROW:], axis=0, return_counts=True)
    # Of 1,000 rows that 8,000 items choose by lot e^-8 stay empty, and none is chosen by very many.
    assert len(distinct) >= 990
    assert shared.max() < 30
    np.testing.assert_array_equal(found[:FIRST_ROW], built.table.numpy()[:FIRST_ROW])
    assert not (found[:FIRST_ROW, None] == distinct[None]).all(-1).any()


@pytest.mark.parametrize("kind", ["hashed", "quotient_remainder"])
def test_both_towers_learn_through_it(dataset: Dataset, kind: str) -> None:
    model = model_of(dataset, small(f"model.id_table={kind}", "model.items_a_row=3"))
    embedding = model.query_tower.embedding
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.candidate_tower.table() ** 2)
    weights = [w for w in (embedding.table, embedding.quotient) if w is not None]
    assert len(weights) == 1 + (kind == "quotient_remainder")
    for gradient in tape.gradient(loss, [w.value for w in weights]):
        assert np.abs(tf.convert_to_tensor(gradient)).sum() > 0


def test_rows_that_are_shared_are_not_carried_to_another_catalogue(dataset: Dataset) -> None:
    settings = small("model.id_table=hashed")
    older = TrainedModel(model_of(dataset, settings), settings, dataset)
    with pytest.raises(SettingsError, match="which items share a row"):
        begin_with(model_of(dataset, settings), dataset, older)
