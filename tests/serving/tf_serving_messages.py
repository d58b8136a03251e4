"""Messages of TensorFlow Serving's configuration that the PyPI package tensorflow-serving-api leaves out.

Built from the names, numbers and types of the official .proto files: session_bundle_config.proto
(BatchingParameters, those of its fields that are used here), monitoring_config.proto and ssl_config.proto.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

Field = descriptor_pb2.FieldDescriptorProto
PACKAGE = "tfrec.tests.tf_serving"
BOOL, INT64, STRING = Field.TYPE_BOOL, Field.TYPE_INT64, Field.TYPE_STRING
WRAPPED_INT64, WRAPPED_STRING = ".google.protobuf.Int64Value", ".google.protobuf.StringValue"

# Message: its fields, each (name, number, type), a type in words being a message's name.
MESSAGES: dict[str, tuple[tuple[str, int, Any], ...]] = {
    "BatchingParameters": (
        ("max_batch_size", 1, WRAPPED_INT64),
        ("batch_timeout_micros", 2, WRAPPED_INT64),
        ("max_enqueued_batches", 3, WRAPPED_INT64),
        ("num_batch_threads", 4, WRAPPED_INT64),
        ("thread_pool_name", 5, WRAPPED_STRING),
        ("allowed_batch_sizes", 6, INT64),
        ("pad_variable_length_inputs", 7, BOOL),
    ),
    "PrometheusConfig": (("enable", 1, BOOL), ("path", 2, STRING)),
    "MonitoringConfig": (("prometheus_config", 1, f".{PACKAGE}.PrometheusConfig"),),
    "SSLConfig": (
        ("server_key", 1, STRING),
        ("server_cert", 2, STRING),
        ("custom_ca", 3, STRING),
        ("client_verify", 4, BOOL),
    ),
}
REPEATED = {"allowed_batch_sizes"}


def messages() -> dict[str, type[Any]]:
    """The classes of the messages, by name."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tfrec/tests/tf_serving.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            label = Field.LABEL_REPEATED if field in REPEATED else Field.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = Field.TYPE_MESSAGE, kind
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in MESSAGES
    }
