"""Raw ids of items, and the way back to their rows, in arrays: a dictionary of millions would weigh more."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import DataError
from tfrec.schema import IdType

NO_ROW = -1


class ItemIds:
    """Raw ids, one a row.

    Args:
        values: [N] int64, or S (text as UTF-8).

    Raises:
        DataError: an id stands twice.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values
        order = np.argsort(values, kind="stable")
        in_order = values[order]
        twice = in_order[1:] == in_order[:-1]
        if twice.any():
            raise DataError(f"the item id {shown(in_order[1:][twice][0])!r} stands twice; expected it once")
        # Millions of ids: nothing is kept twice, and half the bytes where they do.
        self._sorted = values if np.array_equal(in_order, values) else in_order
        self._order = (
            None if self._sorted is values else order.astype(np.int32 if len(order) < 2**31 else int)
        )

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, raw: NDArray[Any]) -> NDArray[np.int64]:
        """Returns the rows of raw ids, NO_ROW for others; int64, as `raw`.

        Args:
            raw: int64, S, or objects of bytes.
        """
        if not len(self.values):
            return np.full(raw.shape, NO_ROW, np.int64)
        wanted, known = self._comparable(raw.ravel())
        at = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        known &= self._sorted[at] == wanted
        found = np.where(known, at if self._order is None else self._order[at], NO_ROW)
        return found.reshape(raw.shape).astype(np.int64)

    def _comparable(self, raw: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Ids in the type of ours, and which of them can be ours at all.

        NumPy would make all of ours as wide as the widest id that a caller sends, and drop NULs at the end.
        """
        if raw.dtype == np.int64:
            return raw, np.ones(len(raw), bool)
        width = self.values.dtype.itemsize
        fits = np.array([0 < len(one) <= width and one[-1] != 0 for one in raw.tolist()], bool)
        return np.where(fits, raw, b"").astype(f"S{width}"), fits


def id_array(raw: Iterable[Any], id_type: IdType) -> NDArray[Any]:
    """Returns raw ids as `ItemIds` keeps them.

    Raises:
        DataError: one is of another type, or a text that ends in NUL.
    """
    values = list(raw)
    if id_type == "int64":
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise DataError(f"item id {value!r}: expected a whole number")
        return np.array(values, np.int64)
    for value in values:
        if not isinstance(value, str) or not value or value.endswith("\0"):
            raise DataError(f"item id {value!r}: expected text that is not empty and does not end in NUL")
    # An array without a value would have no width.
    return np.array([value.encode() for value in values], "S" if values else "S1")


def shown(value: Any) -> int | str:
    """Returns a raw id as people write it."""
    return value.decode() if isinstance(value, bytes) else int(value)
