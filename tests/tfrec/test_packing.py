"""Windows and packing: nothing lost, nothing twice, nothing too long."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tfrec.epochs import recency_weights
from tfrec.packing import cut_windows, pack, ranges


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
    st.integers(1, 12),
    st.integers(0, 2**31 - 1),
)
def test_windows_cover_every_event_once(lengths: list[int], longest: int, seed: int) -> None:
    offsets = np.append(0, np.cumsum(lengths))
    shift = np.random.default_rng(seed).integers(0, longest, len(lengths))
    start, stop = cut_windows(offsets, longest, shift)
    assert (stop > start).all()
    assert (stop - start <= longest).all()
    assert sorted(ranges(start, stop).tolist()) == list(range(offsets[-1]))
    user = np.searchsorted(offsets, start, side="right")
    assert (np.searchsorted(offsets, stop - 1, side="right") == user).all()


def test_windows_end_with_the_newest_event() -> None:
    start, stop = cut_windows(np.array([0, 7, 9]), 3)
    assert list(zip(start.tolist(), stop.tolist(), strict=True)) == [(4, 7), (1, 4), (0, 1), (7, 9)]


@given(st.lists(st.integers(1, 10), min_size=1, max_size=60))
def test_packed_windows_do_not_overlap(lengths: list[int]) -> None:
    row, place = pack(np.array(lengths), 10)
    taken = np.zeros((row.max() + 1, 10), int)
    for r, p, n in zip(row, place, lengths, strict=True):
        assert p + n <= 10
        taken[r, p : p + n] += 1
    assert taken.max() == 1
    # First-fit decreasing wastes less than half of all rows but one.
    assert row.max() + 1 <= 2 * -(-sum(lengths) // 10)


def test_ranges() -> None:
    assert ranges(np.array([5, 0]), np.array([7, 3])).tolist() == [5, 6, 0, 1, 2]


def test_older_targets_count_less() -> None:
    day = 86_400
    found = recency_weights(np.array([0, 3 * day, 4 * day]), 2, latest=4 * day)
    np.testing.assert_allclose(found, [0.25, 2**-0.5, 1])
    assert recency_weights(np.array([0, day]), None, latest=day).tolist() == [1, 1]
