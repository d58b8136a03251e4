"""Parts of impressions, to see where probabilities are good and where not."""

from collections.abc import Iterator

import numpy as np

from tfrec.dataset import Dataset
from tfrec.impressions import Impressions
from tfrec.schema import UNKNOWN_ROW

Masks = dict[str, dict[str, np.ndarray]]
"""[I] bool by slice and bucket."""
BUCKETS = 8
"""Of a context column, its most frequent values."""
HOURS = 6


def impression_slices(asked: Impressions, dataset: Dataset) -> Masks:
    """Returns masks of impressions: users without train events, items without, hour (UTC), context."""
    return dict(_slices(asked, dataset))


def _slices(asked: Impressions, dataset: Dataset) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    s = dataset.sequences
    train = np.bincount(s.user_of_event[s.is_role("train")], minlength=s.users)
    new = (asked.user < 0) | (np.append(train, 0)[asked.user] == 0)
    yield "user", {"known": ~new, "new": new}
    unknown = np.bincount(asked.of_candidate, asked.item == UNKNOWN_ROW, minlength=len(asked))
    many = unknown >= np.diff(asked.offsets) / 2
    yield "items", {"most known": ~many, "half or more new": many}
    hour = asked.time // 3600 % 24
    yield "hour", {f"{h:02d}-{h + HOURS - 1:02d}": hour // HOURS == h // HOURS for h in range(0, 24, HOURS)}
    for name, vocabulary in dataset.impression_context.items():
        frequent = vocabulary.values[:BUCKETS]
        rows = vocabulary.rows(frequent)
        yield name, {str(v): asked.context[name] == row for v, row in zip(frequent, rows, strict=True)}
