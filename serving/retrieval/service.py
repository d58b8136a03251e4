"""TensorFlow Serving's PredictionService over a retriever, with messages of our own."""

from collections.abc import Mapping
from typing import Any

import grpc

from serving import wire
from serving.calls import answering, deadline_of
from serving.observing import note
from serving.requests import outputs_wanted, read_request, write_response
from serving.retrieval.encoder import Encoder, Signatures
from serving.retrieval.fallback import FallbackAnswers
from serving.retrieval.filters import check_users, take_filters, with_filters
from serving.retrieval.indexes import Indexes
from serving.retrieval.retriever import Answer, Retriever
from serving.status import Code, ServingError
from serving.tensors import Array
from tfrec.servable import DEFAULT_SIGNATURE, SIGNATURES

INDEX_VERSION = "tfrec-index-version"
FALLBACK = "tfrec-fallback"
"""Keys of an answer's trailing metadata."""
SIGNATURE_DEF = "signature_def"
AWAY = (Code.UNAVAILABLE,)


class RetrievalService:
    """Answers `recommend` by the retriever; `encode` and `rank` are the encoder's.

    Args:
        name: of the model in requests.
        encoder: embeds and ranks.
        indexes: for their newest version.
        retriever: answers.
        fallback: without the encoder.
        max_users: that may be asked for at a time.
    """

    def __init__(
        self,
        name: str,
        encoder: Encoder,
        indexes: Indexes,
        retriever: Retriever,
        fallback: FallbackAnswers,
        max_users: int,
    ) -> None:
        self._name = name
        self._encoder, self._indexes, self._retriever = encoder, indexes, retriever
        self._fallback = fallback
        self._max_users = max_users
        self._users = 0
        self._known: Signatures | None = None

    @property
    def users(self) -> int:
        """Who are being answered."""
        return self._users

    def handler(self) -> Any:
        """Returns gRPC's handler of the service."""

        def unary(method: Any, request: Any, response: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=request.FromString,
                response_serializer=response.SerializeToString,
            )

        methods = {
            "Predict": unary(self.predict, wire.PredictRequest, wire.PredictResponse),
            "GetModelMetadata": unary(
                self.get_model_metadata, wire.GetModelMetadataRequest, wire.GetModelMetadataResponse
            ),
        }
        return grpc.method_handlers_generic_handler(wire.SERVICE, methods)

    async def predict(self, request: Any, context: Any) -> Any:
        """Computes a signature of the version asked for."""
        async with answering(context):
            self._check_name(request.model_spec)
            deadline = deadline_of(context)
            signatures, away = await self._signatures(request.model_spec, deadline)
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            if name not in signatures.by_name or not set(SIGNATURES) <= set(signatures.by_name):
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f'Serving signature key "{name}" not found. '
                    f"The version has {sorted(signatures.by_name)}.",
                )
            signature = signatures.by_name[name]
            note(signature=name)
            wanted = outputs_wanted(request, signature)
            recommends = name in ("recommend", DEFAULT_SIGNATURE)
            filters = take_filters(request, self._indexes.columns) if recommends else {}
            try:
                inputs, rows = read_request(request, signature)
            except ServingError:
                # A newer version may take other inputs than those that are known; the next call asks it.
                self._encoder.forget()
                raise
            note(users=rows)
            check_users(filters, rows)
            self._enter(rows)
            try:
                if recommends:
                    answer = await self._recommend(
                        request.model_spec, signatures, inputs | filters, rows, deadline, away=away
                    )
                else:
                    found = await self._encoder.predict(request.model_spec, signature, inputs, rows, deadline)
                    answer = Answer(found.outputs, found.version, 0)
            finally:
                self._users -= rows
            marks = [(INDEX_VERSION, str(answer.index_version))] if answer.index_version else []
            marks += [(FALLBACK, "true")] if answer.fallback else []
            context.set_trailing_metadata((*(context.trailing_metadata() or ()), *marks))
            response = wire.PredictResponse()
            response.model_spec.name = self._name
            response.model_spec.signature_name = name
            if answer.model_version:
                response.model_spec.version.value = answer.model_version
            write_response(response, answer.outputs, wanted)
            return response

    async def get_model_metadata(self, request: Any, context: Any) -> Any:
        """The signatures of a version, with their tensors."""
        async with answering(context):
            self._check_name(request.model_spec)
            if not request.metadata_field:
                text = "GetModelMetadataRequest must specify at least one metadata_field"
                raise ServingError(Code.INVALID_ARGUMENT, text)
            for name in request.metadata_field:
                if name != SIGNATURE_DEF:
                    raise ServingError(Code.INVALID_ARGUMENT, f"Metadata field {name} is not supported")
            signatures, _ = await self._signatures(request.model_spec, deadline_of(context))
            response = wire.GetModelMetadataResponse()
            response.model_spec.name = self._name
            response.model_spec.version.value = signatures.version
            packed = response.metadata[SIGNATURE_DEF]
            packed.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
            packed.value = with_filters(signatures.packed, self._indexes.columns)
            return response

    async def _recommend(
        self,
        spec: Any,
        signatures: Signatures,
        inputs: Mapping[str, Array],
        rows: int,
        deadline: float,
        *,
        away: bool,
    ) -> Answer:
        if away:
            return await self._retriever.without_encoder(signatures, inputs, deadline)
        try:
            try:
                return await self._retriever.recommend(spec, signatures, inputs, rows, deadline)
            except ServingError as error:
                if error.code is not Code.NOT_FOUND or spec.HasField("version"):
                    raise
                # A newer version took over between the encoder's two answers.
                signatures, _ = await self._signatures(spec, deadline)
                return await self._retriever.recommend(spec, signatures, inputs, rows, deadline)
        except ServingError as error:
            if error.code in AWAY and self._fallback.available:
                return await self._retriever.without_encoder(signatures, inputs, deadline)
            raise

    async def _signatures(self, spec: Any, deadline: float) -> tuple[Signatures, bool]:
        """The signatures of a version; and whether the encoder is away, and these are as last known."""
        try:
            self._known = await self._encoder.signatures(spec, deadline)
        except ServingError as error:
            if error.code not in AWAY or not self._fallback.available or self._known is None:
                raise
            return self._known, True
        return self._known, False

    def _check_name(self, spec: Any) -> None:
        if spec.name not in ("", self._name):
            raise ServingError(Code.NOT_FOUND, f"Servable not found for request: Latest({spec.name})")

    def _enter(self, rows: int) -> None:
        # Where nobody is being answered, a request of any size may come in: it would never find more room.
        if self._users and self._users + rows > self._max_users:
            raise ServingError(
                Code.RESOURCE_EXHAUSTED,
                f"overloaded: {self._users} users are being answered, of at most {self._max_users}, and the "
                f"request holds {rows}. Try again later, or on another replica.",
            )
        self._users += rows
