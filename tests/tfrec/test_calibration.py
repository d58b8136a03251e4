"""Probabilities corrected by what came of val impressions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.tfrec.shown import shown_to
from tests.tfrec.test_model import small
from tests.tfrec.test_ranking import BOTH, built
from tfrec.calibration import calibrate, fitted
from tfrec.dataset import Dataset
from tfrec.ranking_metrics import log_loss
from tfrec.ranking_prediction import RankingPredictor


def test_a_known_distortion_is_undone() -> None:
    random = np.random.default_rng(0)
    logit = random.normal(-2, 1.5, 40_000)
    label = (random.random(len(logit)) < 1 / (1 + np.exp(-logit))).astype(float)
    said = 1 / (1 + np.exp(-(2 * logit + 1)))
    scale, shift = fitted(said, label, np.ones(len(label)))
    assert scale == pytest.approx(0.5, abs=0.03)
    assert shift == pytest.approx(-0.5, abs=0.05)


def test_a_candidate_that_stands_for_two_counts_twice() -> None:
    random = np.random.default_rng(1)
    said, label = random.random(300), (random.random(300) < 0.3).astype(float)
    weight = random.integers(1, 4, 300)
    once = fitted(np.repeat(said, weight), np.repeat(label, weight), np.ones(weight.sum()))
    assert fitted(said, label, weight) == pytest.approx(once, rel=1e-3)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_label_that_tells_nothing_apart_changes_nothing(label: float) -> None:
    assert fitted(np.array([0.2, 0.7]), np.full(2, label), np.ones(2)) == (1.0, 0.0)


def test_a_model_says_what_came_and_keeps_its_orders(
    rich_dataset: Callable[..., Dataset], tmp_path: Path
) -> None:
    dataset, impressions = shown_to(rich_dataset())
    model, _ = built(dataset, impressions, small(BOTH))
    val = impressions.take(np.flatnonzero(impressions.is_role("val")))
    before = RankingPredictor(model, quiet=True)(dataset, val)
    calibrate(model, dataset, val, quiet=True)
    after = RankingPredictor(model, quiet=True)(dataset, val)
    for place, label in enumerate(("click", "buy")):
        came = val.labels[label]
        assert after[:, place].mean() == pytest.approx(came.mean(), abs=0.01)
        assert log_loss(after[:, place], came) <= log_loss(before[:, place], came) + 1e-6
        order = np.argsort(before[:, place], kind="stable")
        assert (np.diff(after[order, place]) >= -1e-6).all()
    assert (model.calibration.numpy()[:, 0] > 0).all()
