"""A tiny real SavedModel whose answers can be worked out by hand, and servers that serve it."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
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

from benchmarks.synthetic import CatalogueModule, Tensors, save_version
from serving.server import Server, ServerSettings, running

INT_IDS = [101, 102, 103, 104, 105, 106]
STRING_IDS = ["apple", "bread", "crème", "dates", "eggs", "figs"]

MAX_LENGTH = 4
K = 5


class Counting(CatalogueModule):
    """An item's score is how much the sequence holds of it, and a little less for later items.

    The event `view` weighs 1, `purchase` 2, any other 1; within an hour before the request 0.5 more;
    in the request's session 0.25 more; and its price, where events have one.
    """

    def __init__(self, ids: Sequence[int] | Sequence[str], version: int, **options: Any) -> None:
        table = np.concatenate([np.eye(len(ids)), -0.0625 * np.arange(len(ids))[:, None]], axis=1)
        super().__init__(ids, table, version=version, max_length=MAX_LENGTH, k=K, **options)

    def query(self, inputs: Tensors) -> tf.Tensor:
        weight = 1.0 + tf.cast(inputs["event_type"] == "purchase", tf.float32)
        recent = inputs["request_time"][:, None] - inputs["time"] <= 3600
        weight += 0.5 * tf.cast(recent, tf.float32)
        if self.session_ids:
            same = inputs["session_id"] == inputs["request_session_id"][:, None]
            weight += 0.25 * tf.cast(same, tf.float32)
        if "price" in self.context:
            weight += inputs["context.price"]
        weight = tf.where(self.counted(inputs), weight, 0.0)
        items = tf.one_hot(self.rows.lookup(inputs["item_id"]), len(self.ids))
        amounts = tf.einsum("bl,bln->bn", weight, items)
        return tf.concat([amounts, tf.ones_like(amounts[:, :1])], axis=1)


def write_tiny(
    folder: Path, version: int, ids: Sequence[int] | Sequence[str] = tuple(INT_IDS), **options: Any
) -> Path:
    """Writes `folder/<version>/`."""
    return save_version(Counting(list(ids), version, **options), folder)


@pytest.fixture(scope="session")
def write_version() -> Callable[..., Path]:
    """`write_version(folder, version, ids=…, session_ids=…, context=…)`."""
    return write_tiny


@pytest.fixture(scope="session")
def int_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 with integer ids, nothing optional."""
    folder = tmp_path_factory.mktemp("servables") / "tiny"
    write_tiny(folder, 1)
    return folder


@pytest.fixture(scope="session")
def string_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 with string ids, session ids, and a context column of each kind."""
    folder = tmp_path_factory.mktemp("servables") / "rich"
    write_tiny(
        folder,
        1,
        STRING_IDS,
        session_ids=True,
        context={"price": "numeric", "store": "categorical"},
    )
    return folder


@pytest.fixture(scope="session")
def int_server(int_folder: Path) -> Iterator[Server]:
    with running(ServerSettings(int_folder, port=0)) as server:
        yield server


@pytest.fixture(scope="session")
def string_server(string_folder: Path) -> Iterator[Server]:
    with running(ServerSettings(string_folder, port=0)) as server:
        yield server


class Caller:
    """The official stubs of one server, with the arrays of TensorFlow's own converters."""

    def __init__(self, target: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self.channel = (
            grpc.secure_channel(target, credentials) if credentials else grpc.insecure_channel(target)
        )
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
) -> dict[str, np.ndarray]:
    """The inputs for users who viewed these items long ago; rows of `exclude` have one length."""
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
    if candidates is not None:
        return inputs | {"candidate_item_id": np.array(candidates, dtype)}
    left_out = np.zeros((len(items), 0), dtype) if exclude is None else np.array(exclude, dtype)
    return inputs | {"exclude_item_id": left_out}


@pytest.fixture(scope="session", name="sequences")
def _sequences() -> Callable[..., dict[str, np.ndarray]]:
    """`sequences(items, exclude=…, candidates=…)`: inputs of a signature."""
    return sequences


@pytest.fixture(scope="session", name="request_of")
def _request_of() -> Callable[..., predict_pb2.PredictRequest]:
    """`request_of(inputs, signature=…, name=…, version=…, output_filter=…)`."""
    return request_of


@pytest.fixture
def connect() -> Iterator[Callable[..., Caller]]:
    """`connect(port, credentials)`: a Caller, whose channel is closed after the test."""
    with contextlib.ExitStack() as stack:

        def caller(port: int, credentials: grpc.ChannelCredentials | None = None) -> Caller:
            found = Caller(f"localhost:{port}", credentials)
            stack.enter_context(found.channel)
            return found

        yield caller


@pytest.fixture
def tiny(int_server: Server, connect: Callable[..., Caller]) -> Caller:
    """A Caller of the server of integer ids."""
    return connect(int_server.port)


class Failing(Counting):
    """Refuses events of the type `refuse`; `break` fails for a reason that is not the request's."""

    def query(self, inputs: Tensors) -> tf.Tensor:
        kinds = inputs["event_type"]
        refuse = tf.debugging.assert_equal(tf.reduce_any(kinds == "refuse"), False, "no such event")
        with tf.control_dependencies([refuse]):
            missing = tf.cond(
                tf.reduce_any(kinds == "break"),
                lambda: tf.strings.length(tf.io.read_file("no/such/file")),
                lambda: 0,
            )
        return super().query(inputs) + tf.cast(missing, tf.float32)


@pytest.fixture(scope="session")
def write_failing() -> Callable[[Path], Path]:
    """`write_failing(folder)`: version 1, which fails on two event types."""
    return lambda folder: save_version(Failing(INT_IDS, 1), folder)


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], Any]], None]:
    """`eventually(check)`: asks until it holds, and fails instead of hanging where it never does."""

    def ask(check: Callable[[], Any]) -> None:
        last = time.monotonic() + 60
        while not check():
            assert time.monotonic() < last, "it never came to hold"

    return ask
