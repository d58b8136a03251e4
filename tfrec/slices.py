"""Groups of queries whose metrics are worth a look of their own."""

from collections.abc import Mapping

import numpy as np

from tfrec.queries import history_sessions, place_in_session
from tfrec.sequences import Sequences

# Lower bounds of the buckets; the last is open.
HISTORY_SESSIONS = (0, 1, 2, 4, 8, 16)
PLACES = (1, 2, 3, 5, 9, 17)

Slices = Mapping[str, Mapping[str, np.ndarray]]


def query_slices(sequences: Sequences, positions: np.ndarray) -> Slices:
    """Returns, by slice and bucket, which queries belong to it: [Q] bool; empty buckets are left out.

    `session_event`: the target is the first event of its session, or a later one.
    `place_in_session`: the target's place in its session, from 1.
    `history_sessions`: how many sessions the user had before the target's.
    """
    place = place_in_session(sequences, positions)
    first = {"first": place == 1, "later": place > 1}
    return {
        "session_event": {label: mask for label, mask in first.items() if mask.any()},
        "place_in_session": buckets(place, PLACES),
        "history_sessions": buckets(history_sessions(sequences, positions), HISTORY_SESSIONS),
    }


def buckets(values: np.ndarray, bounds: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Returns which values [Q] lie in each bucket, by labels like `0`, `2-3` and `16+`; no empty buckets.

    Args:
        values: integers, none below the first bound.
        bounds: lower bounds of the buckets, rising.
    """
    bucket = np.searchsorted(bounds, values, side="right") - 1
    return {_label(bounds, place): bucket == place for place in np.unique(bucket)}


def _label(bounds: tuple[int, ...], place: int) -> str:
    low = bounds[place]
    if place + 1 == len(bounds):
        return f"{low}+"
    high = bounds[place + 1] - 1
    return f"{low}" if low == high else f"{low}-{high}"
