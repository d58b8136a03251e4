"""TensorFlow Serving's PredictionService: Predict and GetModelMetadata."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf import any_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

from serving.batching import Batcher
from serving.observing import note, request_id
from serving.requests import outputs_wanted, read_request, signature_of, write_response
from serving.status import Code, ServingError
from serving.versions import Versions

log = logging.getLogger("tfrec.serving")

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
                deadline = _deadline(context)
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


@contextlib.asynccontextmanager
async def answering(context: Any) -> AsyncIterator[None]:
    """Turns what goes wrong inside the block into a status code; a traceback goes to the log alone."""
    try:
        yield
    except ServingError as error:
        await context.abort(error.code, str(error))
    except Exception:
        log.exception("the request %s failed", request_id(), extra={"request_id": request_id()})
        await context.abort(Code.INTERNAL, "the server failed on this request; its log says why")


def _deadline(context: Any) -> float:
    remaining = context.time_remaining()
    return asyncio.get_running_loop().time() + remaining if remaining is not None else float("inf")


def _invalid(text: str) -> ServingError:
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, text)
