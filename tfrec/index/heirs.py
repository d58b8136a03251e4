"""Items that inherit: of what the items like one score, a part is its own.

No user's sequence holds an item that came yesterday, and no rule leads to it; its embedding, by features
alone, is seldom among the best of a whole catalogue. But where a user's second scores (copies, rules) point
at items that are like it, they point at it too:

    score(z) = log(exp(q·e_z + b_z) + Σ_y w(z, y) exp(score(y))),  y scored a second way
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILES = ("heir-row", "heir-like", "heir-weight")


@dataclass(frozen=True, eq=False)
class Heirs:
    """What some items of a segment are like.

    Attributes:
        row: [H] int64 places in the segment, rising.
        like: [H, M] raw ids of items.
        weight: [H, M] float32, the part of exp(score) that is inherited of each; 0: none.
    """

    row: NDArray[np.int64]
    like: NDArray[Any]
    weight: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64], size: int) -> "Heirs":
        """Returns the heirs of a segment's rows, which lie in their order.

        Args:
            rows: of the segment, each once.
            size: of the segment.
        """
        place = np.full(size, -1, np.int64)
        place[rows] = np.arange(len(rows))
        new = place[self.row]
        kept = np.flatnonzero(new >= 0)
        kept = kept[np.argsort(new[kept])]
        return Heirs(new[kept], self.like[kept], self.weight[kept])

    def followed_by(self, other: "Heirs", size: int) -> "Heirs":
        """Returns these and those of another segment behind this one.

        Args:
            other: of the segment behind.
            size: of this segment.
        """
        if not len(other.row):
            return self
        if not len(self.row):
            return Heirs(other.row + size, other.like, other.weight)
        width = max(self.like.shape[1], other.like.shape[1])
        parts = [
            [np.pad(array, ((0, 0), (0, width - array.shape[1]))) for array in (one.like, one.weight)]
            for one in (self, other)
        ]
        like, weight = (np.concatenate(pair) for pair in zip(*parts, strict=True))
        return Heirs(np.concatenate([self.row, other.row + size]), like, weight)

    def save(self, folder: Path) -> None:
        """Writes them into a folder, if there are any."""
        arrays: tuple[NDArray[Any], ...] = (self.row, self.like, self.weight)
        if len(self.row):
            for name, array in zip(FILES, arrays, strict=True):
                np.save(folder / f"{name}.npy", array)

    @classmethod
    def load(cls, folder: Path) -> "Heirs":
        """Reads what `save` has written.

        Raises:
            OSError, ValueError, EOFError: a file is missing or damaged.
        """
        if not (folder / f"{FILES[0]}.npy").exists():
            return NOBODY
        return cls(*(np.load(folder / f"{name}.npy") for name in FILES))


NOBODY = Heirs(np.zeros(0, np.int64), np.zeros((0, 0), np.int64), np.zeros((0, 0), np.float32))


class Inheritance:
    """Who inherits of whom, by rows of an index.

    Args:
        heir: [E] int64 rows.
        source: [E] int64 rows of what they are like.
        weight: [E] float32.
    """

    def __init__(
        self, heir: NDArray[np.int64], source: NDArray[np.int64], weight: NDArray[np.float32]
    ) -> None:
        order = np.argsort(source, kind="stable")
        self._heir, self._source, self._weight = heir[order], source[order], weight[order]

    def of(
        self, rows: NDArray[np.int64], scores: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Returns the heirs of rows, each once, and log Σ w exp(score) of what they inherit.

        Args:
            rows: [S], each once.
            scores: [S] float32, none of them -inf.
        """
        begin, end = (np.searchsorted(self._source, rows, side) for side in ("left", "right"))
        count = end - begin
        if not count.sum():
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        at = np.repeat(begin - np.cumsum(count) + count, count) + np.arange(count.sum())
        top = scores.max()
        part = self._weight[at] * np.exp(np.repeat(scores, count) - top)
        heirs, place = np.unique(self._heir[at], return_inverse=True)
        total = np.bincount(place, part)
        return heirs, (np.log(np.maximum(total, 1e-38)) + top).astype(np.float32)
