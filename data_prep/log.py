"""A log in memory: codes and numbers in flat arrays, whatever the files held."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Column:
    """A column of raw values, each value once.

    Attributes:
        codes: [E] int32, place of each event's value in `values`; -1 where it is missing.
        values: the values: int64 or str.
    """

    codes: np.ndarray
    values: pd.Index

    def take(self, at: np.ndarray) -> "Column":
        """Returns the events at the given places."""
        return Column(self.codes[at], self.values)


@dataclass(frozen=True)
class Log:
    """Events, in the order of the files until they are sorted.

    Attributes:
        user, item: raw ids.
        time: [E] int64 unix seconds, or positions.
        event: event types.
        session: raw session ids; None where sessions come from gaps.
        context: categorical columns, or [E] float32 numbers.
        lot: [E] uint32, which order the events of an unordered session; None where sessions are ordered.
        event_id: [E] int64 where the source has its own; else None.
        role: [E] int8 where the source has its own split; else None.
    """

    user: Column
    item: Column
    time: np.ndarray
    event: Column
    session: Column | None = None
    context: dict[str, Column | np.ndarray] = field(default_factory=dict)
    lot: np.ndarray | None = None
    event_id: np.ndarray | None = None
    role: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.time)

    def take(self, at: np.ndarray) -> "Log":
        """Returns the events at the given places, or where a mask of [E] bool holds."""
        if at.dtype == bool:
            if at.all():
                return self
            at = np.flatnonzero(at)
        return replace(
            self,
            user=self.user.take(at),
            item=self.item.take(at),
            time=self.time[at],
            event=self.event.take(at),
            session=self.session.take(at) if self.session else None,
            context={
                name: column.take(at) if isinstance(column, Column) else column[at]
                for name, column in self.context.items()
            },
            lot=None if self.lot is None else self.lot[at],
            event_id=None if self.event_id is None else self.event_id[at],
            role=None if self.role is None else self.role[at],
        )
