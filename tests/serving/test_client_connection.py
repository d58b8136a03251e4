"""What the client does when a server is slow, away, overloaded, or asks who is there.

The server here is gRPC's own with the official stubs; it fails on demand, which the embedded one does not.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

from serving.client import Recommendation, Recommender, ServingError
from tfrec.errors import DataError
from tfrec.servable import no_item

Code = grpc.StatusCode

INPUTS = {
    "item_id": tf.TensorSpec([None, None], tf.int64),
    "event_type": tf.TensorSpec([None, None], tf.string),
    "time": tf.TensorSpec([None, None], tf.int64),
    "length": tf.TensorSpec([None], tf.int32),
    "request_time": tf.TensorSpec([None], tf.int64),
    "exclude_item_id": tf.TensorSpec([None, None], tf.int64),
    "allow_item_id": tf.TensorSpec([None, None], tf.int64),
}


def outputs(width: int | None) -> dict[str, tf.TensorSpec]:
    """Those of `recommend`, with K = width, or with a K that the metadata do not tell."""
    return {
        "item_id": tf.TensorSpec([None, width], tf.int64),
        "score": tf.TensorSpec([None, width], tf.float32),
    }


def described(infos: Any, specs: dict[str, tf.TensorSpec]) -> None:
    for name, spec in specs.items():
        infos[name].dtype = spec.dtype.as_datatype_enum
        infos[name].tensor_shape.CopyFrom(spec.shape.as_proto())


@dataclass
class Scripted(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers items 1 to `width`, after the failures it was told."""

    failures: list[grpc.StatusCode] = field(default_factory=list)
    metadata_failures: list[grpc.StatusCode] = field(default_factory=list)
    signature: str = "recommend"
    outputs: dict[str, tf.TensorSpec] = field(default_factory=lambda: outputs(2))
    width: int = 2
    answers: dict[str, Any] = field(default_factory=dict)
    hang: bool = False
    calls: list[Any] = field(default_factory=list)
    metadata_calls: list[Any] = field(default_factory=list)
    deadlines: list[float | None] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.calls.append(request)
        self.deadlines.append(context.time_remaining())
        if self.hang:
            self.released.wait()
        if self.failures:
            context.abort(self.failures.pop(0), "says the script")
        response = predict_pb2.PredictResponse()
        rows = request.inputs["length"].tensor_shape.dim[0].size
        items = np.tile(np.arange(1, self.width + 1), (rows, 1))
        for name, answer in (
            self.answers or {"item_id": items, "score": np.float32(1 / (1 + items))}
        ).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(answer))
        return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.metadata_calls.append(request)
        self.deadlines.append(context.time_remaining())
        if self.metadata_failures:
            context.abort(self.metadata_failures.pop(0), "says the script")
        signatures = get_model_metadata_pb2.SignatureDefMap()
        definition = signatures.signature_def[self.signature]
        described(definition.inputs, INPUTS)
        described(definition.outputs, self.outputs)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(signatures)
        return response


@contextlib.contextmanager
def listening(servicer: Scripted, address: str = "localhost:0") -> Iterator[str]:
    """Runs a server while the block runs, by default on a free port; the value is `localhost:port`."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port(address)
    server.start()
    yield f"localhost:{port}"
    servicer.released.set()
    server.stop(None).wait()


@pytest.fixture
def serve() -> Iterator[Callable[[Scripted], str]]:
    """`serve(servicer)`: runs it until the test ends, and returns `localhost:port`."""
    with contextlib.ExitStack() as stack:
        yield lambda servicer: stack.enter_context(listening(servicer))


@pytest.fixture
def ask(serve: Callable[..., str]) -> Callable[..., list[Recommendation]]:
    """`ask(servicer, **settings of the Recommender)`: one recommendation."""

    def one(servicer: Scripted, **settings: Any) -> list[Recommendation]:
        with Recommender(serve(servicer), **{"timeout_s": 30} | settings) as recommender:
            return recommender.recommend([5], k=1)

    return one


def test_unavailable_is_tried_again(ask: Callable[..., Any]) -> None:
    servicer = Scripted(failures=[Code.UNAVAILABLE] * 2, metadata_failures=[Code.UNAVAILABLE])
    assert ask(servicer) == [Recommendation(1, 0.5)]
    assert len(servicer.calls) == 3
    assert servicer.calls[0] == servicer.calls[2]
    assert len(servicer.metadata_calls) == 2


@pytest.mark.parametrize("retries", [0, 1])
def test_retries_end(ask: Callable[..., Any], retries: int) -> None:
    servicer = Scripted(failures=[Code.UNAVAILABLE] * 5)
    with pytest.raises(ServingError, match=r"UNAVAILABLE: says the script\. Does a server run") as caught:
        ask(servicer, retries=retries)
    assert caught.value.code is Code.UNAVAILABLE
    assert len(servicer.calls) == retries + 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (Code.RESOURCE_EXHAUSTED, "overloaded"),
        (Code.INTERNAL, "says the script"),
        (Code.DEADLINE_EXCEEDED, "timeout_s"),
        (Code.NOT_FOUND, "model="),
        (Code.ABORTED, "says the script"),
    ],
)
def test_other_failures_are_not_tried_again(
    ask: Callable[..., Any], code: grpc.StatusCode, words: str
) -> None:
    servicer = Scripted(failures=[code])
    with pytest.raises(ServingError, match=words) as caught:
        ask(servicer)
    assert caught.value.code is code
    assert "says the script" in str(caught.value)
    assert len(servicer.calls) == 1


def test_a_server_that_comes_back_is_asked_again(serve: Callable[..., str]) -> None:
    servicer = Scripted(failures=[Code.UNAVAILABLE])
    with Recommender(serve(servicer), retries=0, timeout_s=30) as recommender:
        with pytest.raises(ServingError):
            recommender.recommend([5], 1)
        assert recommender.recommend([5], 1) == [Recommendation(1, 0.5)]
    assert len(servicer.metadata_calls) == 1  # what the model takes is asked once


def test_a_deadline_ends_a_call(ask: Callable[..., Any]) -> None:
    servicer = Scripted(hang=True)
    with pytest.raises(ServingError, match=r"DEADLINE_EXCEEDED: no answer within 0\.5 s") as caught:
        ask(servicer, timeout_s=0.5)
    assert caught.value.code is Code.DEADLINE_EXCEEDED


def test_every_call_has_a_deadline(ask: Callable[..., Any]) -> None:
    servicer = Scripted()
    ask(servicer, timeout_s=20)
    assert len(servicer.deadlines) == 2
    # A little more than 20 s, for gRPC rounds up; without a deadline, None or years.
    assert all(remaining is not None and 0 < remaining < 21 for remaining in servicer.deadlines)


def test_nobody_listens() -> None:
    # Nothing can listen on port 1 without the rights of the system.
    with Recommender("localhost:1", retries=0) as recommender, pytest.raises(ServingError) as caught:
        recommender.recommend([5])
    assert caught.value.code is Code.UNAVAILABLE
    assert str(caught.value).startswith("localhost:1: UNAVAILABLE: ")


def test_model_version_and_label_are_in_every_request(ask: Callable[..., Any]) -> None:
    servicer = Scripted()
    ask(servicer, model="shop", label="stable")
    for request in (*servicer.calls, *servicer.metadata_calls):
        assert (request.model_spec.name, request.model_spec.version_label) == ("shop", "stable")
    servicer = Scripted()
    ask(servicer, version=0)
    for request in (*servicer.calls, *servicer.metadata_calls):
        assert request.model_spec.WhichOneof("version_choice") == "version"
    assert servicer.calls[0].model_spec.signature_name == "recommend"


def test_what_is_wrong_is_not_sent(serve: Callable[..., str]) -> None:
    servicer = Scripted()
    with Recommender(serve(servicer), timeout_s=30) as recommender:
        with pytest.raises(DataError, match="k: expected a whole number"):
            recommender.recommend([5], 0)
        assert servicer.metadata_calls == []
        for events, k in ((["x"], 1), ([5], 3)):
            with pytest.raises(DataError):
                recommender.recommend(events, k)
    assert servicer.calls == []


def test_k_over_an_answer_whose_width_the_metadata_do_not_tell(serve: Callable[..., str]) -> None:
    with (
        Recommender(serve(Scripted(outputs=outputs(None))), timeout_s=30) as recommender,
        pytest.raises(DataError, match="at most 2 items, found 3"),
    ):
        recommender.recommend([5], 3)


def test_a_newer_version_may_answer_with_more(serve: Callable[..., str]) -> None:
    servicer = Scripted()
    with Recommender(serve(servicer), timeout_s=30) as recommender:
        with pytest.raises(DataError, match="at most 2 items, found 3"):
            recommender.recommend([5], 3)
        servicer.outputs, servicer.width = outputs(4), 4
        assert [one.item for one in recommender.recommend([5], 3)] == [1, 2, 3]


def test_a_server_that_restarts_is_found_again() -> None:
    with contextlib.ExitStack() as stack:
        with listening(Scripted()) as target:
            recommender = stack.enter_context(Recommender(target, timeout_s=30))
            recommender.recommend([5], 1)
        with listening(Scripted(), target):
            assert recommender.recommend([5], 1) == [Recommendation(1, 0.5)]


def test_encode_keeps_the_first_place_of_each_own_item_that_the_model_knows(
    serve: Callable[..., str],
) -> None:
    # As the export answers: what the model does not know is no item, and later places do not count.
    answers = {
        "query_embedding": np.float32([[1, 2, 3]]),
        "own_item_id": np.int64([[7, no_item("int64"), 8, 7]]),
        "own_score": np.float32([[2, -np.inf, -np.inf, -np.inf]]),
    }
    specs = {name: tf.TensorSpec([None, None], array.dtype) for name, array in answers.items()}
    servicer = Scripted(signature="encode", outputs=specs, answers=answers)
    with Recommender(serve(servicer), timeout_s=30) as recommender:
        found = recommender.encode([7, 999, 8, 7])
    assert found.query_embedding.tolist() == [1, 2, 3]
    assert found.own_item == [7, 8]
    assert found.own_score.tolist() == [2, -np.inf]  # 8 is not to be recommended


def test_a_model_that_changed_is_asked_anew(serve: Callable[..., str]) -> None:
    servicer = Scripted(failures=[Code.INVALID_ARGUMENT])
    with Recommender(serve(servicer), timeout_s=30) as recommender:
        with pytest.raises(ServingError, match="INVALID_ARGUMENT: says the script"):
            recommender.recommend([5], 1)
        recommender.recommend([5], 1)
    assert len(servicer.metadata_calls) == 2


@pytest.mark.parametrize(
    "foreign",
    [Scripted(signature="classify"), Scripted(outputs={"scores": tf.TensorSpec([None], tf.float32)})],
    ids=["signature", "outputs"],
)
def test_a_model_of_somebody_else_is_told(ask: Callable[..., Any], foreign: Scripted) -> None:
    with pytest.raises(DataError, match=r"no signature 'recommend' as tfrec exports it.*tfrec export"):
        ask(foreign)


def test_a_request_larger_than_the_limit(serve: Callable[..., str]) -> None:
    servicer = Scripted()
    with Recommender(serve(servicer), timeout_s=30, max_message_mb=1) as recommender:
        with pytest.raises(ServingError, match="max_message_mb") as caught:
            recommender.recommend([5] * 200_000, 1)
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
        assert recommender.recommend([5], 1) == [Recommendation(1, 0.5)]
    assert len(servicer.calls) == 1


def test_an_answer_larger_than_the_limit(ask: Callable[..., Any]) -> None:
    # 7 MB, more than gRPC takes where nothing is set.
    assert ask(Scripted(outputs=outputs(600_000), width=600_000)) == [Recommendation(1, 0.5)]
    with pytest.raises(ServingError, match="max_message_mb"):
        ask(Scripted(outputs=outputs(600_000), width=600_000), max_message_mb=5)
