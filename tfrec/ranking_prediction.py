"""Chances that a model gives the candidates of impressions."""

import numpy as np
import tensorflow as tf

from tfrec.batches import pack_windows
from tfrec.dataset import Dataset
from tfrec.impressions import Impressions
from tfrec.layers.relations import Tensors
from tfrec.model import TwoTowerModel
from tfrec.prediction import ROWS_A_STEP
from tfrec.progress import track
from tfrec.query import Query
from tfrec.ranking_lists import RankingLists
from tfrec.ranking_task import log_chances


class RankingPredictor:
    """Answers impressions: each sees its user's events strictly before it, half a window of them or more.

    Args:
        model: a trained model with tasks of ranking.
        quiet: no progress bar.
    """

    def __init__(self, model: TwoTowerModel, *, quiet: bool = False) -> None:
        self.model = model
        self.quiet = quiet
        self._encode = tf.function(model.__call__, jit_compile=True, reduce_retracing=False)
        self._chances = tf.function(self._chances_of, reduce_retracing=True)

    def __call__(self, dataset: Dataset, impressions: Impressions) -> np.ndarray:
        """Returns the chances of all candidates: [N, T] float32.

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
        asked = rows.aside >= 0
        found = np.zeros((len(impressions.item), len(spec.ranking.tasks)), np.float32)
        steps = range(0, len(rows.item), ROWS_A_STEP)
        for begin in track(steps, "ranking", len(steps), quiet=self.quiet):
            part = slice(begin, begin + ROWS_A_STEP)
            at = np.argwhere(asked[part]).astype(np.int32)
            if not len(at):
                continue
            short = max(begin + ROWS_A_STEP - len(rows.item), 0)
            inputs = {name: np.pad(x[part], ((0, short), (0, 0))) for name, x in rows.inputs.items()}
            number = order[rows.aside[part][at[:, 0], at[:, 1]]]
            sizes = np.diff(impressions.offsets)[number]
            query = self._encode(inputs, training=False)
            chances = self._chances(query, tf.constant(at), lists.dense(number, int(sizes.max()))).numpy()
            real = np.arange(chances.shape[1]) < sizes[:, None]
            source = np.repeat(impressions.offsets[number], sizes) + np.nonzero(real)[1]
            found[source] = chances[real]
        return found

    def _chances_of(self, query: Query, at: tf.Tensor, lists: Tensors) -> tf.Tensor:
        return tf.exp(log_chances(self.model.rank(query, at, lists), self.model.spec)[0])
