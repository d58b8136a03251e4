"""What a query may be answered with."""

import numpy as np
from numpy.typing import NDArray

from tfrec.index.ids import NO_ROW

Rows = NDArray[np.int64]


class Filter:
    """Rows that may be answered: those that are alive, not barred, and allowed where some alone are.

    Args:
        dead: [N] bool, rows that nobody is answered.
        alive: how many are not.
        barred: rows that must not be answered; NO_ROW counts for nothing. None: none.
        allowed: the only rows that may be. None: all may.

    Attributes:
        allowed: those that may be answered, each once, in order; None: whatever is not barred.
        left: how many rows may be answered.
        passing: the share of candidates that are worth looking for, in (0, 1].
        extra: candidates that may be found and must fall out.
    """

    def __init__(
        self, dead: NDArray[np.bool_], alive: int, barred: Rows | None, allowed: Rows | None
    ) -> None:
        self._dead = dead
        self._barred = np.zeros(0, np.int64) if barred is None else np.unique(barred[barred != NO_ROW])
        self._only: NDArray[np.bool_] | None = None
        self.allowed: Rows | None = None
        if allowed is None:
            self.extra = len(self._barred)
            self.left = alive - int((~dead[self._barred]).sum())
            self.passing = max(alive, 1) / max(len(dead), 1)
            return
        allowed = np.unique(allowed[allowed != NO_ROW])
        self.allowed = np.setdiff1d(allowed[~dead[allowed]], self._barred, assume_unique=True)
        self._only = np.zeros(len(dead), bool)
        self._only[self.allowed] = True
        self.extra, self.left = 0, len(self.allowed)
        # Those allowed may be rarer among the best than among all.
        self.passing = max(len(self.allowed), 1) / max(len(dead), 1) / 1.5

    def keeps(self, rows: Rows) -> NDArray[np.bool_]:
        """Returns which rows [C] may be answered."""
        real = rows != NO_ROW
        if self._only is not None:
            return real & self._only[rows]
        kept = real & ~self._dead[rows]
        return kept & ~np.isin(rows, self._barred) if len(self._barred) else kept

    def candidates(self, k: int) -> int:
        """Returns how many of the best candidates leave k, as far as can be told before."""
        return int(np.ceil((k + self.extra) / self.passing))
