"""What counts as an event that was trained with; numpy arrays and torch tensors alike."""

from typing import Any

import numpy as np

PADDING = 0


def real_events(items: Any, *, shifted: bool) -> int:
    """Returns how many events of users' sequences a batch holds, padding not counted.

    Args:
        items: [B, L] rows of the items that go in, `PADDING` where there is none.
        shifted: the sequences' last events are targets only, and take no place of their own
            (SASRec: what goes in is the sequence without its last event).
    """
    return int((items != PADDING).sum()) + (len(items) if shifted else 0)


def asked_users(users: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Returns the users whose queries are asked, as `tfrec.validation.validation_positions` chooses them.

    Args:
        users: of all val events, in the order of the dataset.
        most: how many at most.
        seed: of the choice.
    """
    asked = np.unique(users)
    if len(asked) <= most:
        return asked
    return np.random.default_rng(seed).choice(asked, most, replace=False)


def contexts(start: np.ndarray, stop: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (query, row): the newest rows in `start`..`stop` of each query, `length` at most.

    Args:
        start: [Q] first row of each query's user.
        stop: [Q] row of each query's event, which is not part of its context.
        length: how many rows a query looks back.
    """
    size = np.minimum(stop - start, length)
    query = np.repeat(np.arange(len(stop)), size)
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    return query, (stop - size)[query] + within
