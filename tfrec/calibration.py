"""Probabilities that mean what they say: corrected by what came of val impressions."""

import numpy as np
from scipy.optimize import minimize

from tfrec.dataset import Dataset
from tfrec.impressions import Impressions
from tfrec.model import TwoTowerModel
from tfrec.ranking_lists import RankingLists
from tfrec.ranking_prediction import LEAST, RankingPredictor

SCALES = (0.05, 20.0)


def calibrate(model: TwoTowerModel, dataset: Dataset, impressions: Impressions, *, quiet: bool) -> None:
    """Sets the model's calibration by impressions that it has not learned from.

    What a network sees in training is not quite what it is asked with later: there parts are dropped, and the
    rules leave out a fold of users. Orders stay as they are; a task whose label all candidates have, or none,
    does too.

    Args:
        model: trained; its calibration still says nothing.
        dataset: in the rows of its vocabularies.
        impressions: of the dataset, in role val.
        quiet: no progress bar.
    """
    lists = RankingLists.of(impressions, dataset, model.spec.ranking)
    probabilities = RankingPredictor(model, quiet=quiet)(dataset, impressions)
    found = model.calibration.numpy()
    for place, (name, task) in enumerate(model.spec.ranking.tasks.items()):
        if task.kind == "binary":
            weight = impressions.weight * lists.strength.get(name, np.float32(1))
            found[place] = fitted(probabilities[:, place], lists.labels[name], weight)
    model.calibration.assign(found)


def fitted(probability: np.ndarray, label: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Returns a > 0 and b, for which sigmoid(a logit(p) + b) has the smallest log loss.

    (1, 0), which changes nothing, where the label tells nothing apart.

    Source: Platt, "Probabilistic outputs for support vector machines", 1999, here of logits.

    Args:
        probability: [N] in [0, 1].
        label: [N] 0 or 1.
        weight: [N] how many candidates each stands for.
    """
    came = float(np.sum(weight * label))
    if not came or not np.sum(weight * (1 - label)):
        return 1.0, 0.0
    p = np.clip(probability.astype(np.float64), LEAST, 1 - LEAST)
    logit = np.log(p) - np.log1p(-p)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scale, shift = parameters
        x = scale * logit + shift
        error = weight * (1 / (1 + np.exp(-x)) - label)
        value = np.sum(weight * (np.logaddexp(0, x) - label * x))
        return value / came, np.array([np.sum(error * logit), np.sum(error)]) / came

    found = minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=[SCALES, (None, None)])
    return float(found.x[0]), float(found.x[1])
