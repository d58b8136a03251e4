"""Calls of a server with the official stubs, and requests for them."""

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1.health_pb2_grpc import HealthStub
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, ModelVersionStatus
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub


class Caller:
    """The official stubs of one server, with the arrays of TensorFlow's own converters."""

    def __init__(self, target: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self.channel = (
            grpc.secure_channel(target, credentials) if credentials else grpc.insecure_channel(target)
        )
        self.target = target
        self.prediction = PredictionServiceStub(self.channel)
        self.model = ModelServiceStub(self.channel)
        self.health = HealthStub(self.channel)

    def predict(self, inputs: Mapping[str, Any], timeout: float = 30, **spec: Any) -> "Answer":
        """The answer to `request_of(inputs, **spec)`."""
        return Answer(self.prediction.Predict(request_of(inputs, **spec), timeout=timeout))

    def refusal(self, inputs: Mapping[str, Any], **spec: Any) -> tuple[grpc.StatusCode, str]:
        """Code and text of the error that `predict` meets."""
        with pytest.raises(grpc.RpcError) as caught:
            self.predict(inputs, **spec)
        assert "Traceback" not in caught.value.details()
        return caught.value.code(), caught.value.details()

    def states(self) -> dict[int, tuple[str, str]]:
        """State and error message of each version."""
        request = GetModelStatusRequest()
        found = self.model.GetModelStatus(request, timeout=30).model_version_status
        names = ModelVersionStatus.State.Name
        return {one.version: (names(one.state), one.status.error_message) for one in found}


class Answer:
    """A PredictResponse as arrays."""

    def __init__(self, response: Any) -> None:
        self.outputs = {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}
        self.version = response.model_spec.version.value
        self.signature = response.model_spec.signature_name
        self.name = response.model_spec.name

    def __getitem__(self, name: str) -> np.ndarray:
        return self.outputs[name]


def request_of(
    inputs: Mapping[str, Any],
    *,
    signature: str = "",
    name: str = "tiny",
    version: int | None = None,
    output_filter: Sequence[str] = (),
) -> predict_pb2.PredictRequest:
    """A PredictRequest; inputs are arrays, or TensorProtos as they are."""
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for key, array in inputs.items():
        proto = array if isinstance(array, TensorProto) else tf.make_tensor_proto(array)
        request.inputs[key].CopyFrom(proto)
    return request


def sequences(
    items: Sequence[Sequence[Any]],
    *,
    exclude: Sequence[Sequence[Any]] | None = None,
    candidates: Sequence[Sequence[Any]] | None = None,
    lists: bool = True,
) -> dict[str, np.ndarray]:
    """The inputs for users who viewed these items long ago; rows of `exclude` have one length.

    Without `lists` as `encode` takes them, with `candidates` as `rank`, else as `recommend`.
    """
    dtype = object if any(isinstance(item, str) for row in items for item in row) else np.int64
    width = max(1, *(len(row) for row in items))
    ids = np.full((len(items), width), "" if dtype is object else 0, dtype)
    for place, row in enumerate(items):
        ids[place, : len(row)] = row
    inputs = {
        "item_id": ids,
        "event_type": np.full(ids.shape, "view", object),
        "time": np.zeros(ids.shape, np.int64),
        "length": np.array([len(row) for row in items], np.int32),
        "request_time": np.full(len(items), 1_000_000, np.int64),
    }
    if not lists:
        return inputs
    if candidates is not None:
        return inputs | {"candidate_item_id": np.array(candidates, dtype)}
    none = np.zeros((len(items), 0), dtype)
    left_out = none if exclude is None else np.array(exclude, dtype)
    return inputs | {"exclude_item_id": left_out, "allow_item_id": none}
