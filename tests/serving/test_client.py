"""The client against the embedded server: every answer is worked out by hand.

An item of version 1 scores 1000 - place/16 and what its newest four events weigh: 1, a purchase 2;
within an hour before the request 0.5 more; in the request's session 0.25 more; and their price.
"""

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.client import Event, Query, Recommendation, Recommender, ServingError
from serving.server import Server
from tfrec.errors import DataError

INT_IDS = [101, 102, 103, 104, 105, 106]
NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
BREAD = Event("bread", NOON, session="s1", context={"price": 8.0, "store": "north"})


@pytest.fixture(scope="module")
def shop(int_server: Server) -> Iterator[Recommender]:
    """A client of the servable of integer ids, without sessions or context."""
    with Recommender(f"localhost:{int_server.port}", timeout_s=30) as recommender:
        yield recommender


@pytest.fixture(scope="module")
def rich(string_server: Server) -> Iterator[Recommender]:
    """A client of the servable of string ids, with sessions and context."""
    with Recommender(f"localhost:{string_server.port}", timeout_s=30) as recommender:
        yield recommender


def items(found: list[Recommendation]) -> list[int | str]:
    return [one.item for one in found]


def test_ids_alone(shop: Recommender) -> None:
    # Without times all of it happens at the time of the request, so each event weighs 1.5.
    assert shop.recommend([104, 102, 104], k=3) == [
        Recommendation(104, 1000 + 2 * 1.5 - 3 / 16),
        Recommendation(102, 1000 + 1.5 - 1 / 16),
        Recommendation(101, 1000),
    ]


def test_events_in_every_form_give_the_same_answer(shop: Recommender) -> None:
    long_ago, noon = 1_000_000, int(NOON.timestamp())
    forms: list[list[Any]] = [
        [Event(105, long_ago, "purchase"), Event(104, noon)],
        [{"item": 105, "time": long_ago, "event_type": "purchase"}, {"item": 104, "time": NOON.isoformat()}],
        [Event(np.int64(105), np.datetime64(long_ago, "s"), "purchase"), Event(104, NOON)],
    ]
    expected = [Recommendation(105, 1000 + 2 - 4 / 16), Recommendation(104, 1000 + 1.5 - 3 / 16)]
    for events in forms:
        assert shop.recommend(events, 2, request_time=NOON) == expected


def test_the_newest_events_count(shop: Recommender) -> None:
    assert items(shop.recommend([101, 101, 101, 102, 103, 104, 105], 5)) == [102, 103, 104, 105, 101]


def test_an_answer_can_be_taken_apart(shop: Recommender) -> None:
    (item, score, probabilities), _ = shop.recommend([], 2)
    assert (item, score, probabilities) == (101, 1000, {})


def test_what_is_excluded_is_left_out_and_answers_may_be_short(shop: Recommender) -> None:
    assert items(shop.recommend([104], 5, exclude=[104, 101, 999])) == [102, 103, 105, 106]
    assert shop.recommend([104], exclude={101, 102, 103, 104, 105, 106}, k=5) == []


def test_what_is_allowed_is_all_that_is_answered(shop: Recommender) -> None:
    assert items(shop.recommend([104], 5, allow=[106, 103, 999], exclude=[106])) == [103]
    first, second = shop.recommend_many([Query([104], allow={105}), Query([104])], 2)
    assert items(first) == [105]
    assert items(second) == [104, 101]


def test_somebody_without_events_gets_what_is_best_for_all(shop: Recommender, rich: Recommender) -> None:
    assert items(shop.recommend([], 3)) == [101, 102, 103]
    assert items(rich.recommend([], 2)) == ["apple", "bread"]  # and needs no session


def test_many_users_in_one_call(shop: Recommender) -> None:
    queries = [Query([103], exclude=[101, 102]), [106, 106], {"events": [105], "exclude": [105]}, []]
    assert [items(found) for found in shop.recommend_many(queries, 2)] == [
        [103, 104],
        [106, 101],
        [101, 102],
        [101, 102],
    ]
    assert shop.recommend_many([]) == []


users = st.lists(st.integers(99, 107), max_size=7)


@settings(max_examples=30)
@given(st.lists(st.tuples(users, users), min_size=1, max_size=5))
def test_users_together_get_what_each_gets_alone(shop: Recommender, queries: list[Any]) -> None:
    many = [Query(events, exclude, request_time=NOON) for events, exclude in queries]
    alone = [shop.recommend(events, 5, exclude=exclude, request_time=NOON) for events, exclude in queries]
    assert shop.recommend_many(many, 5) == alone


def test_rank_puts_candidates_in_order(shop: Recommender) -> None:
    found = shop.rank([104], [101, 999, 104, 102])
    scores = np.array([0, -1, -2, 24 - 3, -4, -5]) / 16
    chances = np.exp(scores) / np.exp(scores).sum()
    assert items(found) == [104, 101, 102, 999]
    probabilities = [one.probabilities["next_item"] for one in found]
    np.testing.assert_allclose(probabilities, [*chances[[3, 0, 1]], 0], rtol=1e-4)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_rank_wants_candidates(shop: Recommender) -> None:
    with pytest.raises(DataError, match="candidates: expected at least one id to rank, found none"):
        shop.rank([104], [])
    with pytest.raises(DataError, match="candidates: expected a list of ids, found '101'"):
        shop.rank([104], "101")


def test_what_a_servable_does_not_rank_by_is_refused(shop: Recommender) -> None:
    with pytest.raises(DataError, match=r"context\.device: unknown; expected one of none"):
        shop.recommend([104], 2, context={"device": "phone"})
    with pytest.raises(DataError, match=r"statistics\[101\]\.click_6h: unknown; expected one of none"):
        shop.rank([104], [101], statistics={101: {"click_6h": 3}})


def test_encode_gives_the_query_and_the_own_items_once(shop: Recommender) -> None:
    found = shop.encode([104, 102, 104])
    assert found.query_embedding.tolist() == [0, 1.5, 0, 3, 0, 0, 1]
    assert found.own_item == [104, 102]
    assert found.own_score.tolist() == [1000 + 3 - 3 / 16, 1000 + 1.5 - 1 / 16]


def test_the_client_learns_the_type_of_ids(shop: Recommender, rich: Recommender) -> None:
    assert (shop.item_id_type, rich.item_id_type) == ("int64", "string")


def test_sessions_context_and_unicode(rich: Recommender) -> None:
    later = NOON + dt.timedelta(hours=2)
    dates = {"item": "crème", "time": NOON, "session": "s1", "context": {"price": 2, "store": 7}}
    assert rich.recommend([dates, BREAD], 2, request_time=later, session="s1") == [
        Recommendation("bread", 1000 + 1 + 8 + 0.25 - 1 / 16),
        Recommendation("crème", 1000 + 1 + 2 + 0.25 - 2 / 16),
    ]
    assert rich.recommend([BREAD], 1, request_time=later, session="s2") == [
        Recommendation("bread", 1000 + 1 + 8 - 1 / 16)
    ]


@pytest.mark.parametrize(
    ("events", "arguments", "message"),
    [
        ([1, 2, 3, "abc"], {}, r"^events\[3\].item: expected an integer, found 'abc' \(str\)"),
        ([1, True], {}, r"^events\[1\].item: expected an integer, found True"),
        ([2**63], {}, r"^events\[0\].item: expected an integer of 64 bits"),
        ([{"itm": 1}], {}, r"^events\[0\].itm: unknown; .* did you mean 'item'"),
        ([{"time": 1}], {}, r"^events\[0\].item: missing"),
        ([{"item": 1, "time": 5}, {"item": 2}], {}, r"^events\[1\].time: missing, while events\[0\]"),
        ([{"item": 1}, {"item": 2, "time": 5}], {}, r"^events\[0\].time: missing, while events\[1\]"),
        ([Event(1, 9), Event(2, 5)], {}, r"^events\[1\].time: earlier than the event before"),
        ([Event(1, "yesterday")], {}, r"^events\[0\].time: expected a time in ISO 8601, found 'yesterday'"),
        ([Event(1, 1_714_564_800_000)], {}, r"^events\[0\].time: expected unix seconds, not milliseconds"),
        ([Event(1, event_type=5.5)], {}, r"^events\[0\].event_type: expected a string, found 5.5"),
        ([Event(1, session="s")], {}, r"^events\[0\].session: not taken"),
        ([Event(1, context={"price": 1})], {}, r"^events\[0\].context.price: unknown; expected one of none"),
        ([{"item": 1, "context": 3}], {}, r"^events\[0\].context: expected a mapping"),
        ("abc", {}, r"^events: expected a list of events, found 'abc'"),
        ({"item": 1}, {}, r"^events: expected a list of events"),
        ([1], {"exclude": [1, "x"]}, r"^exclude\[1\]: expected an integer, found 'x'"),
        ([1], {"exclude": 1}, r"^exclude: expected a list of ids, found 1"),
        ([1], {"request_time": "soon"}, r"^request_time: expected a time in ISO 8601"),
        ([Event(1, 60)], {"request_time": 50}, r"^request_time: earlier than the last event, 10 seconds"),
        ([1], {"session": "s"}, r"^session: not taken"),
        ([1], {"k": 6}, r"^k: the servable answers with at most 5 items, found 6"),
        ([1], {"k": 0}, r"^k: expected a whole number of at least 1, found 0"),
        ([1], {"k": 2.0}, r"^k: expected a whole number of at least 1, found 2.0"),
    ],
)
def test_a_wrong_field_is_named(
    shop: Recommender, events: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        shop.recommend(events, **{"k": 3} | arguments)


@pytest.mark.parametrize(
    ("events", "session", "message"),
    [
        (["bread"], "s1", r"^events\[0\].session: missing"),
        ([7], "s1", r"^events\[0\].item: expected a string, found 7"),
        ([BREAD], None, r"^session: missing"),
        ([BREAD], 4, r"^session: expected a string, found 4"),
        ([Event("figs", session="s1")], "s1", r"^events\[0\].context.price: missing"),
        (
            [Event("figs", session="s1", context={"price": float("nan")})],
            "s1",
            r"^events\[0\].context.price: expected a finite number, found nan",
        ),
        (
            [Event("figs", session="s1", context={"price": 1, "stroe": "x"})],
            "s1",
            r"^events\[0\].context.stroe: unknown; .* did you mean 'store'",
        ),
        ([Event("\ud800", session="s1", context={"price": 1})], "s1", r"^events\[0\].item: expected text"),
    ],
)
def test_a_wrong_field_of_a_rich_servable_is_named(
    rich: Recommender, events: Any, session: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        rich.recommend(events, 3, session=session)


def test_among_many_users_the_error_says_whose(shop: Recommender) -> None:
    with pytest.raises(DataError, match=r"^queries\[1\].events\[1\].item: expected an integer"):
        shop.recommend_many([[101], [101, None]], 3)
    with pytest.raises(DataError, match=r"^queries\[0\].exclude\[0\]: expected an integer"):
        shop.recommend_many([Query([101], exclude=["x"])], 3)
    with pytest.raises(DataError, match=r"^queries\[1\].event: unknown; .* did you mean 'events'"):
        shop.recommend_many([[101], {"event": [1]}], 3)


def test_a_version_can_be_named(int_server: Server) -> None:
    target = f"localhost:{int_server.port}"
    with Recommender(target, model="tiny", version=1) as recommender:
        assert items(recommender.recommend([103], 1)) == [103]
    with Recommender(target, version=7) as recommender, pytest.raises(ServingError, match="NOT_FOUND") as e:
        recommender.recommend([103], 1)
    assert e.value.code.name == "NOT_FOUND"


def test_an_unknown_model_is_named(int_server: Server) -> None:
    target = f"localhost:{int_server.port}"
    with Recommender(target, model="shoes") as recommender, pytest.raises(ServingError) as caught:
        recommender.recommend([103], 1)
    assert str(caught.value).startswith(f"{target}: NOT_FOUND: ")
    assert "shoes" in str(caught.value)
    assert "model=" in str(caught.value)


def test_a_closed_client_says_so(int_server: Server) -> None:
    recommender = Recommender(f"localhost:{int_server.port}")
    recommender.close()
    with pytest.raises(ServingError, match="closed") as caught:
        recommender.recommend([101], 1)
    assert caught.value.code.name == "CANCELLED"


def test_threads_share_a_client(shop: Recommender) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda item: shop.recommend([item], 1), INT_IDS * 10))
    assert [one[0].item for one in found] == INT_IDS * 10
