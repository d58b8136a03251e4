"""Bytes that nobody meant, as requests to the retrieval server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from serving import wire
from serving.retrieval.server import running
from serving.retrieval.settings import RetrievalSettings
from serving.server import Server
from tests.serving.callers import Caller, request_of, sequences
from tests.serving.faults.pair import NAME
from tests.serving.test_fuzz import ANY_REQUEST, PREDICT, REFUSALS, VALUES, damaged

METADATA = f"/{wire.SERVICE}/GetModelMetadata"
WHOLE = sequences([[101], [102, 103]])


def filtered(values: Any) -> bytes:
    """A request whose filter is anything."""
    request = wire.PredictRequest.FromString(request_of(WHOLE).SerializeToString())
    request.inputs["filter.colour"].CopyFrom(values)
    return bytes(request.SerializeToString())


ANY_METADATA = st.binary(max_size=64) | damaged(
    wire.GetModelMetadataRequest(
        model_spec={"name": NAME}, metadata_field=["signature_def"]
    ).SerializeToString()
)


@pytest.fixture(scope="module")
def caller(shop: Path, encoder: Server) -> Iterator[Caller]:
    settings = RetrievalSettings(shop / "indexes" / NAME, encoder=f"localhost:{encoder.port}", port=0)
    with running(settings) as server:
        found = Caller(f"localhost:{server.port}")
        yield found
        found.channel.close()


def check(caller: Caller, method: str, content: bytes, response: Any) -> None:
    """Fails where the server does, or where it refuses with a code that says it is its own fault."""
    call = caller.channel.unary_unary(method).future(content, timeout=60)
    if call.code() is grpc.StatusCode.OK:
        assert response.FromString(call.result()).model_spec.version.value == 1
    else:
        assert call.code() in REFUSALS, call.details()
        assert "Traceback" not in call.details()
    assert caller.health.Check(HealthCheckRequest()).status == HealthCheckResponse.SERVING


@settings(max_examples=300)
@given(content=ANY_REQUEST | VALUES.map(filtered))
def test_any_bytes_as_a_request_to_predict(caller: Caller, content: bytes) -> None:
    check(caller, PREDICT, content, wire.PredictResponse)


@settings(max_examples=100)
@given(content=ANY_METADATA)
def test_any_bytes_as_a_question_for_metadata(caller: Caller, content: bytes) -> None:
    check(caller, METADATA, content, wire.GetModelMetadataResponse)
