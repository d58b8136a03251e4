"""Bytes that nobody meant: the server answers any with a status code, the client with an error of its own."""

from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from serving import tensors, wire
from serving.client import Recommender, ServingError
from serving.server import Server
from tests.serving.callers import Caller, request_of, sequences

PREDICT = f"/{wire.SERVICE}/Predict"

SHAPES = nps.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
ARRAYS = st.sampled_from([np.float32, np.int32, np.int64, np.bool_, np.float64]).flatmap(
    lambda dtype: nps.arrays(dtype, SHAPES)
) | nps.arrays(np.object_, SHAPES, elements=st.binary(max_size=4), fill=st.nothing())
# Sizes and values that contradict each other or the memory.
TENSORS = st.builds(
    lambda dtype, sizes, content, values: wire.TensorProto(
        dtype=dtype,
        tensor_shape={"dim": [{"size": size} for size in sizes]},
        tensor_content=content,
        int64_val=values,
    ),
    st.sampled_from([0, 1, 3, 7, 9, 10]),
    st.lists(st.integers(-2, 3) | st.sampled_from([1 << 31, 1 << 62]), max_size=3),
    st.binary(max_size=9),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
)


def _filled(array: np.ndarray) -> Any:
    proto = wire.TensorProto()
    tensors.fill(proto, array)
    return proto


VALUES = ARRAYS.map(_filled) | TENSORS


@st.composite
def damaged(draw: Any, whole: bytes) -> bytes:
    """A message some of whose bytes are others, or that ends early."""
    content = bytearray(whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole)
    for place, byte in draw(st.lists(st.tuples(st.integers(0, len(whole)), st.integers(0, 255)), max_size=4)):
        if place < len(content):
            content[place] = byte
    return bytes(content)


def requests(signature: str) -> Any:
    """Requests whose inputs have the right names and, one or two of them, anything inside."""
    whole = sequences([[101], [102, 103]], candidates=[[101], [102]] if signature == "rank" else None)
    if signature == "encode":
        whole = sequences([[101]], lists=False)

    def build(changed: dict[str, Any], wanted: list[str]) -> bytes:
        request = request_of(whole, signature=signature)
        ours = wire.PredictRequest.FromString(request.SerializeToString())
        for name, proto in changed.items():
            ours.inputs[name].CopyFrom(proto)
        ours.output_filter.extend(wanted)
        return bytes(ours.SerializeToString())

    names = st.sampled_from([*whole, "price"])
    changed = st.dictionaries(names, VALUES, min_size=1, max_size=2)
    return st.builds(build, changed, st.just([]) | st.lists(st.sampled_from(["score", "x"]), max_size=2))


WHOLE = request_of(sequences([[101], [102, 103]]), signature="recommend").SerializeToString()
SIGNATURES = st.sampled_from(["recommend", "rank", "encode"])
ANY_REQUEST = st.binary(max_size=64) | damaged(WHOLE) | SIGNATURES.flatmap(requests)
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
}


@pytest.fixture(scope="module")
def caller(int_server: Server) -> Iterator[Caller]:
    found = Caller(f"localhost:{int_server.port}")
    yield found
    found.channel.close()


@settings(max_examples=300, deadline=None)
@given(content=ANY_REQUEST)
def test_the_server_answers_any_bytes_with_a_status(caller: Caller, content: bytes) -> None:
    call = caller.channel.unary_unary(PREDICT).future(content, timeout=60)
    if call.code() is grpc.StatusCode.OK:
        assert wire.PredictResponse.FromString(call.result()).model_spec.version.value == 1
    else:
        assert call.code() in REFUSALS
        assert "Traceback" not in call.details()
    assert caller.health.Check(HealthCheckRequest()).status == HealthCheckResponse.SERVING


class Answering:
    """A real gRPC server that describes the tiny model and then answers Predict with bytes of the test's."""

    def __init__(self, metadata: bytes) -> None:
        self.predict = self.metadata = metadata
        methods = {
            "Predict": grpc.unary_unary_rpc_method_handler(lambda request, context: self.predict),
            "GetModelMetadata": grpc.unary_unary_rpc_method_handler(lambda request, context: self.metadata),
        }
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(wire.SERVICE, methods)])
        self.target = f"localhost:{self.server.add_insecure_port('localhost:0')}"
        self.server.start()


@pytest.fixture(scope="module")
def answering(caller: Caller) -> Iterator[Answering]:
    method = caller.channel.unary_unary(f"/{wire.SERVICE}/GetModelMetadata")
    request = wire.GetModelMetadataRequest(metadata_field=["signature_def"])
    found = Answering(method(request.SerializeToString(), timeout=60))
    yield found
    found.server.stop(None).wait()


@pytest.fixture(scope="module")
def recommender(answering: Answering) -> Iterator[Recommender]:
    with Recommender(answering.target, timeout_s=60, retries=0) as found:
        yield found


QUESTIONS: dict[str, Callable[[Recommender], Any]] = {
    "recommend": lambda one: one.recommend([101], 2),
    "recommend_many": lambda one: one.recommend_many([[101], [102]], 2),
    "rank": lambda one: one.rank([101], [101, 102]),
    "encode": lambda one: one.encode([101]),
}
OUTPUTS = ["item_id", "score", "next_item", "query_embedding", "own_item_id", "own_score", "rule_item_id"]


READ = {"recommend": ["item_id", "score"], "encode": ["query_embedding", "own_item_id", "own_score"]}


def _response(outputs: dict[str, Any]) -> bytes:
    response = wire.PredictResponse()
    for name, proto in outputs.items():
        response.outputs[name].CopyFrom(proto)
    return bytes(response.SerializeToString())


def _asked(recommender: Recommender, question: str) -> Any:
    """The answer, or the error that the client tells of; any other fails the test."""
    try:
        return QUESTIONS[question](recommender)
    except ServingError as error:
        return error


def _is_right(found: Any) -> bool:
    """Whether it is an answer, or the client's word that there is none in these bytes."""
    if not isinstance(found, ServingError):
        return True
    return found.code is grpc.StatusCode.INTERNAL and "the answer cannot be read: " in str(found)


@settings(max_examples=300, deadline=None)
@given(
    question=st.sampled_from(list(QUESTIONS)),
    content=st.binary(max_size=64) | st.dictionaries(st.sampled_from(OUTPUTS), VALUES).map(_response),
)
def test_the_client_reads_any_answer_or_says_why_not(
    answering: Answering, recommender: Recommender, question: str, content: bytes
) -> None:
    answering.predict = content
    assert _is_right(_asked(recommender, question))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_client_reads_a_damaged_answer_or_says_why_not(
    answering: Answering, recommender: Recommender, data: Any
) -> None:
    ids, scores = np.array([[101, 102]]), np.array([[2, 1]], np.float32)
    outputs = {"item_id": ids, "score": scores, "next_item": scores}
    outputs |= {"query_embedding": scores, "own_item_id": ids, "own_score": scores}
    question = data.draw(st.sampled_from(list(READ)))
    names = READ[question]
    whole = _response({name: _filled(outputs[name]) for name in names})
    answering.predict = whole
    assert not isinstance(_asked(recommender, question), ServingError)
    answering.predict = data.draw(damaged(whole))
    assert _is_right(_asked(recommender, question))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_description_of_a_model_that_is_damaged(answering: Answering, data: Any) -> None:
    whole, answering.predict = answering.metadata, b""
    answering.metadata = data.draw(st.binary(max_size=32) | damaged(whole))
    try:
        with Recommender(answering.target, timeout_s=60, retries=0) as recommender:
            for question in QUESTIONS.values():
                with pytest.raises((ServingError, ValueError)) as caught:
                    question(recommender)
                assert type(caught.value).__module__.startswith(("serving.", "tfrec."))
    finally:
        answering.metadata = whole


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"item_id": np.array([[1]])}, r"expected the outputs \['score'\], found \['item_id'\]"),
        (
            {"item_id": np.array([[1, 2]]), "score": np.zeros((1, 3), np.float32)},
            r"output 'score': expected the shape \[1, 2\], found \[1, 3\]",
        ),
        (
            {"item_id": np.array([[1.0]]), "score": np.zeros((1, 1), np.float32)},
            "output 'item_id': expected ids, found float64",
        ),
        ({"item_id": np.array([[b"\xff"]], object), "score": np.zeros((1, 1), np.float32)}, "utf-8"),
    ],
)
def test_what_is_wrong_with_an_answer_is_told(
    answering: Answering, recommender: Recommender, outputs: dict[str, Any], words: str
) -> None:
    answering.predict = _response({name: _filled(array) for name, array in outputs.items()})
    with pytest.raises(ServingError, match=words) as caught:
        recommender.recommend([101], 1)
    assert caught.value.code is grpc.StatusCode.INTERNAL
