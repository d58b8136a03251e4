"""Changes of the training sequences, drawn anew each epoch, so that a model meets them in many forms.

Crops need no function here: `cut_windows` cuts every epoch at other places.
"""

from dataclasses import replace

import numpy as np

from tfrec.sequences import Sequences


def drop_events(sequences: Sequences, share: float, random: np.random.Generator) -> Sequences:
    """Returns the sequences without a share of their events, each dropped by lot."""
    return sequences.keep(random.random(len(sequences.item)) >= share)


def reorder_events(sequences: Sequences, share: float, random: np.random.Generator) -> Sequences:
    """Returns the sequences with a share of all neighbours inside a session changed about.

    Times and sessions stay in their places; what happened there is exchanged.
    """
    size = len(sequences.item)
    session = sequences.session_starts.cumsum()
    first = np.flatnonzero((session[1:] == session[:-1]) & (random.random(max(size - 1, 0)) < share))
    # Of pairs that overlap the first is taken.
    first = first[np.append(True, np.diff(first) > 1)] if len(first) else first
    order = np.arange(size)
    order[first], order[first + 1] = first + 1, first
    context = {name: values[order] for name, values in sequences.context.items()}
    return replace(
        sequences, item=sequences.item[order], event_type=sequences.event_type[order], context=context
    )


def begin_at_sessions(starts: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Returns where windows begin when none begins inside a session: at the next start, if it has one.

    Args:
        starts: [E] bool, which events are the first of their session.
        begin, end: [W] the windows.
    """
    at = np.flatnonzero(starts)
    following = np.append(at, len(starts))[np.searchsorted(at, begin)]
    return np.where(following < end, following, begin)


def mask_items(item: np.ndarray, share: float, row: int, random: np.random.Generator) -> np.ndarray:
    """Returns rows of items [...] with a share of them hidden behind another row, drawn by lot."""
    return np.where(random.random(item.shape) < share, np.int32(row), item)
