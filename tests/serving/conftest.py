"""A tiny real SavedModel whose answers can be worked out by hand, and servers that serve it."""

import contextlib
import threading
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
from serving.loading import Servable
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


class Staged(Counting):
    """Events whose type tells the graph what to do with the batch.

    `refuse` complains about the request, `break` fails for a reason that is not the request's, and `slow`
    takes about a second.
    """

    def query(self, inputs: Tensors) -> tf.Tensor:
        kinds = inputs["event_type"]
        refuse = tf.debugging.assert_equal(tf.reduce_any(kinds == "refuse"), False, "no such event")
        with tf.control_dependencies([refuse]):
            read = tf.cond(
                tf.reduce_any(kinds == "break"),
                lambda: tf.strings.length(tf.io.read_file("no/such/file")),
                lambda: 0,
            )
        turns = tf.where(tf.reduce_any(kinds == "slow"), 300, 0)
        square = tf.random.normal([400, 400]) / 20
        product = tf.while_loop(
            lambda turn, _: turn < turns, lambda turn, x: (turn + 1, tf.tanh(x @ square)), (0, square)
        )[1]
        return super().query(inputs) + 0 * (product[0, 0] + tf.cast(read, tf.float32))


class Stage:
    """A servable of `Staged`, and a hold on the workers of servers in this process.

    Attributes:
        folder: the servable's.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._arrived, self._go = threading.Event(), threading.Event()
        patch.setattr(Servable, "run", self._run_when_let(Servable.run))

    def _run_when_let(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def wait_and_run(servable: Servable, signature: str, inputs: Mapping[str, Any]) -> Any:
            if (inputs["event_type"] == b"hold").any():
                self._arrived.set()
                assert self._go.wait(60)
            return run(servable, signature, inputs)

        return wait_and_run

    def request(self, kind: str, users: int = 1) -> predict_pb2.PredictRequest:
        """A request whose events are of this type."""
        inputs = sequences([[101]] * users)
        inputs["event_type"][:] = kind
        return request_of(inputs)

    @contextlib.contextmanager
    def held(self, caller: Caller) -> Iterator[Any]:
        """While the block runs, a worker of the server is busy with a request, whose call is yielded."""
        call = caller.prediction.Predict.future(self.request("hold"))
        assert self._arrived.wait(60)
        try:
            yield call
        finally:
            self._go.set()


@pytest.fixture(scope="session")
def staged_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A servable of `Staged`."""
    folder = tmp_path_factory.mktemp("staged") / "tiny"
    save_version(Staged(INT_IDS, 1), folder)
    return folder


@pytest.fixture
def stage(staged_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A servable whose work the test holds and lets go, once."""
    return Stage(staged_folder, monkeypatch)


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], Any]], None]:
    """`eventually(check)`: asks until it holds, and fails instead of hanging where it never does."""

    def ask(check: Callable[[], Any]) -> None:
        last = time.monotonic() + 60
        while not check():
            assert time.monotonic() < last, "it never came to hold"

    return ask
