"""Server reflection, so that tools like grpcurl can list the services and call them by name."""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection

# Imported for their descriptors, which the services below are described with.
from tensorflow_serving.apis import (  # noqa: F401
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

PACKAGE = "tensorflow.serving"

# Service: (its file, {method: stem of its messages' names}, the files that define these).
_SERVICES = {
    "PredictionService": (
        "prediction_service",
        {
            "Classify": "Classification",
            "Regress": "Regression",
            "Predict": "Predict",
            "MultiInference": "MultiInference",
            "GetModelMetadata": "GetModelMetadata",
        },
        ("classification", "get_model_metadata", "inference", "predict", "regression"),
    ),
    "ModelService": (
        "model_service",
        {"GetModelStatus": "GetModelStatus", "HandleReloadConfigRequest": "ReloadConfig"},
        ("get_model_status", "model_management"),
    ),
}
SERVICE_NAMES = tuple(f"{PACKAGE}.{name}" for name in _SERVICES)


def enable(server: Any, others: tuple[str, ...]) -> None:
    """Lets a server describe TensorFlow Serving's services, and others that are in the default pool."""
    pool = descriptor_pool.Default()
    for name in _SERVICES:
        _describe(pool, name)
    reflection.enable_server_reflection((*SERVICE_NAMES, *others, reflection.SERVICE_NAME), server)


def _describe(pool: Any, name: str) -> None:
    """Adds a service to the pool.

    The official modules that would do so (model_service_pb2, prediction_service_pb2) set an attribute that
    protobuf has made read-only, and cannot be imported.
    """
    stem, methods, imports = _SERVICES[name]
    file = descriptor_pb2.FileDescriptorProto(
        name=f"tensorflow_serving/apis/{stem}.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=[f"tensorflow_serving/apis/{file}.proto" for file in imports],
    )
    file.options.cc_enable_arenas = True
    service = file.service.add(name=name)
    for method, messages in methods.items():
        service.method.add(
            name=method,
            input_type=f".{PACKAGE}.{messages}Request",
            output_type=f".{PACKAGE}.{messages}Response",
        )
    pool.AddSerializedFile(file.SerializeToString())
