"""What is held out, who is asked, and content as a peer."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.asking import query_of
from benchmarks.cold_items import AMONG_NEW, NEW, OTHERS, figures, hold_out, queries_of
from benchmarks.cold_users import only_new
from benchmarks.content import content_answers, item_vectors

TAGS = {"tags": "multi"}


@pytest.fixture
def events() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "event_id": range(8),
            "user_id": [1, 1, 1, 1, 2, 2, 2, 2],
            "item_id": [10, 11, 12, 13, 10, 11, 12, 14],
            "timestamp": [0, 10, 20, 30, 5, 15, 25, 35],
            "session_id": [0, 0, 1, 1, 2, 2, 3, 3],
            "role": ["train", "train", "val", "test"] * 2,
        }
    )


def test_a_share_is_held_out_and_depends_on_the_seed_alone() -> None:
    values = pd.Series([5, 5, 1, 9, 7, 3, 3, 2, 4, 6, 8])
    held = hold_out(values, 0.3, seed=1)
    assert len(held) == 3
    assert set(held) < set(values)
    assert held.tolist() == hold_out(values[::-1], 0.3, seed=1).tolist() == sorted(held)
    assert any(hold_out(values, 0.3, seed).tolist() != held.tolist() for seed in range(2, 6))


def test_new_users_are_asked_for_all_their_events_and_others_for_none(events: pd.DataFrame) -> None:
    left = only_new(events, 0.5, seed=1)
    new = left.user_id[left.role == "test"].unique()
    assert len(new) == 1
    assert (left.role[left.user_id == new[0]] == "test").all()
    assert (
        left.event_id[left.user_id == new[0]].tolist() == events.event_id[events.user_id == new[0]].tolist()
    )
    assert left.role[left.user_id != new[0]].tolist() == ["train", "train", "val"]


def test_queries_are_told_apart_by_whether_their_item_is_new(events: pd.DataFrame) -> None:
    found = queries_of(events, "test", np.array([13]), np.array([10, 11, 13, 14]), np.random.default_rng(0))
    assert {kind: at.tolist() for kind, at in found.items()} == {NEW: [3], AMONG_NEW: [3], OTHERS: [7]}


def test_a_question_is_all_of_the_user_before_and_nothing_else(events: pd.DataFrame) -> None:
    query = query_of(events, 7, 2, None, has_sessions=True)
    assert [event["item"] for event in query.events] == [11, 12]
    assert (query.request_time, query.session, list(query.allow)) == (35, 3, [])
    assert list(query_of(events, 4, 2, np.array([10]), has_sessions=False).events) == []


def test_figures_by_hand() -> None:
    found = figures([[0, 7], [3], []], np.array([7, 3, 1]))
    assert found == {"ndcg@10": round((1 / np.log2(3) + 1) / 3, 5), "hr@10": round(2 / 3, 5)}


def test_content_finds_what_is_like_the_newest_events(events: pd.DataFrame) -> None:
    items = pd.DataFrame({"item_id": [10, 11, 12, 13, 14], "tags": ["a", "b", "c|a", "c", "b|d"]})
    catalogue = np.array([10, 11, 12, 13, 14])
    answer = content_answers(events, items, TAGS, "never", catalogue, 2)
    # After 10, 11, 12 of tags a, b, c|a: what is tagged like 12 comes first; its own are left out.
    assert answer(np.array([3]), None) == [[13, 14]]
    assert answer(np.array([3]), np.array([14])) == [[14]]


def test_vectors_have_length_one_and_rare_values_weigh_more() -> None:
    items = pd.DataFrame({"tags": ["a|x", "a", "a|y", None]})
    vectors = item_vectors(items, TAGS).toarray()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0], atol=1e-6)
    assert vectors[0].max() == vectors[0, 1]
