"""What is found for a request, without a server."""

from dataclasses import replace

import numpy as np
import pytest

from serving.retrieval.answerable import in_session
from serving.retrieval.candidates import Asked, find
from serving.retrieval.remote import _as_asked
from serving.signatures import Signature, TensorSpec
from tests.tfrec.asking import nothing
from tests.tfrec.index.made import index_of, queries, segment
from tfrec.index.exact import ExactSearch
from tfrec.index.heirs import Heirs
from tfrec.index.index import Index
from tfrec.index.segment import joined
from tfrec.servable import no_item


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
    ((rows, _),) = find(index, [Asked(encoded, inputs)], 4)
    # Of the newest two events: 900 and 100.
    assert sorted(index.raw(rows, -1)[0].tolist()) == [-1, -1, 101, 901]


def test_new_items_come_where_items_like_them_are_scored_a_second_way() -> None:
    base, more = segment(range(100, 140)), segment([900, 901, 902], seed=3)
    like = np.array([[101, 102], [102, 999], [103, 103]])
    heirs = Heirs(np.arange(3), like, np.array([[0.5, 2.0], [0.1, 1.0], [0.0, 0.0]], np.float32))
    more = replace(more, new=np.ones(3, bool), heirs=heirs)
    info = index_of(base).info.model_copy(update={"repeats": "never"})
    none = np.zeros(0, np.int64)
    index = Index(info, base, ExactSearch(base.embedding), more, none, queries(1))
    inputs = {
        "item_id": np.array([[100, 900]]),
        "length": np.array([1]),
        "exclude_item_id": nothing(1),
        "allow_item_id": nothing(1),
    }
    encoded = {
        "query_embedding": queries(1),
        "own_item_id": np.array([[101, 102, 100]]),
        "own_score": np.array([[3.0, 2.0, -np.inf]], np.float32),
    }

    def score() -> dict[int, float]:
        ((rows, scores),) = find(index, [Asked(encoded, inputs)], 43)
        return dict(zip(index.raw(rows, -1)[0].tolist(), scores[0].tolist(), strict=True))

    plain = (more.embedding @ queries(1)[0]).tolist()
    found = score()
    assert found[101] == 3
    assert found[900] == pytest.approx(np.log(np.exp(plain[0]) + 0.5 * np.exp(3) + 2 * np.exp(2)), rel=1e-5)
    assert found[901] == pytest.approx(np.log(np.exp(plain[1]) + 0.1 * np.exp(2)), rel=1e-5)
    assert found[902] == pytest.approx(plain[2], rel=1e-5)
    assert 100 not in found
    inputs["length"][:] = 2
    assert 900 not in score()
    inputs["allow_item_id"] = np.array([[901, 139]])
    assert set(score()) == {901, 139, -1}


def test_sessions_end_where_another_begins() -> None:
    info = index_of(segment(range(20))).info.model_copy(update={"session_gap_s": 10})
    inputs = {"length": np.array([4]), "time": np.array([[0, 5, 20, 28, 99]]), "request_time": np.array([38])}
    assert in_session(info, inputs, 0).tolist() == [False, False, True, True]
    of_id = info.model_copy(update={"session_from": "id"})
    inputs |= {"session_id": np.array([[1, 2, 1, 1, 9]]), "request_session_id": np.array([1])}
    assert in_session(of_id, inputs, 0).tolist() == [False, False, True, True]
