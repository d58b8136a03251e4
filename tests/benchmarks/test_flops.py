"""Useful operations, against cases counted by hand."""

import numpy as np
import pytest

from benchmarks.flops import Shape, forward_multiply_adds, peak_flops, step_flops, window_places


def test_a_step_is_what_a_hand_counts() -> None:
    shape = Shape(dimensions=4, blocks=1, feed_forward=6, candidates=10)
    # Windows of 3 places and of 1. Dense: 4 places of 4·16 + 3·4·6 + 16 = 152. Attention: 6 + 1 pairs of
    # 2·4 each. Scores: 4 requests, 10 candidates of 5 dimensions.
    assert forward_multiply_adds(np.array([3, 1]), shape) == 4 * 152 + 7 * 8 + 4 * 50
    assert step_flops(np.array([3, 1]), shape) == 6 * (608 + 56 + 200)


def test_blocks_repeat_all_but_the_projection_and_the_scores() -> None:
    one, three = (Shape(dimensions=8, blocks=blocks, feed_forward=5, candidates=0) for blocks in (1, 3))
    places = np.array([7, 2])
    project = 9 * 8**2
    block = forward_multiply_adds(places, one) - project
    assert forward_multiply_adds(places, three) == 3 * block + project


def test_a_packed_row_costs_what_its_windows_do() -> None:
    segment = np.array([[4, 4, 4, 9, 0], [2, 2, 0, 0, 0]])
    assert window_places(segment).tolist() == [2, 3, 1]
    assert len(window_places(np.zeros((2, 5), int))) == 0


def test_the_peak_is_one_of_this_machine() -> None:
    assert 1e8 < peak_flops(tries=1) < 1e15


@pytest.mark.parametrize("places", [np.array([], int), np.array([200] * 500)])
def test_large_and_empty_steps_are_counted_exactly(places: np.ndarray) -> None:
    shape = Shape(dimensions=64, blocks=2, feed_forward=43, candidates=100_000)
    by_hand = sum(
        n * (2 * (4 * 64**2 + 3 * 64 * 43) + 64**2) + n * (n + 1) // 2 * 2 * 2 * 64 + n * 100_000 * 65
        for n in places.tolist()
    )
    assert forward_multiply_adds(places, shape) == by_hand
