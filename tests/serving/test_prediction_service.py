from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, get_model_metadata_pb2, inference_pb2, regression_pb2
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from serving.server import Server
from tfrec.servable import no_item

Code = grpc.StatusCode

# An item of version 1 scores 1000 + (its views, the newest four) - place/16.


def test_recommend_is_the_default_signature(tiny: Any, sequences: Callable[..., Any]) -> None:
    answer = tiny.predict(sequences([[104, 102, 104]]))
    assert answer["item_id"].tolist() == [[104, 102, 101, 103, 105]]
    assert answer["score"].tolist() == [[1001.8125, 1000.9375, 1000.0, 999.875, 999.75]]
    assert (answer.name, answer.version, answer.signature) == ("tiny", 1, "serving_default")


def test_a_version_can_be_named(tiny: Any, sequences: Callable[..., Any]) -> None:
    assert tiny.predict(sequences([[101]]), version=1).version == 1


def test_what_is_left_out_is_not_answered(tiny: Any, sequences: Callable[..., Any]) -> None:
    answer = tiny.predict(sequences([[104, 104]], exclude=[[104, 101]]), signature="recommend")
    assert answer["item_id"].tolist() == [[102, 103, 105, 106, no_item("int64")]]
    assert answer["score"][0, 4] == -np.inf
    assert answer.signature == "recommend"


def test_encode_follows_the_length_of_the_sequence(tiny: Any, sequences: Callable[..., Any]) -> None:
    inputs = sequences([[104, 102]], lists=False)
    answer = tiny.predict(inputs, signature="encode")
    assert answer["query_embedding"].tolist() == [[0, 1, 0, 1, 0, 0, 1]]
    assert answer["own_item_id"].tolist() == [[104, 102]]
    assert answer["own_score"].tolist() == [[1000.8125, 1000.9375]]


def test_rank_answers_for_each_candidate(tiny: Any, sequences: Callable[..., Any]) -> None:
    answer = tiny.predict(sequences([[101]], candidates=[[101, 999, 102]]), signature="rank")
    scores = np.array([1, -1, -2, -3, -4, -5]) / [1, 16, 16, 16, 16, 16]
    chances = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(answer["next_item"], [[chances[0], 0, chances[1]]], rtol=1e-4)


def test_output_filter(tiny: Any, sequences: Callable[..., Any]) -> None:
    answer = tiny.predict(sequences([[101]]), output_filter=["item_id"])
    assert list(answer.outputs) == ["item_id"]


def test_string_ids_session_ids_and_context(
    string_server: Server, connect: Callable[..., Any], sequences: Callable[..., Any]
) -> None:
    inputs = sequences([["crème", "figs"]])
    inputs["event_type"] = np.array([["view", "purchase"]], object)
    inputs |= {
        "session_id": np.array([["a", "b"]], object),
        "request_session_id": np.array(["a"], object),
        "context.price": np.array([[4.0, 0.0]], np.float32),
        "context.store": np.array([["x", ""]], object),
    }
    answer = connect(string_server.port).predict(inputs, name="rich")
    assert [item.decode() for item in answer["item_id"][0, :2]] == ["crème", "figs"]
    # A view in the request's session with a price of 4; a purchase in another.
    assert answer["score"][0, :2].tolist() == [1000 + 5.25 - 2 / 16, 1000 + 2 - 5 / 16]


def test_values_in_fields_of_their_own_are_read_like_bytes(tiny: Any, sequences: Callable[..., Any]) -> None:
    inputs = sequences([[104, 102]])
    plain = {
        name: array if array.dtype == object else _in_fields(array)
        for name, array in inputs.items()
        if array.size
    }
    plain |= {name: tf.make_tensor_proto(array) for name, array in inputs.items() if not array.size}
    assert plain["item_id"].int64_val
    assert tiny.predict(plain)["score"].tolist() == tiny.predict(inputs)["score"].tolist()


def _in_fields(array: np.ndarray) -> Any:
    proto = tf.make_tensor_proto(array)
    values = array.ravel().tolist()
    proto.ClearField("tensor_content")
    (proto.int64_val if array.dtype == np.int64 else proto.int_val)[:] = values
    return proto


@pytest.mark.parametrize(
    ("spec", "code", "text"),
    [
        ({"name": "shop"}, Code.NOT_FOUND, "Servable not found for request: Latest(shop)"),
        ({"version": 7}, Code.NOT_FOUND, "Servable not found for request: Specific(tiny, 7)"),
        ({"signature": "rnak"}, Code.FAILED_PRECONDITION, 'Serving signature key "rnak" not found'),
        (
            {"output_filter": ["items"]},
            Code.INVALID_ARGUMENT,
            "output tensor alias not found in signature: items",
        ),
    ],
)
def test_what_does_not_exist_is_named(
    tiny: Any, sequences: Callable[..., Any], spec: dict[str, Any], code: Code, text: str
) -> None:
    found = tiny.refusal(sequences([[101]]), **spec)
    assert found[0] is code
    assert text in found[1]


def test_metadata_tells_the_signatures(tiny: Any) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "tiny"
    response = tiny.prediction.GetModelMetadata(request)
    assert response.model_spec.version.value == 1
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"recommend", "encode", "rank", "serving_default"} <= set(signatures.signature_def)
    default = signatures.signature_def["serving_default"]
    assert default.inputs["item_id"].dtype == tf.int64.as_datatype_enum
    assert [dim.size for dim in default.outputs["score"].tensor_shape.dim] == [-1, 5]


@pytest.mark.parametrize(
    ("fields", "text"), [([], "at least one metadata_field"), (["assets"], "Metadata field assets")]
)
def test_metadata_of_another_kind_is_refused(tiny: Any, fields: list[str], text: str) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    with pytest.raises(grpc.RpcError) as caught:
        tiny.prediction.GetModelMetadata(request)
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert text in caught.value.details()


def test_methods_that_take_examples_are_unimplemented(int_server: Server) -> None:
    with grpc.insecure_channel(f"localhost:{int_server.port}") as channel:
        stub = PredictionServiceStub(channel)
        for method, request in [
            (stub.Classify, classification_pb2.ClassificationRequest()),
            (stub.Regress, regression_pb2.RegressionRequest()),
            (stub.MultiInference, inference_pb2.MultiInferenceRequest()),
        ]:
            with pytest.raises(grpc.RpcError) as caught:
                method(request)
            assert caught.value.code() is Code.UNIMPLEMENTED
