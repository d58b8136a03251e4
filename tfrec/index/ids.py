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
        # Millions of ids: no sorted copy, and half the bytes where they do.
        order = np.argsort(values, kind="stable")
        self._order = order.astype(np.int32) if len(order) < 2**31 else order
        in_order = values[order]
        twice = in_order[1:] == in_order[:-1]
        if twice.any():
            raise DataError(f"the item id {shown(in_order[1:][twice][0])!r} stands twice; expected it once")

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, raw: NDArray[Any]) -> NDArray[np.int64]:
        """Returns the rows of raw ids, NO_ROW for others; int64, as `raw`.

        Args:
            raw: int64, S, or objects of bytes.
        """
        if not len(self.values):
            return np.full(raw.shape, NO_ROW, np.int64)
        wanted = raw.ravel() if raw.dtype == np.int64 else raw.ravel().astype("S")
        at = np.searchsorted(self.values, wanted, sorter=self._order)
        row = self._order[np.minimum(at, len(self.values) - 1)].astype(np.int64)
        found = np.where(self.values[row] == wanted, row, NO_ROW)
        return found.reshape(raw.shape).astype(np.int64)


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
        if not isinstance(value, str) or value.endswith("\0"):
            raise DataError(f"item id {value!r}: expected text that does not end in NUL")
    # An array without a value would have no width.
    return np.array([value.encode() for value in values], "S" if values else "S1")


def shown(value: Any) -> int | str:
    """Returns a raw id as people write it."""
    return value.decode() if isinstance(value, bytes) else int(value)
