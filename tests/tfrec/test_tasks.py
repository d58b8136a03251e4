"""The retrieval task as a whole, against sums written out in numpy."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tfrec.dataset import Dataset
from tfrec.losses import SecondSums
from tfrec.schema import FIRST_ROW
from tfrec.settings_file import load_settings
from tfrec.spec import ModelSpec
from tfrec.tasks import RetrievalTask

QUERIES, DIMENSIONS = 12, 5


class Parts:
    """Random queries, candidates, targets and copies; the third query has no target."""

    def __init__(self, items: int) -> None:
        random = np.random.default_rng(3)
        self.table = random.normal(size=(items, DIMENSIONS)).astype(np.float32)
        self.query = random.normal(size=(QUERIES, DIMENSIONS)).astype(np.float32)
        # Few different targets, so that blocks hold accidental hits.
        self.target = random.integers(FIRST_ROW, FIRST_ROW + 4, QUERIES).astype(np.int32)
        self.weight = np.ones(QUERIES, np.float32)
        self.weight[2] = 0
        self.share = np.concatenate([[0, 0], random.dirichlet(np.ones(items - 2))]).astype(np.float32)
        copy, rule = random.normal(size=(2, QUERIES)).astype(np.float32)
        self.copies = SecondSums(copy[:, None], copy + 1)
        self.rules = SecondSums(rule[:, None], rule + 0.5)
        self.barred = random.integers(0, FIRST_ROW + 6, (QUERIES, 3)).astype(np.int32)
        self.negatives = random.integers(FIRST_ROW, items, 6).astype(np.int32)

    def loss(
        self,
        spec: ModelSpec,
        *,
        copies: bool,
        rules: bool = False,
        barred: bool = False,
        further: np.ndarray | None = None,
    ) -> float:
        more = ({"copies": self.copies} if copies else {}) | ({"rules": self.rules} if rules else {})
        more |= {"barred": self.barred} if barred else {}
        more |= {} if further is None else {"further": further}
        return float(
            RetrievalTask(spec)(
                query=tf.constant(self.query),
                target=tf.constant(self.target),
                weight=tf.constant(self.weight),
                candidates=lambda rows, training: tf.gather(self.table, rows),  # type: ignore[arg-type]
                negatives=tf.constant(self.negatives),
                target_share=tf.constant(self.share),
                **tf.nest.map_structure(tf.constant, more),
            )
        )

    def scores(self, rows: np.ndarray, query: int) -> np.ndarray:
        return self.table[rows].astype(np.float64) @ self.query[query]


@pytest.fixture
def spec(rich_dataset: Callable[..., Dataset]) -> Callable[..., ModelSpec]:
    def of(*overrides: str) -> ModelSpec:
        return ModelSpec.of(load_settings(None, overrides), rich_dataset())

    return of


def _expected(parts: Parts, q: int, z: float, *, copies: bool) -> float:
    target = np.exp(parts.scores(parts.target[q : q + 1], q)[0])
    if copies:
        z += np.exp(parts.copies.total[q])
        target += np.exp(parts.copies.target[q, 0])
    return float(np.log(z) - np.log(target))


@pytest.mark.parametrize("copies", [False, True])
def test_full_is_the_softmax_over_the_catalogue(spec: Callable[..., ModelSpec], copies: bool) -> None:
    full = spec("loss.negatives=full", "loss.in_batch=4")
    parts = Parts(full.items)
    catalogue = np.arange(FIRST_ROW, full.items)
    expected = sum(
        _expected(parts, q, np.exp(parts.scores(catalogue, q)).sum(), copies=copies)
        for q in range(QUERIES)
        if parts.weight[q]
    )
    np.testing.assert_allclose(parts.loss(full, copies=copies), expected, rtol=1e-5)


@pytest.mark.parametrize("copies", [False, True])
def test_sampled_corrects_negatives_and_drops_accidental_hits(
    spec: Callable[..., ModelSpec], copies: bool
) -> None:
    sampled = spec("loss.negatives=sampled", "loss.in_batch=4")
    parts = Parts(sampled.items)
    expected = 0.0
    for block in range(3):  # blocks are strided: 0, 3, 6, 9 and so on
        members = np.arange(block, QUERIES, 3)
        real = members[parts.weight[members] > 0]
        rows = np.concatenate([parts.target[real], parts.negatives])
        share, uniform = parts.share[rows], len(parts.negatives) / (sampled.items - FIRST_ROW)
        expected_count = len(real) * share.astype(np.float64) + uniform
        for q in real:
            other = rows != parts.target[q]  # the target itself and its accidental hits
            z = (np.exp(parts.scores(rows, q)) / expected_count)[other].sum()
            z += np.exp(parts.scores(parts.target[q : q + 1], q)[0])
            expected += _expected(parts, q, z, copies=copies)
    np.testing.assert_allclose(parts.loss(sampled, copies=copies), expected, rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_share_of_the_loss_does_without_rules(spec: Callable[..., ModelSpec], share: float) -> None:
    full = spec("loss.negatives=full", "loss.in_batch=4", f"loss.without_rules={share}")
    parts = Parts(full.items)
    catalogue = np.arange(FIRST_ROW, full.items)
    expected = 0.0
    for q in np.flatnonzero(parts.weight):
        z = np.exp(parts.scores(catalogue, q)).sum() + np.exp(parts.copies.total[q])
        target = np.exp(parts.scores(parts.target[q : q + 1], q)[0]) + np.exp(parts.copies.target[q, 0])
        without = np.log(z) - np.log(target)
        z, target = z + np.exp(parts.rules.total[q]), target + np.exp(parts.rules.target[q, 0])
        expected += (1 - share) * (np.log(z) - np.log(target)) + share * without
    np.testing.assert_allclose(parts.loss(full, copies=True, rules=True), expected, rtol=1e-5)


def test_without_in_batch_negatives_the_uniform_ones_stand_alone(spec: Callable[..., ModelSpec]) -> None:
    alone = spec("loss.negatives=sampled", "loss.in_batch=4", "loss.in_batch_negatives=false")
    parts = Parts(alone.items)
    drawn = len(parts.negatives) / (alone.items - FIRST_ROW)
    expected = 0.0
    for q in np.flatnonzero(parts.weight):
        others = parts.negatives[parts.negatives != parts.target[q]]
        z = (
            np.exp(parts.scores(parts.target[q : q + 1], q)[0])
            + np.exp(parts.scores(others, q)).sum() / drawn
        )
        expected += _expected(parts, q, z, copies=False)
    np.testing.assert_allclose(parts.loss(alone, copies=False), expected, rtol=1e-5)


def test_barred_items_are_no_negatives(spec: Callable[..., ModelSpec]) -> None:
    full = spec("loss.negatives=full", "loss.in_batch=4")
    parts = Parts(full.items)
    expected = 0.0
    for q in np.flatnonzero(parts.weight):
        # A target counts whatever is said of it.
        barred = np.setdiff1d(parts.barred[q], parts.target[q])
        possible = np.setdiff1d(np.arange(FIRST_ROW, full.items), barred)
        expected += _expected(parts, q, np.exp(parts.scores(possible, q)).sum(), copies=False)
    np.testing.assert_allclose(parts.loss(full, copies=False, barred=True), expected, rtol=1e-5)


def test_the_targets_of_later_queries_count_as_they_are_told(spec: Callable[..., ModelSpec]) -> None:
    full = spec("loss.negatives=full", "loss.in_batch=4")
    parts = Parts(full.items)
    further = np.random.default_rng(1).integers(0, 2, (QUERIES, 2)).astype(np.float32)
    further[-1], further[-2, 1] = 0, 0  # nothing comes after
    catalogue = np.arange(FIRST_ROW, full.items)
    expected = 0.0
    for q in np.flatnonzero(parts.weight):
        own = parts.target[[q, *(q + 1 + np.flatnonzero(further[q]))]]
        expected += np.log(np.exp(parts.scores(catalogue, q)).sum()) - parts.scores(own, q).mean()
    np.testing.assert_allclose(parts.loss(full, copies=False, further=further), expected, rtol=1e-5)
