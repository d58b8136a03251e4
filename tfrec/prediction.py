"""Answers of a model to queries of a dataset."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.batches import Rows, pack_windows
from tfrec.dataset import Dataset
from tfrec.graph_index import ExactIndex
from tfrec.layers.attention import MASKED
from tfrec.layers.relations import Tensors
from tfrec.layers.rules import RuleWeights
from tfrec.left_out import barred_rows
from tfrec.model import TwoTowerModel
from tfrec.progress import track
from tfrec.query import Query
from tfrec.schema import PADDING_ROW

ROWS_A_STEP = 16


class Predictor:
    """Answers queries: the query of an event is every event of the same user before it.

    A user's queries are computed together, a window of events at a time; each query sees at least
    the newest half of `max_length` events before it, and as many as the window has.

    Args:
        model: a trained model.
        k: how many items an answer has.
        quiet: no progress bar.
        index: makes a search of the candidates [items, D + 1].
    """

    def __init__(
        self,
        model: TwoTowerModel,
        k: int = 20,
        *,
        quiet: bool = False,
        index: Callable[[tf.Tensor], Any] = ExactIndex,
    ) -> None:
        self.model = model
        self.index = index
        self.k = self.retrieve = k
        self.quiet = quiet
        self._encode = tf.function(model.__call__, autograph=False, jit_compile=True)
        self._answer = tf.function(self._answer_places, autograph=False, reduce_retracing=True)

    def __call__(self, dataset: Dataset, positions: np.ndarray) -> np.ndarray:
        """Returns rows [Q, k] int32, best first; PADDING_ROW where the catalogue has no more.

        Args:
            dataset: in the rows of the vocabularies that the model was trained with.
            positions: [Q] int64, places of the queried events in the flat arrays of `dataset`.
        """
        places = self.model.spec.settings.max_length + 1
        index = self.search()
        start, stop, first = query_windows(dataset.sequences.offsets, positions, places)
        rows = pack_windows(dataset.sequences, start, stop, places)
        wanted = np.zeros(len(dataset.sequences.item) + 1, bool)
        wanted[positions] = True
        # An event may be a target of one window and mere context of the next.
        asked = wanted[rows.position] & (rows.position >= np.append(first, 0)[rows.inputs["segment"] - 1])
        answers = np.zeros((len(dataset.sequences.item), self.k), np.int32)
        for inputs, at, begin in row_steps(rows, asked, "answering", quiet=self.quiet):
            position = rows.position[begin + at[:, 0], at[:, 1]]
            answers[position] = self.answers(index, inputs, at, position)
        return answers[positions]

    def search(self) -> Any:
        """Returns a search of all candidates, as they are now."""
        return self.index(self.model.candidate_tower.table())

    def answers(self, index: Any, inputs: Tensors, at: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Returns rows [Q, k] int32 of the answers to some queries of packed rows.

        Args:
            index: of the catalogue.
            inputs: packed rows.
            at: [Q, 2] int32 rows and places of the queries.
            position: [Q] int64 of the queried events.
        """
        found, score = self._answer(index, inputs, self.encoded(inputs), tf.constant(at))
        return self.best_of(found, score)

    def encoded(self, inputs: Tensors) -> Query:
        """Returns the queries of packed rows."""
        return self._encode(inputs, training=False)

    def best_of(self, found: tf.Tensor, score: tf.Tensor) -> np.ndarray:
        """Returns the rows [Q, k] of what a search has found, with their scores, best first."""
        del score
        return found.numpy()

    def _answer_places(self, index: Any, inputs: Tensors, query: Query, at: tf.Tensor) -> Any:
        own, in_session = own_events(inputs, at[:, 0], at[:, 1])
        items, scores = second_scores(self.model, query, at, own)
        barred = barred_rows(own, in_session, self.model.spec.repeats)
        return index.answer(tf.gather_nd(query.embedding, at), items, scores, barred, self.retrieve)


def second_scores(
    model: TwoTowerModel, query: Query, at: tf.Tensor, own: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Returns the rows [Q, S] that are scored a second way, and those scores; None without any.

    They are the sequence's own items, scored by copying, and those that rules lead to.

    Args:
        model: that gave `query`.
        query: at all places of packed rows.
        at: [Q, 2] rows and places of requests.
        own: [Q, P] rows of the items that a request's sequence holds.
    """
    scores = None
    if query.copy_score is not None:
        scores = tf.where(own > PADDING_ROW, tf.gather_nd(query.copy_score, at), MASKED)
    if query.rules is None:
        return own, scores
    of_requests = RuleWeights(*(tf.gather_nd(tensor, at) for tensor in query.rules))
    item, score = model.query_tower.rule_candidates(of_requests)
    before = tf.fill(tf.shape(own), MASKED) if scores is None else scores
    return tf.concat([own, item], axis=1), tf.concat([before, score], axis=1)


def own_events(inputs: Tensors, row: tf.Tensor, place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the items [Q, P] that a request's sequence holds, and which are of its own session.

    Places of other sequences, and after the request, hold PADDING_ROW.
    """
    at = tf.stack([row, place], axis=-1)
    segment = tf.gather(inputs["segment"], row)
    mine = tf.equal(segment, tf.gather_nd(inputs["segment"], at)[:, None])
    mine &= tf.range(tf.shape(segment)[1])[None] <= place[:, None]
    items = tf.where(mine, tf.gather(inputs["item"], row), PADDING_ROW)
    session = tf.gather_nd(inputs["request_session"], at)[:, None]
    return items, mine & tf.equal(tf.gather(inputs["session"], row), session)


def query_windows(
    offsets: np.ndarray, positions: np.ndarray, places: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns windows (start, stop, first) that have all positions as targets: [W] int64 each.

    A window's targets are its positions from `first` on; they lie within half a window, so that
    each has the other half before it, as far as the user has so many events.

    Args:
        offsets: [U + 1] int64, where users begin, and the end.
        positions: [Q] int64.
        places: of a window.
    """
    positions = np.sort(positions)
    begin = offsets[np.searchsorted(offsets, positions, side="right") - 1]
    first_of_user = positions[np.searchsorted(begin, begin)]
    chunk = (positions - first_of_user) // max(places // 2, 1)
    differs = (begin[1:] != begin[:-1]) | (chunk[1:] != chunk[:-1])
    at = np.append(0, np.flatnonzero(differs) + 1)[: len(positions)]
    first = positions[at]
    stop = positions[np.append(at[1:], len(positions))[: len(at)] - 1] + 1
    return np.maximum(begin[at], stop - places), stop, first


def row_steps(
    rows: Rows, asked: np.ndarray, description: str, *, quiet: bool
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, int]]:
    """Yields inputs of a fixed number of rows, (row, place) [Q, 2] of what is asked, and the first row.

    Args:
        rows: packed.
        asked: [R, P] bool.
        description: of the progress bar.
        quiet: no progress bar.
    """
    begins = range(0, len(rows.item), ROWS_A_STEP)
    for begin in track(begins, description, len(begins), quiet=quiet):
        part = slice(begin, begin + ROWS_A_STEP)
        at = np.argwhere(asked[part]).astype(np.int32)
        short = max(begin + ROWS_A_STEP - len(rows.item), 0)
        yield {name: np.pad(x[part], ((0, short), (0, 0))) for name, x in rows.inputs.items()}, at, begin
