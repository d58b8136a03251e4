"""What a query may be answered with."""

import numpy as np
from numpy.typing import NDArray

from tfrec.index.ids import NO_ROW

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Allowed:
    """The only rows that may be answered; made once, and shared by all queries that ask for them.

    Args:
        rows: each once, in order; alive ones alone.
        mask: [N] bool of the same; None: not made, since they are few.
    """

    def __init__(self, rows: Rows, mask: Mask | None = None) -> None:
        self.rows = rows
        self._mask = mask

    @classmethod
    def of_mask(cls, mask: Mask) -> "Allowed":
        """Returns the rows of a mask [N]."""
        return cls(np.flatnonzero(mask), mask)

    def holds(self, rows: Rows) -> Mask:
        """Returns which rows [C] are among them; NO_ROW is not."""
        if self._mask is None:
            return np.isin(rows, self.rows)
        return (rows != NO_ROW) & self._mask[rows]

    def __and__(self, other: "Allowed") -> "Allowed":
        fewer, more = sorted((self, other), key=lambda one: len(one.rows))
        return Allowed(fewer.rows[more.holds(fewer.rows)])


class Filter:
    """Rows that may be answered: those that are alive, not barred, and allowed where some alone are.

    Args:
        dead: [N] bool, rows that nobody is answered.
        alive: how many are not.
        barred: rows that must not be answered; NO_ROW counts for nothing. None: none.
        allowed: None: all may.

    Attributes:
        allowed: as given.
        left: how many rows may be answered.
    """

    def __init__(self, dead: Mask, alive: int, barred: Rows | None, allowed: Allowed | None) -> None:
        self._dead = dead
        self._barred = np.zeros(0, np.int64) if barred is None else np.unique(barred[barred != NO_ROW])
        self.allowed = allowed
        if allowed is None:
            self.left = alive - int((~dead[self._barred]).sum())
            self._passing = max(alive, 1) / max(len(dead), 1)
        else:
            self.left = len(allowed.rows) - int(allowed.holds(self._barred).sum())
            # Those allowed may be rarer among the best than among all.
            self._passing = max(len(allowed.rows), 1) / max(len(dead), 1) / 1.5

    def keeps(self, rows: Rows) -> Mask:
        """Returns which rows [C] may be answered."""
        alive = (rows != NO_ROW) & ~self._dead[rows]
        kept = alive if self.allowed is None else self.allowed.holds(rows)
        return kept & ~np.isin(rows, self._barred) if len(self._barred) else kept

    def rows(self) -> Rows:
        """Returns all rows that may be answered, in order."""
        every = np.flatnonzero(~self._dead) if self.allowed is None else self.allowed.rows
        return every[~np.isin(every, self._barred)] if len(self._barred) else every

    def candidates(self, k: int) -> int:
        """Returns how many of the best candidates leave k, as far as can be told before."""
        return int(np.ceil((k + len(self._barred)) / self._passing))
