"""What a query may look at: the query of the event at a position is every event of the user before it.

Positions are places in the flat arrays of `Sequences`; Q queries.
"""

import numpy as np

from tfrec.schema import Repeats
from tfrec.sequences import Sequences


def first_of_user(sequences: Sequences, positions: np.ndarray) -> np.ndarray:
    """Returns the position of the first event of each query's user: [Q] int64."""
    user = np.searchsorted(sequences.offsets, positions, side="right") - 1
    return sequences.offsets[user]


def first_of_session(sequences: Sequences, positions: np.ndarray) -> np.ndarray:
    """Returns the position of the first event of each query's own session: [Q] int64."""
    begins = np.flatnonzero(sequences.session_starts)
    return begins[np.searchsorted(begins, positions, side="right") - 1]


def history_sessions(sequences: Sequences, positions: np.ndarray) -> np.ndarray:
    """Returns how many sessions each query's user had before the session of the target: [Q] int64."""
    number = np.cumsum(sequences.session_starts)
    return number[positions] - number[first_of_user(sequences, positions)]


def place_in_session(sequences: Sequences, positions: np.ndarray) -> np.ndarray:
    """Returns the target's place in its session, from 1: [Q] int64."""
    return positions - first_of_session(sequences, positions) + 1


def spans(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lays the half-open spans of Q queries end to end.

    Returns:
        The place of the query in `start`, and the position, for each event in the spans.
    """
    size = stop - start
    query = np.repeat(np.arange(len(start)), size)
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    return query, start[query] + within


def barred(sequences: Sequences, positions: np.ndarray, repeats: Repeats) -> tuple[np.ndarray, np.ndarray]:
    """Returns the events whose items a log of this kind does not show again, as `spans` does."""
    if repeats == "never":
        return spans(first_of_user(sequences, positions), positions)
    if repeats == "across_sessions":
        return spans(first_of_session(sequences, positions), positions)
    return spans(positions, positions)
