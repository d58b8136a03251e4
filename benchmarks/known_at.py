"""What was known of any candidates at the moments of a dataset's events, as preparation counts it."""

import numpy as np

from data_prep.statistics import Stream, item_statistics, pair_statistics
from tfrec.dataset import Dataset


class KnownAt:
    """Statistics from events alone: those of datasets with sampled impressions.

    Sessions without an order have the time of their begin in a dataset, and preparation counts real ones: the
    two agree where a session is of one moment, as a basket is.

    Args:
        dataset: whose events are counted.
        names: of the statistics, in the order that a model takes them.
    """

    def __init__(self, dataset: Dataset, names: tuple[str, ...]) -> None:
        s = self.sequences = dataset.sequences
        self.names = names
        self.items = dataset.items.size
        types = dict(enumerate(dataset.event_types.values, start=2))
        self.events = {
            str(name): Stream(s.item[s.event_type == row], s.time[s.event_type == row])
            for row, name in types.items()
        }
        # Items that a user never had need no place of their own: they count as one that nobody has.
        self.pairs, number = np.unique(self._pair(s.user_of_event, s.item), return_inverse=True)
        self.had = Stream(number, s.time)

    def __call__(self, rows: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Returns [Q, C, S] float32 of candidates [Q, C] as of the events at positions [Q]."""
        s, shape = self.sequences, rows.shape
        time, user = (np.repeat(x[position], shape[1]) for x in (s.time, s.user_of_event))
        item, nothing = rows.ravel().astype(np.int64), Stream(np.zeros(0, np.int64), np.zeros(0, np.int64))
        pair = np.minimum(np.searchsorted(self.pairs, self._pair(user, item)), len(self.pairs) - 1)
        pair = np.where(self.pairs[pair] == self._pair(user, item), pair, len(self.pairs))
        found = item_statistics(self.events, nothing, {}, item, time)
        found |= pair_statistics(self.had, nothing, pair, time)
        columns = np.zeros((len(item), len(self.names)), np.float32)
        for place, name in enumerate(self.names):
            columns[:, place] = found[name]
        return columns.reshape(*shape, len(self.names))

    def _pair(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        return user.astype(np.int64) * self.items + item
