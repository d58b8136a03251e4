"""The inputs `filter.COLUMN` of `recommend`, which this server has beside those of the servable."""

from collections.abc import Mapping, Sequence
from typing import Any

from serving import wire
from serving.signatures import FILTER
from serving.status import Code, ServingError
from serving.tensors import Array, dtype_name, read
from tfrec.errors import DataError
from tfrec.servable import DEFAULT_SIGNATURE

STRING = 7
"""TensorFlow's number of the dtype."""


def take_filters(request: Any, columns: Sequence[str]) -> dict[str, Array]:
    """Takes the filters out of a request to `recommend`; what is left are the servable's own inputs.

    Args:
        request: a PredictRequest.
        columns: that the index filters by.

    Raises:
        ServingError: INVALID_ARGUMENT: a column is none of these, or a filter no string [B, V].
    """
    found = {}
    for name in [name for name in request.inputs if name.startswith(FILTER)]:
        proto = request.inputs[name]
        if name.removeprefix(FILTER) not in columns:
            known = ", ".join(columns) or "nothing"
            raise _invalid(f'input "{name}": the index filters by {known}; see `tfrec index --filter`')
        try:
            found[name] = read(proto)
        except DataError as error:
            raise _invalid(f'input "{name}" {error}') from None
        if dtype_name(proto.dtype) != "string" or found[name].ndim != 2:
            kind = f"{dtype_name(proto.dtype)} {list(found[name].shape)}"
            raise _invalid(f'input "{name}": expected string [?, ?], found {kind}')
        del request.inputs[name]
    return found


def check_users(filters: Mapping[str, Array], users: int) -> None:
    """Compares the rows of filters with those of the other inputs.

    Raises:
        ServingError: INVALID_ARGUMENT: there are others.
    """
    for name, array in filters.items():
        if len(array) != users:
            raise _invalid(f'input "{name}": expected {users} users (B), found {len(array)}')


def with_filters(packed: bytes, columns: Sequence[str]) -> bytes:
    """Returns a serialized SignatureDefMap with the filters among the inputs of `recommend`."""
    definitions = wire.SignatureDefMap.FromString(packed)
    for name in ("recommend", DEFAULT_SIGNATURE):
        for column in columns:
            tensor = definitions.signature_def[name].inputs[FILTER + column]
            tensor.name, tensor.dtype = f"{FILTER}{column}:0", STRING
            for _ in range(2):
                tensor.tensor_shape.dim.add(size=-1)
    content: bytes = definitions.SerializeToString()
    return content


def _invalid(text: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, text)
