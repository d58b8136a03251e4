"""Training examples of an epoch: all train events, cut, shuffled and packed anew each time."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tfrec.batches import Rows, pack_windows
from tfrec.config import Settings
from tfrec.dataset import Dataset, Sequences
from tfrec.negatives import draw_uniform
from tfrec.packing import cut_windows
from tfrec.schema import FIRST_ROW

Batch = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


class Epochs:
    """The train events of a dataset, as batches that depend on the seed and the epoch alone.

    Args:
        dataset: its train events are used, no others.
        settings: of the run.
    """

    def __init__(self, dataset: Dataset, settings: Settings) -> None:
        self.settings = settings
        self.items = dataset.items.size
        self.ordered = dataset.schema.ordered_sessions
        self.sequences = only_train(dataset.sequences)
        # The number of rows varies a little with the cut; steps are those of an uncut first epoch.
        self.steps = max(1, -(-len(self._rows(0).item) // settings.training.rows))

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yields `steps` batches of `rows` packed rows; the last ones are filled up with padding."""
        rows = self._rows(epoch)
        size = self.settings.training.rows
        random = self._random(epoch, 1)
        order = random.permutation(len(rows.item))
        order = np.append(order, np.full(max(self.steps * size - len(order), 0), -1))
        inputs = {name: _with_empty(tensor) for name, tensor in rows.inputs.items()}
        item = _with_empty(rows.item)
        for step in range(self.steps):
            part = order[step * size : (step + 1) * size]
            target = item[part]
            wanted = {
                "item": target,
                "weight": (target >= FIRST_ROW).astype(np.float32),
                "negatives": draw_uniform(random, self.items, self.settings.loss.uniform),
            }
            yield {name: tensor[part] for name, tensor in inputs.items()}, wanted

    def _random(self, epoch: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.settings.seed, epoch, purpose))

    def _rows(self, epoch: int) -> Rows:
        random = self._random(epoch, 0)
        sequences = self.sequences if self.ordered else shuffle_sessions(self.sequences, random)
        places = self.settings.model.max_length + 1
        shift = random.integers(0, places, sequences.users) if epoch else None
        start, stop = cut_windows(sequences.offsets, places, shift)
        order = random.permutation(len(start))
        return pack_windows(sequences, start[order], stop[order], self.settings.row_length)


def only_train(sequences: Sequences) -> Sequences:
    """Returns the train events of every user, and no trace of the others."""
    keep = sequences.is_role("train")
    counts = np.bincount(sequences.user_of_event[keep], minlength=sequences.users)
    return _take(sequences, np.flatnonzero(keep), np.append(0, np.cumsum(counts)).astype(np.int64))


def shuffle_sessions(sequences: Sequences, random: np.random.Generator) -> Sequences:
    """Returns the events with the order inside each session drawn anew."""
    lot = random.random(len(sequences.item))
    order = np.lexsort((lot, sequences.session, sequences.user_of_event))
    return _take(sequences, order, sequences.offsets)


def _take(sequences: Sequences, at: np.ndarray, offsets: np.ndarray) -> Sequences:
    columns = {
        name: getattr(sequences, name)[at]
        for name in ("event_id", "item", "event_type", "session", "time", "role")
    }
    context = {name: values[at] for name, values in sequences.context.items()}
    return replace(sequences, offsets=offsets, context=context, **columns)


def _with_empty(tensor: np.ndarray) -> np.ndarray:
    """A row of padding at the end, where index -1 finds it."""
    return np.concatenate([tensor, np.zeros_like(tensor[:1])])
