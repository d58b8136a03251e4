"""Metrics against numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec import metrics
from tfrec.schema import PADDING_ROW, UNKNOWN_ROW

INF = np.inf


def test_the_rank_of_a_target_is_its_place_from_one() -> None:
    answers = np.array([[4, 5, 6], [4, 5, 6], [4, 5, 6], [7, PADDING_ROW, PADDING_ROW]])
    assert metrics.target_rank(answers, np.array([4, 6, 9, 7])).tolist() == [1, 3, INF, 1]


def test_an_unknown_or_padded_target_is_never_found() -> None:
    answers = np.array([[UNKNOWN_ROW, 5], [7, PADDING_ROW]])
    assert metrics.target_rank(answers, np.array([UNKNOWN_ROW, PADDING_ROW])).tolist() == [INF, INF]


def test_accuracy_at_five() -> None:
    rank = np.array([1.0, 2.0, 3.0, 5.0, 6.0, INF])
    assert metrics.recall(rank, 5).tolist() == [1, 1, 1, 1, 0, 0]
    # 1/log2(2) = 1, 1/log2(3) = 0.63093, 1/log2(4) = 0.5, 1/log2(6) = 0.38685
    assert metrics.ndcg(rank, 5) == pytest.approx([1, 0.63093, 0.5, 0.38685, 0, 0], abs=5e-6)
    assert metrics.mrr(rank, 5) == pytest.approx([1, 1 / 2, 1 / 3, 1 / 5, 0, 0])


@given(st.lists(st.integers(1, 40) | st.just(INF), min_size=1), st.integers(1, 20))
def test_the_metrics_of_a_query_are_ordered_and_grow_with_k(rank: list[float], k: int) -> None:
    ranks = np.array(rank, float)
    recall, ndcg, mrr = (metric(ranks, k) for metric in (metrics.recall, metrics.ndcg, metrics.mrr))
    assert (recall >= ndcg).all()
    assert (ndcg >= mrr - 1e-12).all()
    assert (metrics.ndcg(ranks, k + 1) >= ndcg).all()


def test_coverage_counts_each_item_once_and_no_padding() -> None:
    answers = np.array([[2, 3, 9], [3, 4, 9], [2, PADDING_ROW, PADDING_ROW]])
    assert metrics.coverage(answers, 2, items=10) == pytest.approx(3 / 10)
    assert metrics.coverage(answers, 3, items=10) == pytest.approx(4 / 10)
    assert metrics.coverage(answers[:0], 3, items=10) == 0


def test_novelty_is_the_mean_self_information_in_bits() -> None:
    train_count = np.array([8, 4, 4, 0])  # shares 1/2, 1/4, 1/4; none counts as one of 16
    assert metrics.novelty(np.array([[2, 3]]), 2, train_count) == pytest.approx((1 + 2) / 2)
    assert metrics.novelty(np.array([[2, 3], [5, PADDING_ROW]]), 2, train_count) == pytest.approx(
        (1 + 2 + 4) / 3
    )
    assert metrics.novelty(np.array([[2, 3]]), 1, train_count) == pytest.approx(1)
    assert metrics.novelty(np.array([[PADDING_ROW]]), 1, train_count) == 0
