"""Baskets as lists, and what learning tasks together is said to give."""

import pandas as pd

from benchmarks.ranking_journey import JOINT, NONE, gains
from benchmarks.ranking_journey_data import FORTNIGHT, baskets, bought_again, earlier_roles, not_known_yet

DAY = 86_400


def log() -> pd.DataFrame:
    """Two households; a session a row of this table, its products in the last column."""
    sessions = [
        (1, 10, 0, "train", [5, 6]),
        (1, 11, 14 * DAY, "train", [5]),
        (1, 12, 29 * DAY, "val", [6, 5]),
        (2, 20, 15 * DAY, "train", [5]),
        (2, 21, 30 * DAY, "test", [5, 7]),
    ]
    rows = [
        (user, item, time, session, role) for user, session, time, role, items in sessions for item in items
    ]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "session_id", "role"])


def test_again_is_the_same_product_of_the_same_household_within_a_fortnight() -> None:
    found = dict(
        zip(
            log()[["session_id", "item_id"]].itertuples(index=False, name=None),
            bought_again(log()),
            strict=True,
        )
    )
    assert [key for key, again in found.items() if again] == [(10, 5)]
    closer = log().assign(timestamp=log().timestamp // 2)
    assert bought_again(closer).tolist() == [True, False, True, False, False, True, False, False]


def test_roles_lie_a_fortnight_earlier() -> None:
    assert FORTNIGHT == 14 * DAY
    by_session = log().assign(role=earlier_roles(log())).groupby("session_id").role.first()
    # The last train basket begins on day 15; val is what begins within a fortnight of it.
    assert by_session.to_dict() == {10: "train", 11: "val", 12: "test", 20: "val", 21: ""}


def test_what_is_bought_again_is_known_a_fortnight_later() -> None:
    """Train baskets that val events would tell of are left out."""
    events = log().assign(role=["train", "train", "train", "val", "val", "train", "test", "test"])
    assert events.timestamp[events.role == "val"].min() == 29 * DAY
    found = events.assign(left_out=not_known_yet(events)).groupby("session_id").left_out.first()
    assert found.to_dict() == {10: False, 11: False, 12: False, 20: False, 21: False}
    later = events.assign(timestamp=events.timestamp.where(events.session_id != 20, 16 * DAY))
    found = later.assign(left_out=not_known_yet(later)).groupby("session_id").left_out.first()
    assert found.to_dict() == {10: False, 11: False, 12: False, 20: True, 21: False}


def test_baskets_hold_their_products_and_which_have_a_label() -> None:
    events = log().assign(store="a", again=[True, False] * 4, promotion=False)
    found = baskets(events)
    assert found["item_id"].tolist() == [[5, 6], [5], [6, 5], [5], [5, 7]]
    assert found["again"].tolist() == [[5], [5], [5], [], [5]]
    assert found["promotion"].tolist() == [[]] * 5
    assert found["timestamp"].tolist() == [0, 14 * DAY, 29 * DAY, 15 * DAY, 30 * DAY]


def test_gains_are_those_over_each_task_alone() -> None:
    means = {
        JOINT: {"ndcg@10": 0.099, "again/auc": 0.7, "again/log_loss": 0.3, "like/auc": 0.6},
        "again alone": {"ndcg@10": 0.1, "again/auc": 0.69, "again/log_loss": 0.31},
        "like alone": {"ndcg@10": 0.1, "like/auc": 0.61},
        NONE: {"ndcg@10": 0.1},
    }
    assert gains(means) == {"again/auc": 0.01, "like/auc": -0.01, "ndcg@10 ratio": 0.99}
    assert gains({JOINT: means[JOINT]}) == {}
