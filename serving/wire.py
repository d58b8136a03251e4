"""The part of TensorFlow Serving's wire format that the client speaks, as small messages of our own.

The official `tensorflow-serving-api` brings TensorFlow along; these messages need protobuf alone. They
have the official names, field numbers and types, and live in a descriptor pool of their own, so that
both can be loaded in one process. Fields that a client of a recommender never touches are left out; a
message read from the wire keeps them as unknown fields.

Source: the .proto files of TensorFlow 2.20 (tensorflow/core/framework, tensorflow/core/protobuf) and
TensorFlow Serving 2.20 (tensorflow_serving/apis).
"""

import re
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

_Field = descriptor_pb2.FieldDescriptorProto

SERVING_FILE = "tfrec/wire/serving.proto"
"""Name of the file that defines the messages of TensorFlow Serving's API."""

_MAP = re.compile(r"map<string, (?P<value>.+)>")
_SCALARS = {
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "float": _Field.TYPE_FLOAT,
    "double": _Field.TYPE_DOUBLE,
    "bool": _Field.TYPE_BOOL,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
}
_ENUMS = {
    "tensorflow.DataType": {
        "DT_INVALID": 0,
        "DT_FLOAT": 1,
        "DT_DOUBLE": 2,
        "DT_INT32": 3,
        "DT_STRING": 7,
        "DT_INT64": 9,
        "DT_BOOL": 10,
    }
}

# Message: {field: (number, type)}; a type in brackets is repeated. A message stands after those it names.
_TENSORFLOW = {
    "TensorShapeProto.Dim": {"size": (1, "int64"), "name": (2, "string")},
    "TensorShapeProto": {"dim": (2, "[tensorflow.TensorShapeProto.Dim]"), "unknown_rank": (3, "bool")},
    "TensorProto": {
        "dtype": (1, "tensorflow.DataType"),
        "tensor_shape": (2, "tensorflow.TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "[float]"),
        "double_val": (6, "[double]"),
        "int_val": (7, "[int32]"),
        "string_val": (8, "[bytes]"),
        "int64_val": (10, "[int64]"),
        "bool_val": (11, "[bool]"),
    },
    "TensorInfo": {
        "name": (1, "string"),
        "dtype": (2, "tensorflow.DataType"),
        "tensor_shape": (3, "tensorflow.TensorShapeProto"),
    },
    "SignatureDef": {
        "inputs": (1, "map<string, tensorflow.TensorInfo>"),
        "outputs": (2, "map<string, tensorflow.TensorInfo>"),
        "method_name": (3, "string"),
    },
}
_SERVING = {
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "google.protobuf.Int64Value"),
        "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
    "PredictRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "inputs": (2, "map<string, tensorflow.TensorProto>"),
        "output_filter": (3, "[string]"),
    },
    "PredictResponse": {
        "outputs": (1, "map<string, tensorflow.TensorProto>"),
        "model_spec": (2, "tensorflow.serving.ModelSpec"),
    },
    "SignatureDefMap": {"signature_def": (1, "map<string, tensorflow.SignatureDef>")},
    "GetModelMetadataRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "metadata_field": (2, "[string]"),
    },
    "GetModelMetadataResponse": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "metadata": (2, "map<string, google.protobuf.Any>"),
    },
}
_ONEOFS: dict[str, dict[str, tuple[str, ...]]] = {
    "ModelSpec": {"version_choice": ("version", "version_label")},
    "TensorInfo": {"encoding": ("name",)},
}


def _file(
    name: str, package: str, imports: list[str], messages: dict[str, dict[str, tuple[int, str]]]
) -> Any:
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=imports)
    for full, values in _ENUMS.items():
        if full.rpartition(".")[0] == package:
            enum = file.enum_type.add(name=full.rpartition(".")[2])
            for value, number in values.items():
                enum.value.add(name=value, number=number)
    for path, fields in messages.items():
        outer, _, inner = path.rpartition(".")
        if outer:
            parent = file.message_type.add(name=outer)
            message = parent.nested_type.add(name=inner)
        else:
            known = [message for message in file.message_type if message.name == inner]
            message = known[0] if known else file.message_type.add(name=inner)
        for field, (number, kind) in fields.items():
            _add_field(message, f"{package}.{path}", field, number, kind)
        for place, (oneof, members) in enumerate(_ONEOFS.get(path, {}).items()):
            message.oneof_decl.add(name=oneof)
            for member in message.field:
                if member.name in members:
                    member.oneof_index = place
    return file


def _add_field(message: Any, path: str, name: str, number: int, kind: str) -> None:
    entry_of = _MAP.fullmatch(kind)
    repeated = kind.startswith("[") or entry_of is not None
    field = message.field.add(
        name=name, number=number, label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    )
    if entry_of:
        # A map is a repeated message of key and value; protoc names it so.
        entry = message.nested_type.add(name="".join(part.title() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _add_field(entry, "", "key", 1, "string")
        _add_field(entry, "", "value", 2, entry_of["value"])
        kind = f"{path}.{entry.name}"
    kind = kind.strip("[]")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Field.TYPE_ENUM if kind in _ENUMS else _Field.TYPE_MESSAGE
        field.type_name = f".{kind}"


def build_pool() -> Any:
    """Returns a new descriptor pool with the messages of this module."""
    pool = descriptor_pool.DescriptorPool()
    for known in (wrappers_pb2, any_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    tensors = "tfrec/wire/tensorflow.proto"
    google = [wrappers_pb2.DESCRIPTOR.name, any_pb2.DESCRIPTOR.name]
    for file in (
        _file(tensors, "tensorflow", [], _TENSORFLOW),
        _file(SERVING_FILE, "tensorflow.serving", [tensors, *google], _SERVING),
    ):
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_pool = build_pool()


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(name))


TensorShapeProto = _message("tensorflow.TensorShapeProto")
TensorProto = _message("tensorflow.TensorProto")
TensorInfo = _message("tensorflow.TensorInfo")
SignatureDef = _message("tensorflow.SignatureDef")
ModelSpec = _message("tensorflow.serving.ModelSpec")
PredictRequest = _message("tensorflow.serving.PredictRequest")
PredictResponse = _message("tensorflow.serving.PredictResponse")
SignatureDefMap = _message("tensorflow.serving.SignatureDefMap")
GetModelMetadataRequest = _message("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse = _message("tensorflow.serving.GetModelMetadataResponse")

SERVICE = "tensorflow.serving.PredictionService"
