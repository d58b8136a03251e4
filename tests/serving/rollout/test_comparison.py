"""How far two versions' answers differ: figures that are worked out by hand."""

import numpy as np
import pytest

from serving.rollout.answers import Answer
from serving.rollout.comparison import compare, overlap, rank_correlation
from tfrec.errors import DataError

NOTHING = -(2**63)


def answer(path: str, **scores: float) -> Answer:
    """`answer("a", i1=3.0, i2=2.0)`: items 1 and 2, and a place without an item."""
    items = [int(name[1:]) for name in scores]
    return Answer(path, [*items, NOTHING], np.array([*scores.values(), -np.inf], np.float32))


def test_figures_of_two_users() -> None:
    current = [answer("a", i1=4.0, i2=3.0, i3=2.0, i4=1.0), answer("b", i1=9.0, i5=8.0)]
    newer = [answer("a", i2=5.0, i1=4.5, i4=2.0, i9=1.0), answer("b", i7=3.0, i1=2.0)]
    found = compare(newer, current, 2)
    assert found is not None
    # a: {1, 2} of both; b: item 1 of {1, 5}.
    assert (found.users, found.k) == (2, 2)
    assert found.overlap == pytest.approx(0.75)
    assert (found.worst_overlap, found.worst_request) == (0.5, "b")
    # Shared: 2 (5 and 3), 1 (4.5 and 4), 4 (2 and 1) of a; 1 (2 and 9) of b.
    assert found.score_drift == pytest.approx((2 + 0.5 + 1 + 7) / 4)
    # Of a alone: 2, 1, 4 and 1, 2, 4: two places differ by one. b shares a single item.
    assert found.rank_correlation == pytest.approx(1 - 6 * 2 / (3 * 8))


def test_the_same_answers_do_not_differ() -> None:
    same = [answer("a", i1=4.0, i2=3.0, i3=2.0)]
    found = compare(same, same, 10)
    assert found is not None
    assert (found.overlap, found.worst_overlap, found.score_drift, found.rank_correlation) == (1, 1, 0, 1)


def test_nothing_shared_has_no_drift_and_no_order() -> None:
    found = compare([answer("a", i1=1.0)], [answer("a", i2=1.0)], 10)
    assert found is not None
    assert (found.overlap, found.score_drift, found.rank_correlation) == (0, None, None)


def test_refusals_and_empty_answers_cannot_be_compared() -> None:
    refused = Answer("a", refusal=DataError("no"))
    assert compare([refused, answer("b")], [answer("a", i1=1.0), answer("b")], 10) is None
    # Items where there were none are a difference.
    found = compare([answer("b", i1=1.0)], [answer("b")], 10)
    assert found is not None
    assert found.overlap == 0


@pytest.mark.parametrize(
    ("ours", "theirs", "k", "expected"),
    [([1, 2, 3], [3, 2, 1], 3, 1), ([1, 2, 3], [3, 2, 1], 1, 0), ([1], [1, 2], 5, 0.5), ([], [1], 5, 0)],
)
def test_overlap(ours: list[int], theirs: list[int], k: int, expected: float) -> None:
    assert overlap(ours, theirs, k) == expected


def test_rank_correlation_is_spearman_s() -> None:
    places = np.array([0, 2, 5, 9])
    assert rank_correlation(places, places) == 1
    assert rank_correlation(places, places[::-1]) == -1
    # Ranks 0 1 2 3 and 1 0 3 2: Σd² = 4.
    assert rank_correlation(places, np.array([7, 3, 11, 8])) == pytest.approx(1 - 6 * 4 / (4 * 15))
