"""Facts of a cleaned log that the schema states."""

import numpy as np
import pandas as pd

from data_prep.log import Log
from data_prep.splits import TEST, TRAIN, VAL
from data_prep.vocabularies import TrainValues
from tfrec.schema import ContextColumn, Counts, Repeats

MOST = 0.9
"""So many users must count their events: rows set aside leave gaps in some."""
LAST_POSITION = 10**6
"""No log counts a user's events further than this; unix seconds are beyond it."""


def found_repeats(log: Log, session: np.ndarray, train: np.ndarray) -> Repeats:
    """Returns where train events show a user an item again."""
    pairs = pd.DataFrame(
        {"user": log.user.codes[train], "session": session[train], "item": log.item.codes[train]}, copy=False
    )
    if not pairs.duplicated(["user", "item"]).any():
        return "never"
    return "anywhere" if pairs.duplicated(["session", "item"]).any() else "across_sessions"


def has_clock_times(log: Log) -> bool:
    """Returns False where times are positions: small numbers that rise by one with a user's events."""
    if not len(log) or log.time.max() > LAST_POSITION:
        return True
    times = pd.Series(log.time).groupby(log.user.codes)
    first, last, size = times.min(), times.max(), times.size()
    return bool(((first <= 1) & (last - first == size - 1)).mean() < MOST)


def context_facts(
    contexts: dict[str, TrainValues | np.ndarray], train: np.ndarray
) -> tuple[ContextColumn, ...]:
    """Returns the schema of the context columns; means and deviations over train events."""
    return tuple(_context(name, found, train) for name, found in contexts.items())


def _context(name: str, found: TrainValues | np.ndarray, train: np.ndarray) -> ContextColumn:
    if isinstance(found, TrainValues):
        return ContextColumn(name=name, kind="categorical", size=found.size)
    numbers = found[train]
    numbers = numbers[np.isfinite(numbers)].astype(np.float64)
    mean, std = (float(numbers.mean()), float(numbers.std())) if len(numbers) else (0.0, 0.0)
    return ContextColumn(name=name, kind="numeric", mean=mean, std=std if std > 0 else 1.0)


def count(role: np.ndarray, session: np.ndarray, users: int, items: int, rejected: int) -> Counts:
    """Returns how much a dataset holds."""
    return Counts(
        users=users,
        items=items,
        events=len(role),
        sessions=int(session[-1] - session[0] + 1) if len(session) else 0,
        train_events=int((role == TRAIN).sum()),
        val_events=int((role == VAL).sum()),
        test_events=int((role == TEST).sum()),
        rejected_rows=rejected,
    )
