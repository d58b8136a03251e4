"""One model on one server, as arrays in and arrays out; failures as ServingError."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc

from serving import wire
from serving.channel import open_channel
from serving.signatures import Signature
from serving.status import Code, ServingError
from serving.tensors import Array, fill, read
from tfrec.errors import DataError, SettingsError

_METADATA = "signature_def"


class ModelStub:
    """Calls the signatures of a model. Arguments and errors as of `serving.client.Recommender`."""

    def __init__(
        self,
        target: str,
        *,
        model: str,
        version: int | None,
        timeout_s: float,
        retries: int,
        tls: bool | str | Path,
        max_message_mb: int,
    ) -> None:
        if not timeout_s > 0:
            raise SettingsError(f"timeout_s: expected more than 0, found {timeout_s}.")
        self.target, self.model, self.version, self.timeout_s = target, model, version, timeout_s
        self._channel = open_channel(target, retries=retries, tls=tls, max_message_mb=max_message_mb)
        self._predict = self._method("Predict", wire.PredictRequest, wire.PredictResponse)
        self._get_metadata = self._method(
            "GetModelMetadata", wire.GetModelMetadataRequest, wire.GetModelMetadataResponse
        )
        self._signatures: dict[str, Signature] | None = None

    def signature(self, name: str) -> Signature:
        """What a signature takes and gives, which the server is asked for once.

        Raises:
            DataError: the model has no such signature.
            ServingError: the server does not answer, or not with OK.
        """
        if self._signatures is None:
            request = wire.GetModelMetadataRequest(metadata_field=[_METADATA])
            self._fill_spec(request.model_spec)
            packed = self._send(self._get_metadata, request).metadata[_METADATA].value
            definitions = wire.SignatureDefMap.FromString(packed).signature_def
            self._signatures = {key: Signature.from_proto(key, definitions[key]) for key in definitions}
        if name not in self._signatures:
            raise DataError(f"{self.target}: the model has no signature {name!r}, so it is none of tfrec's")
        return self._signatures[name]

    def predict(self, signature: Signature, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a signature.

        Raises:
            ServingError: the server does not answer, or not with OK.
        """
        request = wire.PredictRequest()
        self._fill_spec(request.model_spec)
        request.model_spec.signature_name = signature.name
        for name, array in inputs.items():
            fill(request.inputs[name], array)
        try:
            response = self._send(self._predict, request)
        except ServingError as error:
            if error.code is Code.INVALID_ARGUMENT:
                # A newer version may take other inputs than the one that was asked; ask again next time.
                self._signatures = None
            raise
        return {name: read(tensor) for name, tensor in response.outputs.items()}

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def _fill_spec(self, spec: Any) -> None:
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version

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
            raise self._failure(error) from None

    def _failure(self, error: Any) -> ServingError:
        code, details = error.code(), error.details()
        if code is Code.DEADLINE_EXCEEDED:
            details = f"no answer within {self.timeout_s:g} s ({details})"
        elif code is Code.UNAVAILABLE:
            details = f"cannot be reached ({details}). Does a server run there?"
        elif code is Code.INVALID_ARGUMENT and not self.model and "ModelSpec" in details:
            # TensorFlow Serving may have many models, and wants a name.
            details += ". Name the model: Recommender(target, model=...)"
        return ServingError(code, f"{self.target}: {code.name}: {details}")
