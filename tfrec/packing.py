"""Windows of sequences, packed into rows of one length: little padding, fixed shapes."""

import numpy as np


def cut_windows(
    offsets: np.ndarray, max_length: int, shift: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts every sequence into windows of at most `max_length` events, from its newest end.

    Args:
        offsets: [U + 1] where the sequences begin in a flat array, and the end.
        max_length: events of a window.
        shift: [U] by how many events the newest window is shorter, 0 <= shift < max_length; with
            another shift each epoch, events meet with other contexts. None: 0.

    Returns:
        (start, stop) int64 of the windows, in the order of the sequences; none is empty.
    """
    start, stop = offsets[:-1], offsets[1:]
    shift = (
        np.zeros(len(start), np.int64)
        if shift is None
        else np.minimum(shift, np.maximum(stop - start - 1, 0))
    )
    pieces = -(-(stop - start + shift) // max_length)
    sequence = np.repeat(np.arange(len(start)), pieces)
    piece = np.arange(len(sequence)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = stop[sequence] + shift[sequence] - (piece + 1) * max_length
    end = np.minimum(begin + max_length, stop[sequence])
    begin = np.maximum(begin, start[sequence])
    return begin, end


def pack(lengths: np.ndarray, row_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Lays windows into rows, each row filled with the longest that still fit.

    Args:
        lengths: [W] places that each window takes, at most `row_length`.
        row_length: places of a row.

    Returns:
        (row, place) int64 [W]: where each window begins. Rows are numbered from 0.
    """
    order = np.argsort(-lengths, kind="stable")
    by_length: dict[int, list[int]] = {}
    for window in order.tolist():
        by_length.setdefault(int(lengths[window]), []).append(window)
    kinds = np.array(sorted(by_length))
    row_of, place_of = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    row = 0
    while len(kinds):
        free = row_length
        while len(kinds) and free >= kinds[0]:
            at = int(np.searchsorted(kinds, free, side="right")) - 1
            length = int(kinds[at])
            window = by_length[length].pop()
            row_of[window], place_of[window] = row, row_length - free
            free -= length
            if not by_length[length]:
                kinds = np.delete(kinds, at)
        row += 1
    return row_of, place_of


def ranges(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Returns the numbers of all ranges, end to end: start[0], …, stop[0] - 1, start[1], …"""
    size = stop - start
    return np.repeat(stop - np.cumsum(size), size) + np.arange(size.sum())
