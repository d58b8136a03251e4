"""Facts of a cleaned log that the schema states; those of its parts add up to those of the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_prep.log import Column, Log
from data_prep.moments import Moments
from data_prep.parts import Part
from data_prep.splits import TRAIN
from data_prep.vocabularies import TrainValues, summed, train_values, value_counts
from tfrec.schema import ROLES, ContextColumn, Counts, Repeats

MOST = 0.9
"""So many users must count their events: rows set aside leave gaps in some."""
LAST_POSITION = 10**6
"""No log counts a user's events further than this; unix seconds are beyond it."""


@dataclass(frozen=True)
class ClockFacts:
    """What tells clock times from positions.

    Attributes:
        users: how many there are.
        counting: how many have times that rise by one with each event.
        last: the last time.
    """

    users: int
    counting: int
    last: int


def clock_facts(log: Log) -> ClockFacts:
    """Returns those of a log, or of all events of some users."""
    times = pd.Series(log.time).groupby(log.user.codes)
    first, last, size = times.min(), times.max(), times.size()
    counting = (first <= 1) & (last - first == size - 1)
    return ClockFacts(len(size), int(counting.sum()), int(log.time.max(initial=0)))


def has_clock_times(parts: Sequence[ClockFacts]) -> bool:
    """Returns False where times are positions: small numbers that rise by one with a user's events."""
    users = sum(part.users for part in parts)
    if not users or max(part.last for part in parts) > LAST_POSITION:
        return True
    return sum(part.counting for part in parts) / users < MOST


@dataclass(frozen=True)
class LogTally:
    """What is counted in the sorted and split events of a log, or of all events of some users.

    Attributes:
        users, sessions: how many.
        roles: events of each role.
        first_time, last_time: of the events.
        again_in_session, again: whether train events show a user an item again in a session, or at all.
        items, events: counts of raw values of train events.
        context: likewise of categorical columns; of numeric ones the moments of train events.
    """

    users: int
    sessions: int
    roles: tuple[int, ...]
    first_time: int
    last_time: int
    again_in_session: bool
    again: bool
    items: pd.Series
    events: pd.Series
    context: Mapping[str, pd.Series | Moments]

    @classmethod
    def of(cls, part: Part) -> "LogTally":
        """Returns that of a part with at least one event."""
        log, session, train = part.log, part.sessions, part.roles == TRAIN
        pairs = pd.DataFrame(
            {"user": log.user.codes[train], "session": session[train], "item": log.item.codes[train]},
            copy=False,
        )
        again = bool(pairs.duplicated(["user", "item"]).any())
        return cls(
            users=int(np.count_nonzero(np.diff(log.user.codes))) + 1,
            sessions=int(session[-1] - session[0] + 1),
            roles=tuple(np.bincount(part.roles, minlength=len(ROLES)).tolist()),
            first_time=int(log.time.min()),
            last_time=int(log.time.max()),
            again_in_session=again and bool(pairs.duplicated(["session", "item"]).any()),
            again=again,
            items=value_counts(log.item, train),
            events=value_counts(log.event, train),
            context={
                name: value_counts(column, train) if isinstance(column, Column) else Moments.of(column[train])
                for name, column in log.context.items()
            },
        )

    @classmethod
    def together(cls, parts: "Sequence[LogTally]") -> "LogTally":
        """Returns that of all parts of a log."""
        return cls(
            users=sum(part.users for part in parts),
            sessions=sum(part.sessions for part in parts),
            roles=tuple(map(sum, zip(*(part.roles for part in parts), strict=True))),
            first_time=min(part.first_time for part in parts),
            last_time=max(part.last_time for part in parts),
            again_in_session=any(part.again_in_session for part in parts),
            again=any(part.again for part in parts),
            items=summed([part.items for part in parts]),
            events=summed([part.events for part in parts]),
            context={name: _together([part.context[name] for part in parts]) for name in parts[0].context},
        )

    @property
    def repeats(self) -> Repeats:
        """Where train events show a user an item again."""
        return "anywhere" if self.again_in_session else "across_sessions" if self.again else "never"

    def counts(self, items: int, rejected: int) -> Counts:
        """Returns how much a dataset of these events holds.

        Args:
            items: of the catalogue.
            rejected: rows set aside.
        """
        train, val, test = self.roles
        return Counts(
            users=self.users,
            items=items,
            events=sum(self.roles),
            sessions=self.sessions,
            train_events=train,
            val_events=val,
            test_events=test,
            rejected_rows=rejected,
        )


def _together(parts: Sequence[pd.Series | Moments]) -> pd.Series | Moments:
    if isinstance(parts[0], Moments):
        return Moments.together([part for part in parts if isinstance(part, Moments)])
    return summed([part for part in parts if isinstance(part, pd.Series)])


def learned(context: Mapping[str, pd.Series | Moments]) -> dict[str, TrainValues | Moments]:
    """Returns the vocabularies of categorical context columns, and the moments of numeric ones."""
    return {
        name: found if isinstance(found, Moments) else train_values(found) for name, found in context.items()
    }


def context_facts(contexts: Mapping[str, TrainValues | Moments]) -> tuple[ContextColumn, ...]:
    """Returns the schema of the context columns, by what train events have."""
    return tuple(
        ContextColumn(name=name, kind="categorical", size=found.size)
        if isinstance(found, TrainValues)
        else ContextColumn(name=name, kind="numeric", mean=found.mean, std=found.std or 1.0)
        for name, found in contexts.items()
    )


def rows_or_numbers(column: Column | np.ndarray, found: TrainValues | Moments) -> np.ndarray:
    """Returns a context column of a dataset: [E] int32 rows of its vocabulary, or [E] float32 numbers."""
    if isinstance(column, Column):
        assert isinstance(found, TrainValues)
        return found.rows_of(column)
    return column
