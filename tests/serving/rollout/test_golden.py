"""Golden requests: files of them, and the warm-up requests of a version."""

from pathlib import Path

import numpy as np
import pytest

from serving.rollout.golden import golden_of_warm_up, read_golden
from serving.signatures import Signature, TensorSpec
from serving.warmup import warm_up_requests
from tests.serving.callers import request_of, sequences
from tfrec.errors import DataError

NONE = Signature("recommend", {"item_id": TensorSpec("int64", (None, None))}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no requests"),
        ("\n  \n", "holds no requests"),
        ("[1]\n[1, 2", r"asked\.jsonl:2 is no JSON"),
        ('[1]\n\n{"event": [1]}', r"asked\.jsonl:3\.event: unknown; .* did you mean 'events'"),
        ("5", r"asked\.jsonl:1: expected a list of events, found 5"),
        (None, "cannot be read: No such file"),
        (b"\xff\xfe", "no text in UTF-8"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str | bytes | None, message: str) -> None:
    path = tmp_path / "asked.jsonl"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        read_golden(path, 0)


def test_users_without_a_time_are_asked_at_the_same_moment(tmp_path: Path) -> None:
    path = tmp_path / "asked.jsonl"
    path.write_text('[101]\n{"events": [], "request_time": 7}\n', encoding="utf-8")
    wide, flat = (TensorSpec(kind, shape) for kind, shape in (("int64", (None, None)), ("int64", (None,))))
    words = TensorSpec("string", (None, None))
    inputs = {"item_id": wide, "event_type": words, "time": wide, "exclude_item_id": wide}
    flats = {"length": TensorSpec("int32", (None,)), "request_time": flat, "allow_item_id": wide}
    signature = Signature("recommend", inputs | flats, {})
    found = [one.inputs(signature, clock=True) for one in read_golden(path, 1234)]
    assert [one["request_time"].tolist() for one in found] == [[1234], [7]]
    assert found[0]["time"].tolist() == [[1234]]


def test_each_user_of_the_warm_up_requests_once() -> None:
    twice = request_of(sequences([[101, 102], [103], [103]]), signature="recommend")
    # The same question as the second and third, of the same width.
    again = request_of(sequences([[103, 0]]) | {"length": np.array([1], np.int32)})
    again.model_spec.signature_name = "serving_default"
    encode = request_of(sequences([[106]], lists=False), signature="encode")
    found = golden_of_warm_up([one.SerializeToString() for one in (encode, twice, again)])
    assert [one.path for one in found] == ["warm-up request 2, user 1", "warm-up request 2, user 2"]
    rows = [one.inputs(NONE, clock=True) for one in found]
    assert [row["item_id"].tolist() for row in rows] == [[[101, 102]], [[103, 0]]]
    assert [row["event_type"].tolist() for row in rows] == [[[b"view", b"view"]]] * 2


def test_strings_tell_users_apart() -> None:
    request = request_of(sequences([["apple"], ["bread"], ["apple"]]), signature="recommend")
    assert len(golden_of_warm_up([request.SerializeToString()])) == 2


def test_the_warm_up_requests_of_a_version(int_folder: Path) -> None:
    requests = [request.SerializeToString() for request in warm_up_requests(int_folder / "1")]
    assert len(requests) == 3
    (one,) = golden_of_warm_up(requests)
    assert one.inputs(NONE, clock=True)["item_id"].tolist() == [[101]]
    assert list(warm_up_requests(int_folder)) == []
