"""Impressions in memory: what was shown to whom, when, and what came of it."""

from dataclasses import dataclass, field

import numpy as np

from data_prep.log import Column


@dataclass(frozen=True)
class Heads:
    """What I impressions say beside their candidates.

    Attributes:
        id: raw ids, or numbers of rows where the file has none.
        user: raw ids.
        time: [I] int64 unix seconds.
        context: categorical columns, or [I] float32 numbers.
        role: [I] int8 where the file says it; else None.
        session: [I] int32 number of its session among those of the user, -1 where that is not known; None: of
            none.
        session_id: raw ids of these, where the file has them; else None.
    """

    id: Column
    user: Column
    time: np.ndarray
    context: dict[str, Column | np.ndarray]
    role: np.ndarray | None
    session: np.ndarray | None = None
    session_id: Column | None = None

    def take(self, at: np.ndarray) -> "Heads":
        """Returns those at the given places."""
        return Heads(
            id=self.id.take(at),
            user=self.user.take(at),
            time=self.time[at],
            context={
                name: values.take(at) if isinstance(values, Column) else values[at]
                for name, values in self.context.items()
            },
            role=None if self.role is None else self.role[at],
            session=None if self.session is None else self.session[at],
            session_id=None if self.session_id is None else self.session_id.take(at),
        )


@dataclass(frozen=True)
class Impressions:
    """I impressions, N candidates in all.

    Attributes:
        heads: who, when, under what circumstances.
        offsets: [I + 1] int64, where each impression's candidates begin, and the end.
        item: [N] raw ids of the candidates.
        labels: [N] int8, 0 or 1, by name.
        values: [N] float32 by name, NaN where there is none.
        stands_for: [N] float32, how many items each stands for; None: for itself.
    """

    heads: Heads
    offsets: np.ndarray
    item: Column
    labels: dict[str, np.ndarray]
    values: dict[str, np.ndarray] = field(default_factory=dict)
    stands_for: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def of_candidate(self) -> np.ndarray:
        """[N] the place of each candidate's impression."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def take(self, at: np.ndarray) -> "Impressions":
        """Returns the impressions at the given places, in that order."""
        sizes = np.diff(self.offsets)[at]
        offsets = np.append(0, np.cumsum(sizes)).astype(np.int64)
        candidates = np.arange(offsets[-1]) + np.repeat(self.offsets[at] - offsets[:-1], sizes)
        return Impressions(
            heads=self.heads.take(at),
            offsets=offsets,
            item=self.item.take(candidates),
            labels={name: values[candidates] for name, values in self.labels.items()},
            values={name: values[candidates] for name, values in self.values.items()},
            stands_for=None if self.stands_for is None else self.stands_for[candidates],
        )

    def by_time(self) -> "Impressions":
        """Returns them in the order of time; those of one time as they were."""
        return self.take(np.argsort(self.heads.time, kind="stable"))
