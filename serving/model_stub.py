"""One model on one server, as arrays in and arrays out; failures as ServingError."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError

from serving import wire
from serving.links import Call, Link
from serving.signatures import Signature
from serving.status import Code, ServingError
from serving.tensors import Array, fill, read
from tfrec.errors import DataError, SettingsError
from tfrec.servable import STATES

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
        link: sends the calls.
        spec: which model.
    """

    def __init__(self, link: Link, spec: Any) -> None:
        self.target, self.spec = link.target, spec
        self._link = link
        self._signatures: dict[str, Signature] | None = None

    async def signature(self, name: str) -> Signature:
        """What a signature takes and gives, which the server is asked for once.

        Raises:
            DataError: the model has no such signature, or not as tfrec writes it.
            ServingError: the server does not answer, or not with OK.
        """
        signatures = self._signatures
        if signatures is None:
            signatures = self._signatures = await self._ask_signatures()
        found = signatures.get(name)
        if found is None or not (set(found.inputs) >= _INPUTS and _OUTPUTS[name] <= set(found.outputs)):
            raise DataError(
                f"{self.target}: the model {self.spec.name!r} has no signature {name!r} as tfrec exports it; "
                f"found the signatures {sorted(signatures)}. Is it a servable of `tfrec export`?"
            )
        return found

    async def predict(self, signature: Signature, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a signature; those that the client reads are among them.

        Raises:
            ServingError: the server does not answer, or not with OK, or not with arrays.
        """
        request = wire.PredictRequest(model_spec=self.spec)
        request.model_spec.signature_name = signature.name
        if any(name in signature.outputs for name in STATES):
            request.output_filter.extend(name for name in signature.outputs if name not in STATES)
        for name, array in inputs.items():
            fill(request.inputs[name], array)
        try:
            answer = await self._link.send(Call("Predict", request.SerializeToString(), signature.name))
        except ServingError as error:
            if error.code is Code.INVALID_ARGUMENT:
                # A newer version may take other inputs than the one that was asked; ask again next time.
                self.forget()
            raise
        outputs = {}
        for name, tensor in sorted(self._message(wire.PredictResponse, answer).outputs.items()):
            try:
                outputs[name] = read(tensor)
            except DataError as error:
                raise self.misunderstood(f"output {name!r} {error}") from None
        missing = _OUTPUTS[signature.name] - set(outputs)
        if missing:
            raise self.misunderstood(f"expected the outputs {sorted(missing)}, found {sorted(outputs)}")
        return outputs

    def forget(self) -> None:
        """Lets the next `signature` ask the server again."""
        self._signatures = None

    def misunderstood(self, words: str) -> ServingError:
        """The error for an answer that no servable of tfrec gives."""
        text = f"{self.target}: the answer cannot be read: {words}. Is it a servable of `tfrec export`?"
        return ServingError(Code.INTERNAL, text)

    async def _ask_signatures(self) -> dict[str, Signature]:
        request = wire.GetModelMetadataRequest(model_spec=self.spec, metadata_field=[_METADATA])
        answer = await self._link.send(Call("GetModelMetadata", request.SerializeToString()))
        packed = self._message(wire.GetModelMetadataResponse, answer).metadata[_METADATA].value
        definitions = self._message(wire.SignatureDefMap, packed).signature_def
        return {key: Signature.from_proto(key, definitions[key]) for key in definitions}

    def _message(self, kind: Any, content: bytes) -> Any:
        try:
            return kind.FromString(content)
        except DecodeError:
            raise self.misunderstood(f"{len(content)} bytes that are no {kind.DESCRIPTOR.name}") from None
