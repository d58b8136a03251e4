"""Lots of events, for an order that is to mean nothing."""

import numpy as np
import pandas as pd

LOT_BITS = 32


def draw_lots(first: int, count: int, seed: int) -> np.ndarray:
    """Returns [count] uint32: the lots of the rows `first`, `first + 1`, … of a log.

    A lot is a hash of the row's number, so that a row draws the same one wherever the log is cut into pieces.
    """
    salt = pd.util.hash_array(np.array([seed], np.uint64))[0]
    rows = np.arange(first, first + count, dtype=np.uint64)
    return (pd.util.hash_array(rows ^ salt) >> np.uint64(64 - LOT_BITS)).astype(np.uint32)


def by_lot(group: np.ndarray, lot: np.ndarray) -> np.ndarray:
    """Returns the order of groups, [E] numbers below 2³¹, by lot inside each; equal lots keep their order."""
    # One number for both, since NumPy sorts one key many times as fast as two.
    keys = group.astype(np.int64) << LOT_BITS
    keys |= lot
    return np.argsort(keys, kind="stable")
