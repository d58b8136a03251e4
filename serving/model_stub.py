"""One model on one server, as arrays in and arrays out; failures as ServingError."""

from collections.abc import Mapping
from typing import Any

import grpc

from serving import wire
from serving.failures import failure
from serving.signatures import Signature
from serving.status import Code, ServingError
from serving.tensors import Array, fill, read
from tfrec.errors import DataError, SettingsError

_METADATA = "signature_def"

# Outputs of each signature that the client reads; a model without them is none of tfrec's.
_OUTPUTS = {
    "recommend": {"item_id", "score"},
    "encode": {"query_embedding", "own_item_id", "own_score"},
    "rank": {"next_item", "score"},
}
_INPUTS = {"item_id", "event_type", "time", "length", "request_time"}


def model_spec(name: str, version: int | None, label: str | None) -> Any:
    """The ModelSpec that names a model, and a version of it by number or label.

    Raises:
        SettingsError: both are given, or the version is no version.
    """
    if version is not None and label is not None:
        raise SettingsError(f"version and label: expected one of them, found {version} and {label!r}.")
    spec = wire.ModelSpec(name=name)
    if version is not None:
        if isinstance(version, bool) or not isinstance(version, int) or not 0 <= version < 2**63:
            raise SettingsError(f"version: expected a whole number from 0, found {version!r}.")
        spec.version.value = version
    elif label is not None:
        spec.version_label = label
    return spec


class ModelStub:
    """Calls the signatures of a model.

    Args:
        channel: of gRPC; closed by `close`.
        target: where it leads, for errors.
        spec: which model.
        timeout_s: deadline of a call with all its retries, in seconds.
    """

    def __init__(self, channel: Any, target: str, spec: Any, timeout_s: float) -> None:
        self.target, self.spec, self.timeout_s = target, spec, timeout_s
        self._channel = channel
        self._predict = self._method("Predict", wire.PredictRequest, wire.PredictResponse)
        self._get_metadata = self._method(
            "GetModelMetadata", wire.GetModelMetadataRequest, wire.GetModelMetadataResponse
        )
        self._signatures: dict[str, Signature] | None = None

    def signature(self, name: str) -> Signature:
        """What a signature takes and gives, which the server is asked for once.

        Raises:
            DataError: the model has no such signature, or not as tfrec writes it.
            ServingError: the server does not answer, or not with OK.
        """
        signatures = self._signatures
        if signatures is None:
            request = wire.GetModelMetadataRequest(model_spec=self.spec, metadata_field=[_METADATA])
            packed = self._send(self._get_metadata, request).metadata[_METADATA].value
            definitions = wire.SignatureDefMap.FromString(packed).signature_def
            signatures = {key: Signature.from_proto(key, definitions[key]) for key in definitions}
            self._signatures = signatures
        found = signatures.get(name)
        if found is None or not (set(found.inputs) >= _INPUTS and _OUTPUTS[name] <= set(found.outputs)):
            raise DataError(
                f"{self.target}: the model {self.spec.name!r} has no signature {name!r} as tfrec exports it; "
                f"found the signatures {sorted(signatures)}. Is it a servable of `tfrec export`?"
            )
        return found

    def predict(self, signature: Signature, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a signature.

        Raises:
            ServingError: the server does not answer, or not with OK.
        """
        request = wire.PredictRequest(model_spec=self.spec)
        request.model_spec.signature_name = signature.name
        for name, array in inputs.items():
            fill(request.inputs[name], array)
        try:
            response = self._send(self._predict, request)
        except ServingError as error:
            if error.code is Code.INVALID_ARGUMENT:
                # A newer version may take other inputs than the one that was asked; ask again next time.
                self.forget()
            raise
        return {name: read(tensor) for name, tensor in response.outputs.items()}

    def forget(self) -> None:
        """Lets the next `signature` ask the server again."""
        self._signatures = None

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def _method(self, name: str, request: Any, response: Any) -> Any:
        return self._channel.unary_unary(
            f"/{wire.SERVICE}/{name}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )

    def _send(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self.timeout_s)
        except grpc.RpcError as error:
            raise failure(error, self.target, self.spec.name, self.timeout_s) from None
        except ValueError as error:
            # How gRPC refuses calls on a channel that was closed.
            raise ServingError(Code.CANCELLED, f"{self.target}: {error}") from None
