"""Our small messages against the official ones of tensorflow-serving-api, byte for byte."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import any_pb2
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2

from serving import tensors, wire
from tfrec.errors import DataError

OFFICIAL = {
    "TensorShapeProto": tensor_shape_pb2.TensorShapeProto,
    "TensorProto": tensor_pb2.TensorProto,
    "TensorInfo": meta_graph_pb2.TensorInfo,
    "SignatureDef": meta_graph_pb2.SignatureDef,
    "ModelSpec": model_pb2.ModelSpec,
    "PredictRequest": predict_pb2.PredictRequest,
    "PredictResponse": predict_pb2.PredictResponse,
    "SignatureDefMap": get_model_metadata_pb2.SignatureDefMap,
    "GetModelMetadataRequest": get_model_metadata_pb2.GetModelMetadataRequest,
    "GetModelMetadataResponse": get_model_metadata_pb2.GetModelMetadataResponse,
}

SHAPES = nps.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
NUMBERS = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.bool_]).flatmap(
    lambda dtype: nps.arrays(dtype, SHAPES, elements=nps.from_dtype(np.dtype(dtype), allow_nan=False))
)
STRINGS = nps.arrays(np.object_, SHAPES, elements=st.binary(max_size=5), fill=st.nothing())
ARRAYS = NUMBERS | STRINGS


def described(field: Any) -> tuple[Any, ...]:
    """What of a field decides about its bytes, and the name by which code reaches it."""
    message = field.message_type and field.message_type.full_name
    enum = field.enum_type and field.enum_type.full_name
    oneof = field.containing_oneof and field.containing_oneof.name
    return (field.name, field.type, field.is_repeated, message, enum, oneof)


def fields(message: type[Any]) -> dict[int, tuple[Any, ...]]:
    return {field.number: described(field) for field in message.DESCRIPTOR.fields}


def filled(message: type[Any], array: np.ndarray) -> Any:
    proto = message()
    tensors.fill(proto, array)
    return proto


def raw(message: Any) -> bytes:
    return message.SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", OFFICIAL)
def test_fields_are_the_official_ones(name: str) -> None:
    ours, official = getattr(wire, name), OFFICIAL[name]
    assert ours.DESCRIPTOR.full_name == official.DESCRIPTOR.full_name
    assert fields(ours).items() <= fields(official).items()


@pytest.mark.parametrize("name", OFFICIAL)
def test_maps_are_official_maps(name: str) -> None:
    ours, official = getattr(wire, name).DESCRIPTOR, OFFICIAL[name].DESCRIPTOR
    for entry in ours.nested_types:
        same = official.nested_types_by_name[entry.name]
        assert entry.GetOptions().map_entry == same.GetOptions().map_entry
        assert {f.number: described(f) for f in entry.fields}.items() <= {
            f.number: described(f) for f in same.fields
        }.items()


def test_numbers_of_dtypes_are_the_official_ones() -> None:
    enum = wire.TensorProto.DESCRIPTOR.fields_by_name["dtype"].enum_type
    official = dict(types_pb2.DataType.items())
    assert {value.name: value.number for value in enum.values}.items() <= official.items()


@given(ARRAYS)
def test_a_tensor_has_the_bytes_of_the_official_message(array: np.ndarray) -> None:
    ours, official = filled(wire.TensorProto, array), filled(tensor_pb2.TensorProto, array)
    assert raw(ours) == raw(official)
    assert raw(wire.TensorProto.FromString(raw(official))) == raw(official)


@given(ARRAYS)
def test_tensorflow_reads_what_is_filled(array: np.ndarray) -> None:
    official = tensor_pb2.TensorProto.FromString(raw(filled(wire.TensorProto, array)))
    np.testing.assert_array_equal(tf.make_ndarray(official), array)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_a_numeric_tensor_has_the_bytes_that_tensorflow_writes(dtype: Any) -> None:
    array = np.arange(6, dtype=dtype).reshape(2, 3)
    assert raw(filled(wire.TensorProto, array)) == raw(tf.make_tensor_proto(array))


@given(ARRAYS)
def test_what_tensorflow_writes_is_read(array: np.ndarray) -> None:
    found = tensors.read(wire.TensorProto.FromString(raw(tf.make_tensor_proto(array, shape=array.shape))))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("value", [7, 2.5, True, b"x"])
def test_tensorflow_s_short_forms_are_read(value: Any) -> None:
    # One value and a larger shape: the last value goes on.
    proto = tf.make_tensor_proto(value, shape=(2, 3))
    assert tensors.read(wire.TensorProto.FromString(raw(proto))).tolist() == [[value] * 3] * 2


@given(
    st.text(max_size=8),
    st.none() | st.integers(0, 2**63 - 1) | st.text(min_size=1, max_size=5),
    st.text(max_size=8),
    st.dictionaries(st.text(max_size=4), ARRAYS, max_size=3),
    st.lists(st.text(max_size=4), max_size=2),
)
def test_a_request_has_the_bytes_of_the_official_message(
    name: str,
    version: int | str | None,
    signature: str,
    inputs: dict[str, np.ndarray],
    wanted: list[str],
) -> None:
    def request(message: type[Any]) -> Any:
        proto = message(output_filter=wanted)
        proto.model_spec.name, proto.model_spec.signature_name = name, signature
        if isinstance(version, int):
            proto.model_spec.version.value = version
        elif version is not None:
            proto.model_spec.version_label = version
        for key, array in inputs.items():
            tensors.fill(proto.inputs[key], array)
        return proto

    ours = request(wire.PredictRequest)
    official = request(predict_pb2.PredictRequest)
    assert raw(ours) == raw(official)
    assert raw(wire.PredictRequest.FromString(raw(official))) == raw(official)


def test_version_and_label_shut_each_other_out() -> None:
    spec = wire.ModelSpec(version_label="stable")
    spec.version.value = 3
    assert spec.WhichOneof("version_choice") == "version"
    assert spec.version_label == ""


def test_metadata_of_the_official_kind_are_read() -> None:
    signatures = get_model_metadata_pb2.SignatureDefMap()
    info = signatures.signature_def["recommend"].inputs["item_id"]
    info.name, info.dtype = "recommend_item_id:0", types_pb2.DT_INT64
    info.tensor_shape.dim.add(size=-1)
    info.tensor_shape.dim.add(size=-1)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    packed = any_pb2.Any()
    packed.Pack(signatures)
    response.metadata["signature_def"].CopyFrom(packed)

    ours = wire.GetModelMetadataResponse.FromString(raw(response))
    assert raw(ours) == raw(response)
    # The Any names the official type, which is ours too.
    unpacked = wire.SignatureDefMap()
    assert ours.metadata["signature_def"].Unpack(unpacked)
    found = unpacked.signature_def["recommend"].inputs["item_id"]
    assert (found.dtype, [dim.size for dim in found.tensor_shape.dim]) == (9, [-1, -1])


def test_fields_that_are_left_out_survive() -> None:
    # TensorProto.version_number and half_val: the client has no use for them, and keeps them.
    official = tensor_pb2.TensorProto(dtype=types_pb2.DT_HALF, version_number=3, half_val=[15360])
    assert raw(wire.TensorProto.FromString(raw(official))) == raw(official)


@pytest.mark.parametrize(
    ("proto", "words"),
    [
        ({"dtype": types_pb2.DT_HALF}, "DataType 19"),
        ({"dtype": types_pb2.DT_INT64, "tensor_content": b"1234567"}, "7 bytes, where int64"),
        ({"dtype": types_pb2.DT_INT64, "int64_val": [1, 2]}, "2 values, where int64"),
        ({"dtype": types_pb2.DT_INT64}, "0 values, where int64"),
        ({"dtype": types_pb2.DT_INT64, "tensor_shape": {"unknown_rank": True}}, "unknown rank"),
        ({"dtype": types_pb2.DT_INT64, "tensor_shape": {"dim": [{"size": -1}]}}, "not a known one"),
        ({"dtype": types_pb2.DT_INT64, "tensor_shape": {"dim": [{"size": 1 << 40}]}}, "of at most"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused(proto: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        tensors.read(wire.TensorProto(**proto))
