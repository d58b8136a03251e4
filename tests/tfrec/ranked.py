"""A model with tasks, and requests to it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.tfrec.asking import nothing, requests_at
from tests.tfrec.shown import CANDIDATES
from tests.tfrec.test_model import small
from tests.tfrec.test_ranking import BOTH, built
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.graph_index import ExactIndex
from tfrec.impressions import Impressions
from tfrec.ranking_lists import RankingLists
from tfrec.schema import UNKNOWN_ROW
from tfrec.signatures import Servable
from tfrec.trained import TrainedModel
from tfrec.vocabulary import Vocabulary

K = 6
DEVICES = np.array(["", "phone", "desk"], object)
"""Of the rows of an impression's device from 1 on: preparation takes what is missing for unknown."""
Arrays = dict[str, np.ndarray]


class Ranked:
    """A model with tasks whose weights hide nothing, and its answers under settings, without an export."""

    def __init__(self, dataset: Dataset, impressions: Impressions, folder: Path) -> None:
        device = np.maximum(impressions.context["device"], UNKNOWN_ROW)
        self.impressions = replace(impressions, context={"device": device})
        self.folder = folder
        model, _ = built(dataset, impressions, small(BOTH))
        random = np.random.default_rng(0)
        for weight in model.trainable_weights:
            weight.assign_add(random.normal(0, 0.1, weight.shape))
        self.dataset = replace(dataset, impression_context={"device": Vocabulary(["phone", "desk"])})
        self.trained = TrainedModel(model, small(BOTH), self.dataset)
        (folder / "model").mkdir()
        self.trained.save(folder / "model")

    def ask(self, signature: str, inputs: Arrays, *overrides: str, k: int = K) -> Arrays:
        return answers(self.trained, small(BOTH, *overrides), signature, inputs, k)


def answers(trained: TrainedModel, settings: Settings, signature: str, inputs: Arrays, k: int) -> Arrays:
    """What the graph of a servable says, run as it is."""
    index = ExactIndex(trained.model.candidate_tower.table())
    servable = Servable(trained, settings, index, k, "repeats")
    found = getattr(servable, signature)({name: tf.constant(value) for name, value in inputs.items()})
    return {name: tensor.numpy() for name, tensor in found.items()}


def asked_at(ranked: Ranked, impressions: Impressions) -> Arrays:
    """The requests of known users' impressions: their events before the moment, and where they are."""
    s = ranked.dataset.sequences
    begin = s.offsets[impressions.user]
    spans = [s.time[a:b] for a, b in zip(begin, s.offsets[impressions.user + 1], strict=True)]
    before = [np.searchsorted(*pair) for pair in zip(spans, impressions.time, strict=True)]
    inputs = requests_at(ranked.dataset, begin, begin + before, impressions.time)
    return inputs | {"request_context.device": DEVICES[impressions.context["device"] - 1]}


def of_known(ranked: Ranked) -> Impressions:
    return ranked.impressions.take(np.flatnonzero(ranked.impressions.user >= 0)[::7])


def candidates_of(ranked: Ranked, impressions: Impressions) -> Arrays:
    """Given candidates, those that are new at the moment by ids that the catalogue does not have."""
    shape = (len(impressions), CANDIDATES)
    lists = RankingLists.of(impressions, ranked.dataset, ranked.trained.model.spec.ranking)
    raw = np.concatenate([[-7, -7], ranked.dataset.items.values])[impressions.item]
    return {
        "candidate_item_id": np.where(lists.new, -5, raw).reshape(shape),
        "statistic.click_6h": impressions.statistics["click_6h"].reshape(shape),
    }


KNOWN_OF = (0, 7, 400)
"""clicks in six hours of the first three items"""


def recommended(ranked: Ranked, *overrides: str, k: int = K, **more: np.ndarray) -> Arrays:
    """Answers for known users, while something is known of three items."""
    asked = of_known(ranked)
    inputs = asked_at(ranked, asked) | {
        "exclude_item_id": nothing(len(asked)),
        "allow_item_id": nothing(len(asked)),
        "statistic_item_id": np.tile(ranked.dataset.items.values[:3], (len(asked), 1)),
        "statistic.click_6h": np.tile(np.array(KNOWN_OF, np.float32), (len(asked), 1)),
    }
    return ranked.ask("recommend", inputs | more, *overrides, k=k)
