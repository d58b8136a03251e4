"""Metrics within lists, against sums by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec import ranking_metrics as metrics

LISTS = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), max_size=8), min_size=1, max_size=6
)


@given(LISTS)
def test_auc_counts_pairs(lists: list[list[tuple[int, int]]]) -> None:
    flat = np.array([pair for one in lists for pair in one], np.float64).reshape(-1, 2)
    offsets = np.append(0, np.cumsum([len(one) for one in lists])).astype(np.int64)
    found = metrics.auc(flat[:, 0], flat[:, 1], offsets)
    for value, one in zip(found, lists, strict=True):
        pairs = [(a, b) for a, has in one if has for b, had in one if not had]
        if pairs:
            assert value == pytest.approx(np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs]))
        else:
            assert np.isnan(value)


@given(LISTS)
def test_ranks_are_an_order_of_each_list(lists: list[list[tuple[int, int]]]) -> None:
    score = np.array([score for one in lists for score, _ in one], np.float64)
    offsets = np.append(0, np.cumsum([len(one) for one in lists])).astype(np.int64)
    rank = metrics.ranks(score, offsets)
    for begin, end in itertools.pairwise(offsets):
        own = rank[begin:end]
        assert sorted(own) == list(range(1, end - begin + 1))
        assert (np.diff(score[begin:end][np.argsort(own)]) <= 0).all()


def test_mrr_and_ndcg_by_hand() -> None:
    rank = np.array([1, 2, 3, 2, 1, 1, 1, 2])
    label = np.array([0, 1, 1, 1, 0, 1, 0, 0])  # the third list has labels alone, the fourth has none
    offsets = np.array([0, 3, 5, 6, 8])
    assert metrics.mrr(rank, label, offsets)[:2] == pytest.approx([(1 / 2 + 1 / 3) / 2, 1 / 2])
    gain = 1 / np.log2(3) + 1 / np.log2(4)
    ideal = 1 + 1 / np.log2(3)
    assert metrics.ndcg(rank, label, offsets, 5)[:2] == pytest.approx([gain / ideal, 1 / np.log2(3)])
    assert metrics.ndcg(rank, label, offsets, 2)[0] == pytest.approx(1 / np.log2(3) / ideal)
    assert np.isnan(metrics.mrr(rank, label, offsets)[2:]).all()
    assert np.isnan(metrics.ndcg(rank, label, offsets, 5)[2:]).all()


def test_log_loss_by_hand_and_at_the_ends() -> None:
    found = metrics.log_loss(np.array([0.9, 0.2]), np.array([1, 0]))
    assert found == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)
    assert metrics.log_loss(np.array([0.0]), np.array([1])) == pytest.approx(-np.log(1e-7))
    weighed = metrics.log_loss(np.array([0.9, 0.2]), np.array([1, 0]), np.array([1, 3]))
    assert weighed == pytest.approx(-(np.log(0.9) + 3 * np.log(0.8)) / 4)


def test_errors_of_numbers_by_hand() -> None:
    found = metrics.number_errors(np.array([1.0, 4.0]), np.array([2.0, 6.0]), np.array([1.0, 3.0]))
    variance = (1 * 3.0**2 + 3 * 1.0**2) / 4  # around the mean of 5
    expected = {"rmse": np.sqrt((1 + 3 * 4) / 4), "mae": (1 + 3 * 2) / 4, "r2": 1 - 13 / 4 / variance}
    assert found == pytest.approx(expected)
    assert metrics.number_errors(np.array([1.0]), np.array([2.0]), np.ones(1))["r2"] == 0


def test_calibration_compares_what_was_foretold_with_what_came() -> None:
    probability = np.repeat([0.1, 0.5], 10)
    label = np.array([1] + [0] * 9 + [1] * 8 + [0] * 2)
    predicted, found, count = metrics.calibration(probability, label, bins=2)
    assert predicted == pytest.approx([0.1, 0.5])
    assert found == pytest.approx([0.1, 0.8])
    assert count.tolist() == [10, 10]
    assert metrics.calibration_error(probability, label, bins=2) == pytest.approx(0.15)
    assert metrics.calibration_error(np.array([0.3]), np.array([1])) == pytest.approx(0.7)
    # One candidate of ten stands for eleven: of 20 one has the label.
    weight = np.array([1] * 9 + [11] + [1] * 10)
    predicted, found, count = metrics.calibration(probability, label, weight, bins=2)
    assert predicted == pytest.approx([0.1, 0.5])
    assert found == pytest.approx([1 / 20, 0.8])
    assert count.tolist() == [20, 10]
    error = metrics.calibration_error(probability, label, weight, bins=2)
    assert error == pytest.approx((20 * 0.05 + 10 * 0.3) / 30)
