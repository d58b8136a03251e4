"""Answers of some kinds alone: the inputs `filter.COLUMN`."""

import grpc
import numpy as np
import pytest

from serving.client import Query, Recommender
from tests.serving.retrieval.asking import Asked, asked_of, events_of
from tests.tfrec.made import K, Made
from tfrec.errors import DataError


def test_filters_by_a_column(made: Made, asked: Asked) -> None:
    inputs = asked_of(made)
    users = len(inputs["length"])
    red = made.dataset.catalogue.query("colour == 'red'")["item_id"].to_numpy()
    wanted = np.full((users, 2), b"", object)
    wanted[:, 0] = b"red"
    found = asked.predict(inputs | {"filter.colour": wanted})["item_id"]
    expected = asked.predict(inputs | {"allow_item_id": np.tile(red, (users, 1))})["item_id"]
    np.testing.assert_array_equal(found, expected)
    assert set(found[:, : len(red)].ravel().tolist()) <= set(red.tolist())
    # Both at a time: what is allowed and has the colour. Nothing wanted: everything.
    two = {"filter.colour": wanted, "allow_item_id": np.tile(red[:2], (users, 1))}
    assert {*asked.predict(inputs | two)["item_id"][:, :2].ravel().tolist()} == {*red[:2].tolist()}
    everything = asked.predict(inputs | {"filter.colour": np.full((users, 1), b"", object)})["item_id"]
    np.testing.assert_array_equal(everything, asked.predict(inputs)["item_id"])


def test_the_client_filters(made: Made, asked: Asked) -> None:
    catalogue, events = made.dataset.catalogue, events_of(made)
    with Recommender(asked.caller.target, timeout_s=60) as client:
        red = client.recommend(events, K, filters={"colour": ["red"]})
        assert {one.item for one in red} <= {*catalogue.query("colour == 'red'")["item_id"].tolist()}
        query = Query(events, filters={"colour": ["red", "blue"]})
        of_two, of_all = client.recommend_many([query, events], K)
        assert {one.item for one in of_two} <= {*catalogue.dropna(subset="colour")["item_id"].tolist()}
        assert [one.item for one in of_all] == [one.item for one in client.recommend(events, K)]
        for filters, words in (
            ({"tags": ["a"]}, r"filters\.tags: unknown; expected one of colour"),
            ({"colour": "red"}, r"filters\.colour: expected a list of values"),
            ({"colour": []}, r"filters\.colour: expected at least one value"),
        ):
            with pytest.raises(DataError, match=words):
                client.recommend(events, K, filters=filters)


def test_bad_filters_are_refused(made: Made, asked: Asked) -> None:
    inputs = asked_of(made)
    users = len(inputs["length"])
    wanted = np.full((users, 1), b"red", object)
    for name, value, words in (
        ("filter.tags", wanted, "the index filters by colour"),
        ("filter.colour", wanted[:1], f"expected {users} users"),
        ("filter.colour", np.zeros((users, 1), np.int64), "expected string [?, ?], found int64"),
    ):
        code, text = asked.refusal(inputs | {name: value})
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert words in text
