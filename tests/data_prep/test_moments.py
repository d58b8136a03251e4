"""Means and deviations that no order and no cut into parts can change."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_prep.moments import Moments

FLOATS = arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32))


@given(numbers=FLOATS, cut=st.integers(0, 40))
def test_parts_add_up_to_the_whole(numbers: np.ndarray, cut: int) -> None:
    whole = Moments.of(numbers)
    parts = Moments.together([Moments.of(numbers[:cut]), Moments.of(numbers[cut:])])
    assert parts == whole
    assert Moments.of(numbers[::-1]) == whole
    finite = numbers[np.isfinite(numbers)].astype(np.float64)
    assert whole.count == len(finite)
    if len(finite):
        assert whole.mean == pytest.approx(math.fsum(finite) / len(finite), rel=1e-12)
        assert whole.std == pytest.approx(finite.std(), rel=1e-6, abs=1e-6 * np.abs(finite).max())


def test_of_nothing_both_are_zero() -> None:
    assert (Moments.of(np.array([np.nan], np.float32)).mean, Moments.together([]).std) == (0.0, 0.0)
