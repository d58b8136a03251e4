"""Pairwise terms: the two ways to them agree, and a gap's term is what the tents say."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.layers.relations import Distances
from tfrec.layers.terms import GAP_KNOTS, GAP_SPACING, PairwiseTerms
from tfrec.settings_file import load_settings
from tfrec.spec import ModelSpec


@pytest.mark.parametrize("clock", [True, False])
@pytest.mark.parametrize("ordered", [True, False])
def test_hinges_equal_tents(rich_dataset: Callable[..., Dataset], clock: bool, ordered: bool) -> None:
    dataset = rich_dataset(has_clock=clock, ordered_sessions=ordered)
    layer = PairwiseTerms(ModelSpec.of(Settings(), dataset), 3)
    layer.build()
    random = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    minutes = np.exp(random.uniform(-3, 18, (2, 9, 9))).astype(np.float32)
    minutes[0, 0, :4] = [0, 1440, 7 * 1440, 720]
    distances = Distances(
        tf.constant(random.integers(0, 5000, (2, 9, 9)), tf.int32),
        tf.constant(minutes) if clock else None,
        tf.constant(random.integers(0, 9, (9, 9)), tf.int32) if ordered else None,
    )
    np.testing.assert_allclose(layer(distances, training=True), layer(distances), atol=1e-4)


def test_a_gap_s_term_is_the_line_between_its_knots(rich_dataset: Callable[..., Dataset]) -> None:
    layer = PairwiseTerms(ModelSpec.of(Settings(), rich_dataset(ordered_sessions=False)), 1)
    layer.build()
    heights = np.arange(GAP_KNOTS, dtype=np.float32)[:, None] ** 2
    layer.gap.assign(heights)
    place = 3.25  # a quarter of the way from knot 3 (9) to knot 4 (16)
    minutes = tf.fill([1, 1, 1], float(np.expm1(place * GAP_SPACING)))
    found = layer(Distances(tf.zeros([1, 1, 1], tf.int32), minutes, None))
    np.testing.assert_allclose(found, [[[[9 + 0.25 * 7]]]], rtol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_without_pairs_nothing_is_added(rich_dataset: Callable[..., Dataset], training: bool) -> None:
    settings = load_settings(None, ["model.pairwise=[]"])
    layer = PairwiseTerms(ModelSpec.of(settings, rich_dataset()), 3)
    layer.build()
    distances = Distances(tf.ones([2, 5, 5], tf.int32), None, None)
    found = layer(distances, training=training, outputs=slice(1, 3))
    np.testing.assert_array_equal(found, np.zeros((2, 2, 5, 5)))
