"""Server reflection, so that tools like grpcurl can list the services and call them by name."""

from typing import Any

from google.protobuf import descriptor_pb2
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from serving import wire

METHODS = ("Predict", "GetModelMetadata")
_FILE = "tfrec/wire/prediction_service.proto"


def enable(server: Any) -> None:
    """Lets a server describe what it answers: prediction, health and reflection itself."""
    names = (wire.SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, pool=_pool())


def _pool() -> Any:
    """The messages of `serving.wire` with the service that takes them, and gRPC's own services."""
    pool = wire.build_pool()
    package, _, name = wire.SERVICE.rpartition(".")
    file = descriptor_pb2.FileDescriptorProto(
        name=_FILE, package=package, syntax="proto3", dependency=[wire.SERVING_FILE]
    )
    service = file.service.add(name=name)
    for method in METHODS:
        service.method.add(
            name=method, input_type=f".{package}.{method}Request", output_type=f".{package}.{method}Response"
        )
    for serialized in (
        file.SerializeToString(),
        health_pb2.DESCRIPTOR.serialized_pb,
        reflection_pb2.DESCRIPTOR.serialized_pb,
    ):
        pool.AddSerializedFile(serialized)
    return pool
