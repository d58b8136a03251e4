"""Answers over gRPC: whatever holds the encoder, and whatever searches, they are those of the servable."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from serving.client import Recommender
from serving.server import Server
from tests.serving.callers import Caller, request_of
from tests.serving.retrieval.asking import MODEL, Ask, Asked, asked_of, events_of
from tests.tfrec.made import Made
from tfrec.indexing import index_model


@pytest.fixture(scope="module")
def scann(made: Made, shop: Path) -> Path:
    """An index of the same model that ScaNN searches in parts, all of them: nothing is missed."""
    folder = shop / "indexes" / "scann"
    few = {"leaves": 4, "leaves_to_search": 4, "reorder": 64}
    index_model(made.folder / "model", folder, kind="scann", scann=few, filters=["colour"], quiet=True)
    return folder


@pytest.mark.parametrize("search", ["exact", "scann"])
@pytest.mark.parametrize("place", ["here", "elsewhere"])
def test_answers_are_those_of_the_servable(
    made: Made, shop: Path, scann: Path, encoder: Server, ask: Ask, place: str, search: str
) -> None:
    servable = shop / "servables" / MODEL
    where: Any = {"servable": servable} if place == "here" else {"encoder": f"localhost:{encoder.port}"}
    asked = ask(scann if search == "scann" else shop / "indexes" / MODEL, **where)
    direct = Caller(f"localhost:{encoder.port}")
    plain = asked_of(made)
    best = direct.predict(plain, name=MODEL)["item_id"]
    few = best[:, [1, 4, 7]].copy()
    few[0] = 123456789
    for lists in (
        {},
        {"exclude_item_id": best[:, [0, 3]]},
        {"allow_item_id": few},
        {"allow_item_id": best, "exclude_item_id": best[:, :2]},
        {"exclude_item_id": np.tile(made.dataset.items.values[:-3], (len(best), 1))},
    ):
        for signature in ("", "recommend"):
            ours = asked.predict(plain | lists, signature=signature)
            theirs = direct.predict(plain | lists, name=MODEL, signature=signature)
            np.testing.assert_array_equal(ours["item_id"], theirs["item_id"])
            np.testing.assert_allclose(ours["score"], theirs["score"], atol=1e-4)
            assert (ours.version, ours.name, ours.signature) == (1, MODEL, theirs.signature)
    direct.channel.close()


def test_what_the_encoder_says_is_passed_on(made: Made, asked: Asked, encoder: Server) -> None:
    direct = Caller(f"localhost:{encoder.port}")
    inputs = asked_of(made)
    del inputs["exclude_item_id"], inputs["allow_item_id"]
    candidates = {"candidate_item_id": np.tile(made.dataset.items.values[:5], (len(inputs["length"]), 1))}
    for name, given in (("encode", inputs), ("rank", inputs | candidates)):
        ours = asked.predict(given, signature=name)
        theirs = direct.predict(given, name=MODEL, signature=name)
        assert ours.outputs.keys() == theirs.outputs.keys()
        for output, value in theirs.outputs.items():
            np.testing.assert_array_equal(ours[output], value)
    direct.channel.close()
    with (
        Recommender(asked.caller.target, timeout_s=60) as here,
        Recommender(f"localhost:{encoder.port}", timeout_s=60) as there,
    ):
        assert here.item_id_type == there.item_id_type
        answers = [one.recommend(events_of(made), request_time=10**9) for one in (here, there)]
        assert [one.item for one in answers[0]] == [one.item for one in answers[1]]


def test_bad_requests_have_clear_errors(made: Made, asked: Asked) -> None:
    inputs = asked_of(made)
    codes = grpc.StatusCode
    assert asked.refusal(inputs, name="other")[0] is codes.NOT_FOUND
    assert asked.refusal(inputs, version=77)[0] is codes.NOT_FOUND
    code, text = asked.refusal(inputs, signature="dance")
    assert code is codes.FAILED_PRECONDITION
    assert "dance" in text
    del inputs["allow_item_id"]
    code, text = asked.refusal(inputs)
    assert code is codes.INVALID_ARGUMENT
    assert "allow_item_id" in text


def test_an_answer_holds_what_was_wanted_and_says_which_index_was_searched(made: Made, asked: Asked) -> None:
    inputs = asked_of(made)
    request = request_of(inputs, name=MODEL, output_filter=["item_id"])
    assert set(asked.caller.prediction.Predict(request, timeout=30).outputs) == {"item_id"}
    assert asked.marks(inputs)["tfrec-index-version"] == "1"
