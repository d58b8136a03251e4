"""What ranking is told of retrieval, beside what retrieval answers with."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tests.tfrec.ranked import Ranked
from tests.tfrec.shown import shown_to
from tests.tfrec.test_model import small
from tests.tfrec.test_ranking import CLICK, built
from tfrec.dataset import Dataset
from tfrec.graph_index import ExactIndex
from tfrec.prediction import own_events, second_scores
from tfrec.retrieval_scores import retrieval_scores


def test_they_are_those_of_the_index(ranked: Ranked) -> None:
    model = ranked.trained.model
    _, epochs = built(ranked.dataset, ranked.impressions, small(CLICK))
    x, _ = next(epochs.batches(0))
    query = model(x)
    at = np.argwhere(x["segment"] > 0)[::3].astype(np.int32)
    candidate = np.random.default_rng(0).integers(2, model.spec.items, (len(at), 9)).astype(np.int32)
    own, _ = own_events(x, at[:, 0], at[:, 1])
    # Behind an aside stand events of later: what a request may not look at, its copies may not either.
    own = np.where(tf.gather_nd(query.looked_at.visible, at).numpy(), own, 0)
    items, scores = second_scores(model, query, at, tf.constant(own))
    index = ExactIndex(model.candidate_tower.table())
    expected, _ = index.score(tf.gather_nd(query.embedding, at), items, scores, tf.constant(candidate))
    found = retrieval_scores((model.query_tower, model.candidate_tower), query, at, tf.constant(candidate))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert model.spec.copies
    assert model.spec.settings.rules


def test_a_fold_leaves_its_users_rules_out(rich_dataset: Callable[..., Dataset]) -> None:
    model, epochs = built(*shown_to(rich_dataset()), small(CLICK))
    x, y = next(epochs.batches(0))
    query = model(x)
    towers = model.query_tower, model.candidate_tower
    at, candidate = y["list.at"], tf.constant(y["list.candidate"])
    known, without = (retrieval_scores(towers, query, at, candidate, fold) for fold in (None, y["fold"]))
    real = y["list.candidate"] > 1
    assert (known.numpy()[real] >= without.numpy()[real] - 1e-5).mean() > 0.9
    assert np.abs(known.numpy() - without.numpy())[real].max() > 1e-3


def test_no_gradient_flows_back(rich_dataset: Callable[..., Dataset]) -> None:
    model, epochs = built(*shown_to(rich_dataset()), small(CLICK))
    x, y = next(epochs.batches(0))
    with tf.GradientTape() as tape:
        scores = retrieval_scores(
            (model.query_tower, model.candidate_tower),
            model(x, training=True),
            y["list.at"],
            tf.constant(y["list.candidate"]),
            y["fold"],
        )
        total = tf.reduce_sum(scores)
    assert all(gradient is None for gradient in tape.gradient(total, model.trainable_variables))
