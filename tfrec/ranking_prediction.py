"""Probabilities that a model gives the candidates of impressions."""

from functools import partial

import numpy as np
import tensorflow as tf

from tfrec.batches import pack_windows
from tfrec.dataset import Dataset
from tfrec.impressions import Impressions
from tfrec.layers.relations import Tensors
from tfrec.model import TwoTowerModel
from tfrec.prediction import row_steps
from tfrec.query import Query
from tfrec.ranking_facts import value_facts
from tfrec.ranking_lists import RankingLists
from tfrec.ranking_task import log_probabilities

LEAST = 1e-6
"""No probability counts as nearer to 0 or 1, where it is corrected."""
LISTS_AT_ONCE = 256
"""They attend to a row of events each, and to each other's candidates: memory is what limits them."""


class RankingPredictor:
    """Answers impressions: each sees its user's events strictly before it, half a window of them or more.

    Args:
        model: a trained model with tasks of ranking.
        quiet: no progress bar.
    """

    def __init__(self, model: TwoTowerModel, *, quiet: bool = False) -> None:
        self.model = model
        self.quiet = quiet
        self._encode = tf.function(model.__call__, autograph=False, jit_compile=True)
        self._probabilities = tf.function(
            partial(probabilities, model), autograph=False, reduce_retracing=True
        )

    def __call__(self, dataset: Dataset, impressions: Impressions) -> np.ndarray:
        """Returns the probabilities of all candidates: [N, T] float32.

        Args:
            dataset: in the rows of the vocabularies that the model was trained with.
            impressions: of the dataset.
        """
        spec, places = self.model.spec, self.model.spec.settings.max_length + 1
        lists = RankingLists.of(impressions, dataset, spec.ranking)
        lines = lists.lines(dataset.sequences, dataset.schema.session_gap_s)
        beside = max(places // 2, 1)
        start, stop, asides, order = lines.windows(dataset.sequences, places, beside)
        rows = pack_windows(dataset.sequences, start, stop, places + beside, asides)
        found = np.zeros((len(impressions.item), len(spec.ranking.tasks)), np.float32)
        for inputs, at, begin in row_steps(rows, rows.aside >= 0, "ranking", quiet=self.quiet):
            query = self._encode(inputs, training=False)
            for some in np.array_split(at, -(-len(at) // LISTS_AT_ONCE)) if len(at) else ():
                number = order[rows.aside[begin + some[:, 0], some[:, 1]]]
                sizes = np.diff(impressions.offsets)[number]
                dense = lists.dense(number, int(sizes.max()))
                answers = self._probabilities(query, tf.constant(some), dense).numpy()
                real = np.arange(answers.shape[1]) < sizes[:, None]
                source = np.repeat(impressions.offsets[number], sizes) + np.nonzero(real)[1]
                found[source] = answers[real]
        return found


def probabilities(model: TwoTowerModel, query: Query, at: tf.Tensor, lists: Tensors) -> tf.Tensor:
    """Returns the probability of each task for each candidate, or its number: [M, C, T] float32.

    Args: as `TwoTowerModel.rank`.
    """
    spec = model.spec
    logits = model.rank(query, at, lists)
    chances = tf.unstack(tf.exp(log_probabilities(logits, spec)[0]), axis=-1)
    for place, task in enumerate(spec.ranking.tasks.values()):
        if task.kind == "regression" and spec.impressions is not None:
            facts = value_facts(spec.impressions, task.label)
            chances[place] = facts.mean + facts.std * logits[..., place]
        else:
            scale, shift = tf.unstack(tf.convert_to_tensor(model.calibration)[place])
            chances[place] = _calibrated(chances[place], scale, shift)
    return tf.stack(chances, axis=-1)


def _calibrated(chance: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """sigmoid(scale · logit(p) + shift); p itself where nothing was fitted."""
    p = tf.clip_by_value(chance, LEAST, 1 - LEAST)
    corrected = tf.sigmoid(scale * (tf.math.log(p) - tf.math.log1p(-p)) + shift)
    return tf.where(tf.equal(scale, 1.0) & tf.equal(shift, 0.0), chance, corrected)
