"""Arrays as TensorProto and back, for the official messages and for those of `serving.wire` alike.

TensorFlow's own converters would do the same, but bring TensorFlow into the client, and copy each
tensor through Python lists where the bytes can be taken as they are.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import DataError

Array = NDArray[Any]

MAX_ELEMENTS = 1 << 24
"""A tensor of more elements is refused: a few bytes on the wire may claim a shape of any size."""

MAX_AXES = 8
"""A tensor of more axes is refused; servables have two, and NumPy takes no more than 64."""

# TensorFlow's number of a dtype: (its name, the array's dtype, the field of values that are no bytes).
_KINDS: dict[int, tuple[str, Any, str]] = {
    1: ("float32", np.float32, "float_val"),
    2: ("float64", np.float64, "double_val"),
    3: ("int32", np.int32, "int_val"),
    7: ("string", np.object_, "string_val"),
    9: ("int64", np.int64, "int64_val"),
    10: ("bool", np.bool_, "bool_val"),
}
_NUMBERS = {np.dtype(kind): number for number, (_, kind, _) in _KINDS.items()}
_BY_NAME = {name: np.dtype(kind) for name, kind, _ in _KINDS.values()}


def dtype_name(number: int) -> str:
    """TensorFlow's name of a dtype, or `DataType NUMBER` for one that no servable of tfrec has."""
    return _KINDS[number][0] if number in _KINDS else f"DataType {number}"


def array_dtype(name: str) -> np.dtype[Any]:
    """The dtype of the arrays that hold a TensorFlow dtype; strings are objects, of `bytes`.

    Raises:
        DataError: no servable of tfrec has this dtype.
    """
    if name not in _BY_NAME:
        raise DataError(f"expected a dtype among {', '.join(_BY_NAME)}, found {name}")
    return _BY_NAME[name]


def fill(proto: Any, array: Array) -> None:
    """Writes an array into an empty TensorProto; strings are an object array of `bytes`."""
    proto.dtype = _NUMBERS[array.dtype]
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype == np.object_:
        proto.string_val.extend(array.ravel().tolist())
    else:
        proto.tensor_content = array.tobytes()


def read(proto: Any) -> Array:
    """The array of a TensorProto: read-only where its bytes could be taken as they are.

    As in TensorFlow, fewer values than the shape has places mean that the last one goes on.

    Raises:
        DataError: dtype, shape and values do not fit each other.
    """
    if proto.dtype not in _KINDS:
        raise DataError(f"has the dtype {dtype_name(proto.dtype)}, which no servable takes")
    name, kind, field = _KINDS[proto.dtype]
    given, content = proto.tensor_shape, proto.tensor_content
    shape, count = _shape_of(type(given), given.SerializeToString())
    if content and kind is not np.object_:
        expected = count * np.dtype(kind).itemsize
        if len(content) != expected:
            raise DataError(f"holds {len(content)} bytes, where {name} {list(shape)} has {expected}")
        return np.frombuffer(content, kind).reshape(shape)
    values = getattr(proto, field)
    if len(values) == count:
        return np.array(values[:], kind).reshape(shape)
    if not values or len(values) > count:
        raise DataError(f"holds {len(values)} values, where {name} {list(shape)} has {count}")
    array = np.full(count, values[-1], kind)
    array[: len(values)] = values[:]
    return array.reshape(shape)


_KEPT_BYTES = 64
"""of a shape that is worth keeping: axes may have names of any length"""


def _shape_of(kind: Any, content: bytes) -> tuple[tuple[int, ...], int]:
    return _kept_shape(kind, content) if len(content) <= _KEPT_BYTES else _shape(kind, content)


def _shape(kind: Any, content: bytes) -> tuple[tuple[int, ...], int]:
    """The sizes in a serialized TensorShapeProto, a message of `kind`, and the number of elements."""
    given = kind.FromString(content)
    shape = tuple(dim.size for dim in given.dim)
    return shape, _count(shape, unknown_rank=given.unknown_rank)


# Requests are of few shapes, and reading one takes as long as reading the values.
_kept_shape = functools.lru_cache(maxsize=1024)(_shape)


def _count(shape: Sequence[int], *, unknown_rank: bool) -> int:
    if unknown_rank or min(shape, default=0) < 0:
        raise DataError(
            f"has the shape {'of unknown rank' if unknown_rank else list(shape)}, not a known one"
        )
    if len(shape) > MAX_AXES:
        raise DataError(f"has {len(shape)} axes, of at most {MAX_AXES}")
    count = math.prod(shape)
    # A size may be beyond all memory though another is 0.
    if max(count, *shape, 0) > MAX_ELEMENTS:
        raise DataError(f"has the shape {list(shape)}: {count} elements, of at most {MAX_ELEMENTS}")
    return count
