"""The events of many users as flat arrays, users one after another."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tfrec.schema import ROLES


@dataclass(frozen=True)
class Sequences:
    """The events of U users, E in all; user u's are `offsets[u]:offsets[u + 1]`, oldest first.

    Attributes:
        user_id: [U] raw ids.
        offsets: [U + 1] int64.
        event_id: [E] int64.
        item: [E] int32 rows of the item vocabulary.
        event_type: [E] int32 rows of the event type vocabulary.
        session: [E] int32 number of the session within the user.
        time: [E] int64 unix seconds, or a position.
        role: [E] int8, places in `tfrec.schema.ROLES`.
        context: [E] arrays by column name: int32 rows, or float32 raw numbers.
    """

    user_id: np.ndarray
    offsets: np.ndarray
    event_id: np.ndarray
    item: np.ndarray
    event_type: np.ndarray
    session: np.ndarray
    time: np.ndarray
    role: np.ndarray
    context: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def users(self) -> int:
        """U."""
        return len(self.offsets) - 1

    @property
    def user_of_event(self) -> np.ndarray:
        """[E] the user's place in `user_id`, for each event."""
        return np.repeat(np.arange(self.users), np.diff(self.offsets))

    def is_role(self, role: str) -> np.ndarray:
        """[E] bool: which events have the role."""
        return self.role == ROLES.index(role)

    @property
    def session_starts(self) -> np.ndarray:
        """[E] bool: which events are the first of their session."""
        starts = np.ones(len(self.session), bool)
        starts[1:] = self.session[1:] != self.session[:-1]
        begins = self.offsets[:-1]
        starts[begins[begins < len(starts)]] = True
        return starts

    def keep(self, kept: np.ndarray) -> "Sequences":
        """Returns every user's events of a mask [E], and no trace of the others."""
        counts = np.bincount(self.user_of_event[kept], minlength=self.users)
        offsets = np.append(0, np.cumsum(counts)).astype(np.int64)
        return replace(self.take(np.flatnonzero(kept)), offsets=offsets)

    def take(self, at: np.ndarray) -> "Sequences":
        """Returns the events at some places, in that order; the offsets are as before."""
        names = ("event_id", "item", "event_type", "session", "time", "role")
        columns = {name: getattr(self, name)[at] for name in names}
        context = {name: values[at] for name, values in self.context.items()}
        return replace(self, context=context, **columns)
