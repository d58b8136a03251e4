"""Answers to many requests by Keras `predict`, as a servable's `recommend` gives them."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec.batches import pack_windows
from tfrec.blockwise_index import BlockwiseIndex
from tfrec.coarse_index import CoarseIndex, scann_index
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.graph_index import ExactIndex
from tfrec.layers.relations import Tensors
from tfrec.left_out import LeaveOut, left_out
from tfrec.prediction import own_events, query_windows, second_scores
from tfrec.schema import PADDING_ROW, UNKNOWN_ROW
from tfrec.second_stage import SecondStage
from tfrec.servable import Retrieval
from tfrec.trained import TrainedModel

ROWS = 16
"""of packed events a step, at most"""
MANY_ROWS = 64
"""the same where the search takes longer than the towers, and less for each of many queries"""
CELLS = 2**26
"""numbers that a step holds for its search, at most"""
NOTHING = {"score": -np.inf}
"""what stands where there are no more answers; else 0"""

Answers = dict[str, np.ndarray]
"""`row` [Q, K] int32, best first, PADDING_ROW where there are no more; `score`, and by task's name the
probabilities: [Q, K] float32."""


class BatchAnswers(keras.Model):
    """Steps of packed rows and places in them -> answers, for `predict`.

    Args:
        trained: the model.
        settings: of the answers.
        k: answers a request.
        leave_out: see `left_out`.
        allowed: [A] int32 rows, the only ones that are answered; None: all.
        statistics: [items, S] float32 raw, what is known of each item, NaN: nothing; None: of a model
            without any.
        search: `scann`, where the catalogue is too large to look at all of it for each request.

    Raises:
        SettingsError: there are too few items for ScaNN.
    """

    def __init__(
        self,
        trained: TrainedModel,
        settings: Settings,
        k: int,
        *,
        leave_out: LeaveOut = "repeats",
        allowed: np.ndarray | None = None,
        statistics: np.ndarray | None = None,
        search: Retrieval = "exact",
    ) -> None:
        super().__init__()
        self.towers = trained.model
        self.index = ExactIndex(trained.model.candidate_tower.table())
        self.second_stage = SecondStage(trained.model, settings, trained.facts)
        self.k, self.leave_out = k, leave_out
        in_two = self.second_stage.candidates
        self.retrieve = max(settings.answers.retrieve, k) if in_two else k
        items = trained.model.spec.items
        # Those that are allowed are the same for all: a search among them alone is as good as any.
        self.search: BlockwiseIndex | CoarseIndex | ExactIndex = self.index
        self.rows, self.cells = ROWS, items
        if search == "scann":
            # What is left out may be among the best of all.
            found = self.retrieve + 2 * trained.model.spec.settings.max_length
            self.search = scann_index(self.index.candidates, found, allowed)
            self.rows, self.cells = MANY_ROWS, found * int(self.index.candidates.shape[1])
        elif allowed is not None or BlockwiseIndex.pays(items, self.retrieve):
            self.search = BlockwiseIndex(self.index.candidates, allowed)
            self.rows, self.cells = MANY_ROWS, self.search.cells(self.retrieve)
        known = np.zeros((items, 0), np.float32) if statistics is None else statistics
        self.statistics = tf.constant(known)
        self._encode = tf.function(trained.model.__call__, autograph=False, jit_compile=True)

    def predict_step(self, data: Any) -> Tensors:
        """Returns the answers to the requests of a step; see `Answers`.

        Args:
            data: inputs of packed rows, [Q, 2] int32 rows and places in them, and [Q] int64 keys of what is
                drawn by lot.
        """
        inputs, at, key = data
        query = self._encode(inputs, training=False)
        own, in_session = own_events(inputs, at[:, 0], at[:, 1])
        items, scores = second_scores(self.towers, query, at, own)
        barred = left_out(own, in_session, self.towers.spec.repeats, self.leave_out)
        embedding = tf.gather_nd(query.embedding, at)
        rows, found = self.search.answer(embedding, items, scores, barred, self.retrieve)
        if not self.second_stage.candidates:
            return {"row": rows, "score": found}
        values = self.second_stage.scores(query, at, self._lists(rows), found)
        places = self.second_stage.order(rows, values["score"], self.index.candidates, key, self.k)
        taken = tf.maximum(places, 0)
        chosen = {
            name: tf.where(places < 0, NOTHING.get(name, 0.0), tf.gather(value, taken, batch_dims=1))
            for name, value in values.items()
        }
        return chosen | {"row": tf.where(places < 0, PADDING_ROW, tf.gather(rows, taken, batch_dims=1))}

    def _lists(self, rows: tf.Tensor) -> Tensors:
        """The lists of `RankingLists.dense`, of retrieved candidates; under what circumstances is unknown."""
        spec, shape = self.towers.spec, tf.shape(rows)
        lists = {
            "candidate": rows,
            "statistics": tf.gather(self.statistics, rows),
            "hidden": tf.zeros(shape, tf.bool),
            "length": tf.reduce_sum(tf.cast(rows != PADDING_ROW, tf.float32), axis=1),
        }
        for column in spec.impressions.context if spec.impressions else ():
            unknown = UNKNOWN_ROW if column.kind == "categorical" else np.float32(np.nan)
            lists[f"context.{column.name}"] = tf.fill(shape[:1], unknown)
        return lists


def without_autotuning(data: tf.data.Dataset) -> tf.data.Dataset:
    """Returns a dataset whose steps are handed over as they are.

    TensorFlow's tuning of input pipelines holds back every step of some calls of `predict` until half a
    second is over (measured with TensorFlow 2.20: the same call took 20 s or 41 s).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def answer_requests(
    model: BatchAnswers, dataset: Dataset, positions: np.ndarray, keys: np.ndarray | None = None
) -> Answers:
    """Returns the answers to the requests at places of a dataset's sequences, in their order.

    Args:
        model: whose vocabularies' rows the dataset is in.
        dataset: with requests behind the events, see `with_next_requests`.
        positions: [Q] int64, rising.
        keys: [Q] int64 of what is drawn by lot; None: the positions.
    """
    key_of = np.zeros(len(dataset.sequences.item), np.int64)
    key_of[positions] = positions if keys is None else keys
    places = model.towers.spec.settings.max_length + 1
    start, stop, _ = query_windows(dataset.sequences.offsets, positions, places)
    rows = pack_windows(dataset.sequences, start, stop, places)
    wanted = np.zeros(len(dataset.sequences.item) + 1, bool)
    wanted[positions] = True
    # Position -1, of places without an event, finds the last one: nothing.
    asked = wanted[rows.position]
    # A power of two, so that few shapes have to be compiled.
    most = 1 << max(int(asked.sum(axis=1).max(initial=1)) - 1, 0).bit_length()
    size = int(np.clip(CELLS // (most * model.cells), 1, model.rows))
    begins = range(0, len(rows.item), size)
    order: list[np.ndarray] = []

    def steps() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
        for begin in begins:
            part = slice(begin, begin + size)
            at = np.argwhere(asked[part]).astype(np.int32)
            position = rows.position[begin + at[:, 0], at[:, 1]]
            order.append(position)
            short = max(begin + size - len(rows.item), 0)
            yield (
                {name: np.pad(x[part], ((0, short), (0, 0))) for name, x in rows.inputs.items()},
                at,
                position,
            )

    inputs = {name: tf.TensorSpec((size, places), x.dtype, name=name) for name, x in rows.inputs.items()}
    queries = tf.TensorSpec((None, 2), tf.int32), tf.TensorSpec((None,), tf.int64)
    data = tf.data.Dataset.from_generator(steps, output_signature=(inputs, *queries))
    data = data.apply(tf.data.experimental.assert_cardinality(len(begins)))
    found = model.predict(without_autotuning(data), verbose=0)
    place = np.argsort(np.concatenate(order[: len(begins)]))
    return {name: np.asarray(value)[place] for name, value in found.items()}
