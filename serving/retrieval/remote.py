"""An encoder in a TensorFlow Serving (or embedded server) at the other end of a connection."""

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving import wire
from serving.channel import Endpoint
from serving.retrieval.encoder import Prediction, Signatures
from serving.signatures import Signature
from serving.status import Code, ServingError
from serving.tensors import Array, fill, read
from tfrec.errors import DataError

METADATA = "signature_def"
_FULL_QUEUE = "batch scheduling queue"


class RemoteEncoder:
    """Calls a model by its name.

    Args:
        endpoint: where it is; without retries, so that its loss is seen at once.
        name: of the model.
        timeout_s: after which it counts as not there.
    """

    def __init__(self, endpoint: Endpoint, name: str, timeout_s: float) -> None:
        self.name = name
        self._timeout_s = timeout_s
        self._target = endpoint.target
        self._channel = endpoint.open_async()
        self._newest: Signatures | None = None

    async def signatures(self, spec: Any, deadline: float) -> Signatures:
        """As `Encoder.signatures`; those of the newest version are asked for once."""
        if self._newest and not spec.version_label and spec.version.value in (0, self._newest.version):
            return self._newest
        request = wire.GetModelMetadataRequest(model_spec=self._named(spec), metadata_field=[METADATA])
        response = await self._call("GetModelMetadata", request, wire.GetModelMetadataResponse, deadline)
        packed = response.metadata[METADATA].value
        try:
            definitions = wire.SignatureDefMap.FromString(packed).signature_def
        except DecodeError:
            raise self._misunderstood("GetModelMetadata", "no SignatureDefMap") from None
        by_name = {key: Signature.from_proto(key, definitions[key]) for key in definitions}
        found = Signatures(response.model_spec.version.value, by_name, packed)
        if not spec.version_label and not spec.HasField("version"):
            self._newest = found
        return found

    async def predict(
        self, spec: Any, signature: Signature, inputs: Mapping[str, Array], rows: int, deadline: float
    ) -> Prediction:
        """As `Encoder.predict`."""
        request = wire.PredictRequest(model_spec=self._named(spec))
        request.model_spec.signature_name = signature.name
        for name, array in inputs.items():
            fill(request.inputs[name], array)
        try:
            response = await self._call("Predict", request, wire.PredictResponse, deadline)
        except ServingError as error:
            if error.code in (Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION):
                # A newer version may take other inputs.
                self._newest = None
            raise
        version = response.model_spec.version.value
        if self._newest and version != self._newest.version:
            self._newest = None
        try:
            outputs = {name: read(tensor) for name, tensor in response.outputs.items()}
        except DataError as error:
            raise self._misunderstood("Predict", f"a tensor that {error}") from None
        for name in signature.outputs:
            if name not in outputs or len(outputs[name]) != rows:
                raise self._misunderstood("Predict", f"no {rows} rows of {name!r}")
        return Prediction(version, _as_asked(outputs, inputs, signature))

    def forget(self) -> None:
        """As `Encoder.forget`."""
        self._newest = None

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    def _named(self, spec: Any) -> Any:
        """The ModelSpec by the encoder's own name of the model."""
        named = wire.ModelSpec(name=self.name)
        if spec.version_label:
            named.version_label = spec.version_label
        elif spec.HasField("version"):
            named.version.value = spec.version.value
        return named

    async def _call(self, method: str, request: Any, response: Any, deadline: float) -> Any:
        remaining = deadline - asyncio.get_running_loop().time()
        if remaining <= 0:
            raise ServingError(Code.DEADLINE_EXCEEDED, "the deadline passed before the encoder was asked")
        call = self._channel.unary_unary(f"/{wire.SERVICE}/{method}")
        try:
            answer = await call(request.SerializeToString(), timeout=min(remaining, self._timeout_s))
            return response.FromString(answer)
        except grpc.RpcError as error:
            words = (error.details() or "no words").rstrip(".")
            code = error.code()
            if code is Code.UNAVAILABLE and _FULL_QUEUE in words:
                # TensorFlow Serving calls overload so; it is there, and asked too much.
                code = Code.RESOURCE_EXHAUSTED
            if code is Code.DEADLINE_EXCEEDED and remaining > self._timeout_s:
                # Its caller would wait longer: it hangs, which is as if it were not there.
                code, words = Code.UNAVAILABLE, f"no answer within {self._timeout_s:g} s"
            raise ServingError(code, f"the encoder at {self._target}: {words}.") from None
        except DecodeError:
            raise self._misunderstood(method, f"no {response.DESCRIPTOR.name}") from None

    def _misunderstood(self, method: str, found: str) -> ServingError:
        words = f"the encoder at {self._target} answers {method} with {found}"
        return ServingError(Code.INTERNAL, f"{words}. Is it a servable of `tfrec export`?")


def _as_asked(
    outputs: Mapping[str, Array], inputs: Mapping[str, Array], signature: Signature
) -> dict[str, Array]:
    """Outputs as wide as the request: TensorFlow Serving gives them as wide as the batch."""
    widths = {signature.input_axes[name]: array.shape[1] for name, array in inputs.items() if array.ndim > 1}
    found = {}
    for name, array in outputs.items():
        axis = signature.output_axes[name] if name in signature.outputs else None
        found[name] = array if axis is None else array[:, : widths[axis]]
    return found
