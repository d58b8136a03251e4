"""What a tool like grpcurl reads of the retrieval server, without a file of its protocol."""

from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from serving import wire
from tests.serving.faults.pair import NAME, write_pair_index, write_servable
from tests.serving.retrieval.asking import Ask


def test_services_are_listed_and_called_by_name(ask: Ask, tmp_path: Path) -> None:
    write_pair_index(tmp_path / "indexes" / NAME)
    write_servable(tmp_path / "servables" / NAME)
    asked = ask(tmp_path / "indexes" / NAME, servable=tmp_path / "servables" / NAME, name=NAME)
    channel = asked.caller.channel
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    assert services == {
        wire.SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    pool: Any = DescriptorPool(database)
    service = pool.FindServiceByName(wire.SERVICE)
    assert [method.name for method in service.methods] == ["Predict", "GetModelMetadata"]
    method = service.FindMethodByName("GetModelMetadata")
    request, response = (GetMessageClass(kind) for kind in (method.input_type, method.output_type))
    call = channel.unary_unary(
        f"/{service.full_name}/{method.name}",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )
    assert call(request(metadata_field=["signature_def"]), timeout=30).model_spec.name == NAME
    health = pool.FindServiceByName("grpc.health.v1.Health")
    assert health.FindMethodByName("Check").input_type.fields_by_name["service"].number == 1
