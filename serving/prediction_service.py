"""TensorFlow Serving's PredictionService: Predict and GetModelMetadata."""

from typing import Any

import grpc
from google.protobuf import any_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

from serving.batching import Batcher
from serving.calls import answering, deadline_of
from serving.observing import note
from serving.requests import outputs_wanted, read_request, signature_of, write_response
from serving.status import ServingError
from serving.versions import Versions

SIGNATURE_DEF = "signature_def"


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers requests with the versions of one model.

    Classify, Regress and MultiInference, which take tf.Example, are UNIMPLEMENTED.
    """

    def __init__(self, versions: Versions, batcher: Batcher) -> None:
        self._versions = versions
        self._batcher = batcher

    async def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802, the protocol's name
        """Computes a signature of the newest version, or of the one named, in a batch with others."""
        async with answering(context):
            with self._versions.use(request.model_spec) as servable:
                signature = signature_of(servable, request)
                note(signature=signature.name)
                wanted = outputs_wanted(request, signature)
                inputs, rows = read_request(request, signature)
                note(users=rows)
                deadline = deadline_of(context)
                outputs = await self._batcher.submit(servable, signature, inputs, rows, deadline)
            response = predict_pb2.PredictResponse()
            self._fill_spec(response, servable.version)
            response.model_spec.signature_name = signature.name
            write_response(response, outputs, wanted)
            return response

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The signatures of a version, with their tensors."""
        async with answering(context):
            if not request.metadata_field:
                raise _invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for name in request.metadata_field:
                if name != SIGNATURE_DEF:
                    raise _invalid(f"Metadata field {name} is not supported")
            with self._versions.use(request.model_spec) as servable:
                signatures = get_model_metadata_pb2.SignatureDefMap()
                for name, definition in servable.signature_defs.items():
                    signatures.signature_def[name].CopyFrom(definition)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            self._fill_spec(response, servable.version)
            packed = any_pb2.Any()
            packed.Pack(signatures)
            response.metadata[SIGNATURE_DEF].CopyFrom(packed)
            return response

    def _fill_spec(self, response: Any, version: int) -> None:
        response.model_spec.name = self._versions.name
        response.model_spec.version.value = version


def _invalid(text: str) -> ServingError:
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, text)
