"""Sequential rules: what came how soon after what, counted in the train events.

Source: Kamehkhosh, Jannach, Ludewig, "A comparison of frequent pattern techniques and a deep
learning method for session-based recommendation", RecTemp 2017.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from tfrec.distribution.summing import Alone
from tfrec.sequences import Sequences

RULE_DISTANCE = 10
"""Events of a session further apart make no rule."""
ROUNDING = 1e-3
"""What a difference of sums may leave of a rule that is none."""


class Rules(NamedTuple):
    """The strongest rules x → y of each item x.

    Attributes:
        item: [..., N, M] int32, the rows y, the strongest first; 0 where there are no more.
        weight: [..., N, M] float32, their weights; 0 where there are no more.
        total: [..., N] float32, the weight of all rules of x, kept or not.
    """

    item: np.ndarray
    weight: np.ndarray
    total: np.ndarray


def fold_of_user(users: int, folds: int) -> np.ndarray:
    """Returns the fold of each user: [U] int32, the same in every run."""
    return (np.arange(users) % folds).astype(np.int32)


def count_rules(
    sequences: Sequences,
    size: int,
    count: int,
    folds: int,
    *,
    ordered: bool,
    within_session: bool = True,
    discount: float = 0.0,
    others: Alone | None = None,
) -> tuple[Rules, Rules]:
    """Counts rules in the train events of all users, and of all but those of each fold.

    Returns:
        Rules [N, M] and [F, N, M].

    Args:
        sequences: its train events are counted, no others.
        size: N, rows of the item vocabulary, padding and unknown included.
        count: M, rules kept an item.
        folds: F.
        ordered: whether the order inside sessions means something; if not, rules are the numbers
            of sessions that two items share.
        within_session: whether rules end with a session.
        discount: of popular items, where rules are chosen; see `strongest`.
        others: who have the other parts of the log; None: the sequences are all of it.
    """
    train = sequences.keep(sequences.is_role("train"))
    fold = fold_of_user(train.users, folds)[train.user_of_event]
    parts = []
    for number in range(folds):
        part = train.keep(fold == number)
        parts.append(rule_matrix(part, size, within_session) if ordered else together_matrix(part, size))
    parts = (others or Alone()).matrices(parts)
    whole = sum(parts[1:], parts[0]).tocsr()
    without = [strongest(whole - part, count, discount) for part in parts]
    stacked = Rules(*(np.stack([getattr(rules, name) for rules in without]) for name in Rules._fields))
    return strongest(whole, count, discount), stacked


def rule_matrix(sequences: Sequences, size: int, within_session: bool = True) -> sp.csr_matrix:
    """Returns the weights of the rules x → y, x in the rows: [N, N].

    A rule weighs Σ 1/d over the sessions in which y came d ≤ 10 events after x.

    Args:
        sequences: the events that are counted.
        size: N, rows of the item vocabulary, padding and unknown included.
        within_session: whether rules end with a session, or go on to the user's next one.
    """
    user = sequences.user_of_event
    before, after, weight = [], [], []
    for step in range(1, RULE_DISTANCE + 1):
        together = user[step:] == user[:-step]
        if within_session:
            together &= sequences.session[step:] == sequences.session[:-step]
        before.append(sequences.item[:-step][together])
        after.append(sequences.item[step:][together])
        weight.append(np.full(together.sum(), 1.0 / step, np.float32))
    cells = (np.concatenate(before), np.concatenate(after))
    return sp.csr_matrix((np.concatenate(weight), cells), (size, size))


def together_matrix(sequences: Sequences, size: int) -> sp.csr_matrix:
    """Returns in how many sessions x and y came together, whatever their order: [N, N].

    The diagonal is 0. Args: as `rule_matrix`.
    """
    session = sequences.session_starts.cumsum() - 1
    baskets = sp.csr_matrix(
        (np.ones(len(session), np.float32), (session, sequences.item)), (session.max() + 1, size)
    )
    baskets.data[:] = 1.0
    found = (baskets.T @ baskets).tocsr()
    found.setdiag(0)
    found.eliminate_zeros()
    return found


def strongest(matrix: sp.csr_matrix, count: int, discount: float = 0.0) -> Rules:
    """Returns the `count` rules x → y of each item with the highest w(x → y) / w(y)^discount."""
    matrix = matrix.tocsr()
    total = np.asarray(matrix.sum(axis=1)).ravel().astype(np.float32)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    # An item from which no rule leads is as rare as can be told.
    strength = matrix.data / np.maximum(total, 1.0)[matrix.indices] ** discount
    order = np.lexsort((-strength, rows))
    place = np.arange(len(rows)) - matrix.indptr[rows]
    kept = (place < count) & (matrix.data[order] > ROUNDING)
    item = np.zeros((matrix.shape[0], count), np.int32)
    weight = np.zeros((matrix.shape[0], count), np.float32)
    item[rows[kept], place[kept]] = matrix.indices[order][kept]
    weight[rows[kept], place[kept]] = matrix.data[order][kept]
    return Rules(item, weight, total)
