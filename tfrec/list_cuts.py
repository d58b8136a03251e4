"""Lists of candidates that are longer than the network takes."""

import numpy as np


def cut(
    any_label: np.ndarray, row: np.ndarray, place: np.ndarray, sizes: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts lists, candidates with a label first in each; of these as many as there is room, or half of it.

    Args:
        any_label, row, place: [N] whether each has a label, its list, and its place there.
        sizes: [M] of the lists.
        width: the most that are kept.

    Returns:
        [N] which are kept, the places of these, and for how many of its list each stands.
    """
    labelled = np.bincount(row, any_label, minlength=len(sizes)).astype(np.int64)
    others = sizes - labelled
    first = np.minimum(labelled, np.maximum(width // 2, width - others))
    rest = np.minimum(others, width - first)
    of_others = place - labelled[row]
    kept = np.where(any_label, place < first[row], of_others < rest[row])
    stands_for = np.where(
        any_label, (labelled / np.maximum(first, 1))[row], (others / np.maximum(rest, 1))[row]
    )
    return kept, np.where(any_label, place, of_others + first[row]), stands_for
