"""Answers over gRPC: whatever holds the encoder, and whatever searches, they are those of the servable."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.client import Query, Recommender
from serving.retrieval.candidates import find, in_session
from serving.retrieval.remote import _as_asked
from serving.signatures import Signature, TensorSpec
from tests.serving.callers import Caller, request_of
from tests.serving.retrieval.conftest import Start
from tests.tfrec.asking import nothing, requests
from tests.tfrec.index.made import index_of, queries, segment
from tests.tfrec.made import Made
from tests.tfrec.ranked import KNOWN_OF, Arrays, K, Ranked, asked_at, of_known, recommended
from tfrec.errors import DataError, SettingsError
from tfrec.export import export
from tfrec.folders import newest_version
from tfrec.index.exact import ExactSearch
from tfrec.index.index import Index
from tfrec.index.segment import joined
from tfrec.indexing import index_model
from tfrec.servable import no_item

OVERRIDES = {
    "retrieval alone": ("ranking.tasks=[]",),
    "two stages": (),
    "formula": ("answers.formula=click * order ** 0.5 + retrieval", "answers.retrieve=9"),
    "rules": ("answers.at_most={colour: 2}", "answers.diversity=0.4"),
}


def asked_of(made: Made, **lists: Any) -> Arrays:
    """What all test queries ask."""
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))
    inputs = requests(made.dataset, positions)
    none = nothing(len(positions))
    return inputs | {"exclude_item_id": none, "allow_item_id": none} | lists


@pytest.fixture(scope="module")
def scann(made: Made, shop: Path) -> Path:
    """An index of the same model that ScaNN searches, in parts."""
    folder = shop / "indexes" / "scann"
    few = {"leaves": 4, "leaves_to_search": 4, "reorder": 16}
    index_model(made.folder / "model", folder, kind="scann", scann=few, filters=["colour"], quiet=True)
    return folder


@pytest.mark.parametrize("search", ["exact", "scann"])
@pytest.mark.parametrize("place", ["here", "elsewhere"])
def test_answers_are_those_of_the_servable(
    made: Made,
    shop: Path,
    scann: Path,
    encoder: Any,
    start: Start,
    calls: Callable[[int], Caller],
    place: str,
    search: str,
) -> None:
    servable = shop / "servables" / "shop"
    where = {"servable": servable} if place == "here" else {"encoder": f"localhost:{encoder.port}"}
    index = scann if search == "scann" else shop / "indexes" / "shop"
    caller, direct = calls(start(index, name="shop", **where).port), calls(encoder.port)
    plain = asked_of(made)
    best = direct.predict(plain, name="shop")["item_id"]
    users = len(best)
    few = best[:, [1, 4, 7]].copy()
    few[0] = 123456789
    for lists in (
        {},
        {"exclude_item_id": best[:, [0, 3]]},
        {"allow_item_id": few},
        {"allow_item_id": best, "exclude_item_id": best[:, :2]},
        {"exclude_item_id": np.tile(made.dataset.items.values[:-3], (users, 1))},
    ):
        for signature in ("", "recommend"):
            ours = caller.predict(plain | lists, name="shop", signature=signature)
            theirs = direct.predict(plain | lists, name="shop", signature=signature)
            np.testing.assert_array_equal(ours["item_id"], theirs["item_id"])
            np.testing.assert_allclose(ours["score"], theirs["score"], atol=1e-4)
            assert (ours.version, ours.name, ours.signature) == (1, "shop", theirs.signature)


def test_what_the_encoder_says_is_passed_on(
    made: Made, shop: Path, encoder: Any, start: Start, calls: Callable[[int], Caller]
) -> None:
    server = start(shop / "indexes" / "shop", encoder=f"localhost:{encoder.port}")
    caller, direct = calls(server.port), calls(encoder.port)
    inputs = asked_of(made)
    del inputs["exclude_item_id"], inputs["allow_item_id"]
    candidates = {"candidate_item_id": np.tile(made.dataset.items.values[:5], (len(inputs["length"]), 1))}
    for name, asked in (("encode", inputs), ("rank", inputs | candidates)):
        ours, theirs = (one.predict(asked, name="shop", signature=name) for one in (caller, direct))
        assert ours.outputs.keys() == theirs.outputs.keys()
        for output, value in theirs.outputs.items():
            np.testing.assert_array_equal(ours[output], value)
    with (
        Recommender(f"localhost:{server.port}", timeout_s=60) as here,
        Recommender(f"localhost:{encoder.port}", timeout_s=60) as there,
    ):
        context = {"device": "phone", "dwell": None}
        events = [{"item": int(item), "context": context} for item in made.dataset.items.values[:4]]
        assert here.item_id_type == there.item_id_type
        ours, theirs = (one.recommend(events, request_time=10**9) for one in (here, there))
        assert [one.item for one in ours] == [one.item for one in theirs]


def test_a_user_without_candidates_fails_nobody(
    ranked: Ranked, start: Start, calls: Callable[[int], Caller], tmp_path: Path
) -> None:
    model = ranked.folder / "model"
    export(model, tmp_path / "shop", k=K)
    index_model(model, tmp_path / "index", overrides=["answers.retrieve=9", "answers.max_candidates=9"])
    caller = calls(start(tmp_path / "index", servable=tmp_path / "shop").port)
    inputs = ranking_of(ranked)
    users = len(inputs["length"])
    allow = np.tile(ranked.dataset.items.values[:4], (users, 1))
    allow[0] = 123456789
    found = caller.predict(inputs | {"allow_item_id": allow}, name="shop")
    assert np.isneginf(found["score"][0]).all()
    assert (found["click"][0] == 0).all()
    alone = {name: value[1:] for name, value in (inputs | {"allow_item_id": allow}).items()}
    others = caller.predict(alone, name="shop")
    for name in ("item_id", "score", "click", "order"):
        np.testing.assert_allclose(found[name][1:], others[name], rtol=1e-4)
    with pytest.raises(SettingsError, match="expected no more"):
        index_model(model, tmp_path / "more", overrides=["answers.retrieve=20", "answers.max_candidates=10"])
    nobody = inputs | {"exclude_item_id": np.tile(ranked.dataset.items.values, (users, 1))}
    assert np.isneginf(caller.predict(nobody, name="shop")["score"]).all()


def ranking_of(ranked: Ranked) -> Arrays:
    """What known users ask of a model with tasks, of which nothing is known at the moment."""
    asked = of_known(ranked)
    none = nothing(len(asked))
    return asked_at(ranked, asked) | {
        "exclude_item_id": none,
        "allow_item_id": none,
        "statistic_item_id": none,
        "statistic.click_6h": np.zeros((len(asked), 0), np.float32),
    }


def test_outputs_of_a_wider_batch_are_cut() -> None:
    """TensorFlow Serving gives them as wide as the widest request that was computed beside."""
    tensors = {
        "item_id": TensorSpec("int64", (None, None)),
        "candidate_item_id": TensorSpec("int64", (None, None)),
    }
    outputs = {"score": TensorSpec("float32", (None, None)), "space": TensorSpec("int64", (None,))}
    given = {"item_id": np.zeros((2, 3), np.int64), "candidate_item_id": np.zeros((2, 4), np.int64)}
    wide = {"score": np.arange(12.0).reshape(2, 6), "space": np.zeros(2)}
    cut = _as_asked(wide, given, Signature("rank", tensors, outputs))
    assert cut["score"].tolist() == [[0, 1, 2, 3], [6, 7, 8, 9]]
    assert cut["space"].shape == (2,)


@pytest.mark.parametrize("rebuilt", [False, True])
def test_new_items_that_were_had_are_left_out_where_nothing_repeats(rebuilt: bool) -> None:
    """The encoder does not know them; whether they lie beside the base or in it makes no difference."""
    base, more = segment(range(100, 140)), segment([900, 901], seed=3)
    more = replace(more, new=np.ones(2, bool))
    info = index_of(base).info.model_copy(update={"repeats": "never", "max_length": 2})
    parts = (joined(base, more), segment([])) if rebuilt else (base, more)
    none = np.zeros(0, np.int64)
    index = Index(info, parts[0], ExactSearch(parts[0].embedding), parts[1], none, queries(1))
    inputs = {
        "item_id": np.array([[901, 900, 100]]),
        "length": np.array([3]),
        "exclude_item_id": nothing(1),
        "allow_item_id": np.array([[900, 901, 100, 101]]),
    }
    encoded = {
        "query_embedding": queries(1),
        "own_item_id": np.array([[no_item("int64"), 100]]),
        "own_score": np.array([[-np.inf, -np.inf]], np.float32),
    }
    rows, _ = find(index, encoded, inputs, 4)
    # Of the newest two events: 900 and 100.
    assert sorted(index.raw(rows, -1)[0].tolist()) == [-1, -1, 101, 901]


def test_sessions_end_where_another_begins() -> None:
    info = index_of(segment(range(20))).info.model_copy(update={"session_gap_s": 10})
    inputs = {"length": np.array([4]), "time": np.array([[0, 5, 20, 28, 99]]), "request_time": np.array([38])}
    assert in_session(info, inputs, 0).tolist() == [False, False, True, True]
    of_id = info.model_copy(update={"session_from": "id"})
    inputs |= {"session_id": np.array([[1, 2, 1, 1, 9]]), "request_session_id": np.array([1])}
    assert in_session(of_id, inputs, 0).tolist() == [False, False, True, True]


@pytest.mark.parametrize("rules", OVERRIDES)
def test_both_stages_are_those_of_the_servable(
    ranked: Ranked, start: Start, calls: Callable[[int], Caller], rules: str, tmp_path: Path
) -> None:
    overrides = [one for one in OVERRIDES[rules] if one.startswith("answers.")]
    if rules == "retrieval alone":
        overrides = ["answers.formula=retrieval"]
    model = ranked.folder / "model"
    export(model, tmp_path / "shop", k=K, overrides=overrides)
    index_model(model, tmp_path / "index", overrides=overrides, quiet=True)
    caller = calls(start(tmp_path / "index", servable=tmp_path / "shop").port)
    expected = recommended(ranked, *overrides)
    asked = of_known(ranked)
    inputs = asked_at(ranked, asked) | {
        "exclude_item_id": nothing(len(asked)),
        "allow_item_id": nothing(len(asked)),
        "statistic_item_id": np.tile(ranked.dataset.items.values[:3], (len(asked), 1)),
        "statistic.click_6h": np.tile(np.array(KNOWN_OF, np.float32), (len(asked), 1)),
    }
    found = caller.predict(inputs, name="shop")
    assert found.outputs.keys() == {"item_id", "score", "click", "order"}
    np.testing.assert_array_equal(found["item_id"], expected["item_id"])
    for name in ("score", "click", "order"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4)


def test_exploration_draws_the_same_lots_for_the_same_request(
    ranked: Ranked, start: Start, calls: Callable[[int], Caller], tmp_path: Path
) -> None:
    model = ranked.folder / "model"
    export(model, tmp_path / "shop", k=K)
    for name, share in (("some", 0.5), ("all", 1.0), ("none", 0.0), ("thompson", 0.5)):
        overrides = [f"answers.explore={share}", "answers.at_most={colour: 2}"]
        overrides += ["answers.explore_by=thompson"] if name == "thompson" else []
        index_model(model, tmp_path / name, overrides=overrides, quiet=True)
    inputs = ranking_of(ranked)
    found = {}
    for name in ("some", "all", "none", "thompson"):
        caller = calls(start(tmp_path / name, servable=tmp_path / "shop").port)
        first, again = (caller.predict(inputs, name="shop")["item_id"] for _ in range(2))
        np.testing.assert_array_equal(first, again)
        found[name] = first
    changed = [(found[name] != found["none"]).mean() for name in ("some", "all")]
    assert 0.1 < changed[0] < changed[1]
    assert 0.02 < (found["thompson"] != found["none"]).mean() < changed[0]
    colour = ranked.dataset.catalogue.set_index("item_id")["colour"]
    for answers in found.values():
        for answer in answers:
            counts = colour.loc[answer[answer > 0]].value_counts()
            assert (counts <= 2).all()


def test_filters_by_a_column(
    made: Made, shop: Path, encoder: Any, start: Start, calls: Callable[[int], Caller]
) -> None:
    caller = calls(start(shop / "indexes" / "shop", encoder=f"localhost:{encoder.port}").port)
    inputs = asked_of(made)
    users = len(inputs["length"])
    red = made.dataset.catalogue.query("colour == 'red'")["item_id"].to_numpy()
    wanted = np.full((users, 2), b"", object)
    wanted[:, 0] = b"red"
    found = caller.predict(inputs | {"filter.colour": wanted}, name="shop")
    expected = caller.predict(inputs | {"allow_item_id": np.tile(red, (users, 1))}, name="shop")
    np.testing.assert_array_equal(found["item_id"], expected["item_id"])
    assert set(found["item_id"][:, : len(red)].ravel().tolist()) <= set(red.tolist())
    # Both at a time: what is allowed and has the colour. Nothing wanted: everything.
    few = caller.predict(
        inputs | {"filter.colour": wanted, "allow_item_id": np.tile(red[:2], (users, 1))}, name="shop"
    )
    assert {*few["item_id"][:, :2].ravel().tolist()} == {*red[:2].tolist()}
    everything = caller.predict(inputs | {"filter.colour": np.full((users, 1), b"", object)}, name="shop")
    np.testing.assert_array_equal(everything["item_id"], caller.predict(inputs, name="shop")["item_id"])
    context = {"device": "phone", "dwell": None}
    events = [{"item": int(item), "context": context} for item in made.dataset.items.values[:4]]
    with Recommender(caller.target, timeout_s=60) as client:
        got = client.recommend(events, K, filters={"colour": ["red"]})
        assert {one.item for one in got} <= {*red.tolist()}
        coloured = made.dataset.catalogue.dropna(subset="colour")["item_id"].to_numpy()
        query = Query(events, filters={"colour": ["red", "blue"]})
        of_two, of_all = client.recommend_many([query, events], K)
        assert {one.item for one in of_two} <= {*coloured}
        assert [one.item for one in of_all] == [one.item for one in client.recommend(events, K)]
        for filters, words in (
            ({"tags": ["a"]}, r"filters\.tags: unknown; expected one of colour"),
            ({"colour": "red"}, r"filters\.colour: expected a list of values"),
            ({"colour": []}, r"filters\.colour: expected at least one value"),
        ):
            with pytest.raises(DataError, match=words):
                client.recommend(events, K, filters=filters)
    for name, value, words in (
        ("filter.tags", wanted, "the index filters by colour"),
        ("filter.colour", wanted[:1], f"expected {users} users"),
        ("filter.colour", np.zeros((users, 1), np.int64), r"expected string [?, ?], found int64"),
    ):
        code, text = caller.refusal(inputs | {name: value}, name="shop")
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert words in text


def test_bad_requests_have_clear_errors(
    made: Made, shop: Path, encoder: Any, start: Start, calls: Callable[[int], Caller]
) -> None:
    caller = calls(start(shop / "indexes" / "shop", encoder=f"localhost:{encoder.port}").port)
    inputs = asked_of(made)
    codes = grpc.StatusCode
    assert caller.refusal(inputs, name="other")[0] is codes.NOT_FOUND
    assert caller.refusal(inputs, name="shop", version=77)[0] is codes.NOT_FOUND
    code, text = caller.refusal(inputs, name="shop", signature="dance")
    assert code is codes.FAILED_PRECONDITION
    assert "dance" in text
    del inputs["allow_item_id"]
    code, text = caller.refusal(inputs, name="shop")
    assert code is codes.INVALID_ARGUMENT
    assert "allow_item_id" in text
    request = request_of(asked_of(made), name="shop", output_filter=["item_id"])
    assert set(caller.prediction.Predict(request, timeout=30).outputs) == {"item_id"}


def test_every_answer_says_which_index_was_searched(
    made: Made, shop: Path, encoder: Any, start: Start, calls: Callable[[int], Caller]
) -> None:
    server = start(shop / "indexes" / "shop", encoder=f"localhost:{encoder.port}")
    request = request_of(asked_of(made), name="shop")
    _, call = calls(server.port).prediction.Predict.with_call(request, timeout=30)
    newest = newest_version(shop / "indexes" / "shop")
    assert dict(call.trailing_metadata())["tfrec-index-version"] == str(newest)
    assert tf.__version__  # the caller's own, not the server's
