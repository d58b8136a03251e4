import tracemalloc
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow.core.framework.tensor_pb2 import TensorProto

from serving import wire
from serving.tensors import fill, read
from tfrec.errors import DataError

KINDS = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.bool_])
ARRAYS = KINDS.flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, min_side=0)))
TEXTS = arrays.arrays(
    object, arrays.array_shapes(min_side=0), elements=st.binary(max_size=5), fill=st.nothing()
)


@given(array=ARRAYS | TEXTS)
@pytest.mark.parametrize("kind", [TensorProto, wire.TensorProto])
def test_tensorflow_reads_what_is_written(kind: Any, array: np.ndarray) -> None:
    proto = kind()
    fill(proto, array)
    official = TensorProto.FromString(proto.SerializeToString())
    np.testing.assert_array_equal(tf.make_ndarray(official), array)
    np.testing.assert_array_equal(read(proto), array)


@given(array=ARRAYS | TEXTS)
def test_what_tensorflow_writes_is_read(array: np.ndarray) -> None:
    found = read(tf.make_tensor_proto(array))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_the_last_value_goes_on() -> None:
    proto = tf.make_tensor_proto(7, tf.int64, [2, 3])
    assert len(proto.int64_val) == 1
    assert read(proto).tolist() == [[7] * 3] * 2


@pytest.mark.parametrize(
    ("values", "text"),
    [([], r"holds 0 values, where int64 \[2\] has 2"), ([1, 2, 3], "holds 3 values")],
)
def test_values_that_do_not_fill_the_shape(values: list[int], text: str) -> None:
    proto = TensorProto(dtype=tf.int64.as_datatype_enum, int64_val=values)
    proto.tensor_shape.dim.add(size=2)
    with pytest.raises(DataError, match=text):
        read(proto)


def test_a_shape_of_unknown_rank() -> None:
    proto = TensorProto(dtype=tf.int64.as_datatype_enum, int64_val=[1])
    proto.tensor_shape.unknown_rank = True
    with pytest.raises(DataError, match="unknown rank"):
        read(proto)


def test_a_shape_s_long_names_are_not_kept() -> None:
    tracemalloc.start()
    for number in range(20):
        proto = TensorProto(dtype=tf.int64.as_datatype_enum, int64_val=[1, 2])
        proto.tensor_shape.dim.add(size=2, name=f"{number}" * 1_000_000)
        assert read(proto).tolist() == [1, 2]
    del proto
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000
