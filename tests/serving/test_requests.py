from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf

INVALID = grpc.StatusCode.INVALID_ARGUMENT

Inputs = dict[str, Any]


def with_inputs(**changed: Any) -> Callable[[Inputs], Inputs]:
    return lambda inputs: inputs | changed


def without(*names: str) -> Callable[[Inputs], Inputs]:
    return lambda inputs: {name: array for name, array in inputs.items() if name not in names}


def content(size: int) -> Any:
    proto = tf.make_tensor_proto(np.array([[1, 2], [3, 4]], np.int64))
    proto.tensor_content = proto.tensor_content[:size]
    return proto


def shape(*sizes: int) -> Any:
    proto = tf.make_tensor_proto(np.array([[1]], np.int64))
    for dim, size in zip(proto.tensor_shape.dim, sizes, strict=True):
        dim.size = size
    return proto


def unknown_dtype() -> Any:
    proto = tf.make_tensor_proto(np.zeros((2, 2), np.int64))
    proto.dtype = tf.bfloat16.as_datatype_enum
    return proto


CASES = {
    "a name too many": (
        with_inputs(item_ids=np.zeros((2, 2), np.int64)),
        [
            "Sent extra: {item_ids}",
            'takes "allow_item_id" int64 [?, ?], "event_type" string [?, ?], "exclude',
        ],
    ),
    "a name missing": (without("length", "time"), ["Missing but required: {length,time}"]),
    "no inputs": (lambda inputs: {}, ["Missing but required: {allow_item_id,event_type,"]),
    "strings for integers": (
        with_inputs(item_id=np.array([["a", "b"], ["c", ""]], object)),
        ['input "item_id": expected int64 [?, ?], found string'],
    ),
    "int32 for int64": (
        with_inputs(time=np.zeros((2, 2), np.int32)),
        ['input "time": expected int64 [?, ?], found int32'],
    ),
    "a dtype of no servable": (with_inputs(item_id=unknown_dtype()), ["expected int64", "found DataType 14"]),
    "too few axes": (
        with_inputs(item_id=np.zeros(2, np.int64)),
        ['input "item_id": expected int64 [?, ?], found int64 [2]'],
    ),
    "a scalar": (
        with_inputs(length=np.int32(2)),
        ['input "length": expected int32 [?], found int32 []'],
    ),
    "users that disagree": (
        with_inputs(length=np.array([1, 2, 1], np.int32)),
        ['input "length": expected 2 users (B) as in "allow_item_id", found 3'],
    ),
    "events that disagree": (
        with_inputs(time=np.zeros((2, 3), np.int64)),
        ['input "time": expected 2 events (L) as in "event_type", found 3'],
    ),
    "no users": (
        lambda inputs: {name: array[:0] for name, array in inputs.items()},
        ["the request holds no users"],
    ),
    "a length beyond the events": (
        with_inputs(length=np.array([1, 3], np.int32)),
        ['input "length": expected 0 to 2', "found 3 in row 1"],
    ),
    "a negative length": (
        with_inputs(length=np.array([-1, 2], np.int32)),
        ["expected 0 to 2", "found -1 in row 0"],
    ),
    "bytes cut off": (with_inputs(item_id=content(24)), ['input "item_id" holds 24 bytes', "has 32"]),
    "a shape beyond the values": (
        with_inputs(item_id=shape(2, -1)),
        ['input "item_id" has the shape [2, -1]'],
    ),
    "a shape beyond all memory": (
        with_inputs(item_id=shape(1 << 40, 1 << 20)),
        ['input "item_id" has the shape', "elements, of at most"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_request_says_what_was_expected(tiny: Any, sequences: Callable[..., Any], case: str) -> None:
    change, expected = CASES[case]
    code, text = tiny.refusal(change(sequences([[101], [102, 103]])))
    assert code is INVALID
    for part in expected:
        assert part in text
    # The server goes on.
    assert tiny.predict(sequences([[101]])).version == 1


def test_bytes_that_are_no_message_are_refused(tiny: Any, sequences: Callable[..., Any]) -> None:
    call = tiny.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\xff\xff no protobuf", timeout=30)
    assert caught.value.code() is INVALID
    assert caught.value.details() == "the request's 14 bytes are no message that Predict takes"
    assert tiny.predict(sequences([[101]])).version == 1


@pytest.mark.parametrize("items", [[[999]], [[-1, 2**62]], [[]], [[101] * 300]])
def test_odd_sequences_are_answered(tiny: Any, sequences: Callable[..., Any], items: Any) -> None:
    answer = tiny.predict(sequences(items))
    assert np.isfinite(answer["score"]).all()
    assert len(set(answer["item_id"][0])) == 5


def test_an_id_of_a_megabyte_is_unknown(
    string_server: Any, connect: Callable[..., Any], sequences: Callable[..., Any]
) -> None:
    inputs = sequences([["x" * (1 << 20), "figs"]])
    inputs |= {
        "session_id": np.array([["a", "a"]], object),
        "request_session_id": np.array(["b"], object),
        "context.price": np.zeros((1, 2), np.float32),
        "context.store": np.array([["", ""]], object),
    }
    answer = connect(string_server.port).predict(inputs, name="rich")
    assert answer["item_id"][0, 0] == b"figs"
