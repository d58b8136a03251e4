"""PredictRequest -> arrays that fit the signature, or an error that says what was expected."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.loading import Servable
from serving.signatures import AXIS_MEANINGS, SEQUENCE, Signature, TensorSpec
from serving.status import Code, ServingError
from serving.tensors import Array, dtype_name, fill, read
from tfrec.errors import DataError
from tfrec.servable import DEFAULT_SIGNATURE


def signature_of(servable: Servable, request: Any) -> Signature:
    """The signature that a request names, or the default one.

    Raises:
        ServingError: FAILED_PRECONDITION, as in TensorFlow Serving, where the version has no such one.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in servable.signatures:
        raise ServingError(
            Code.FAILED_PRECONDITION,
            f'Serving signature key "{name}" not found. The version has {sorted(servable.signatures)}.',
        )
    return servable.signatures[name]


def read_request(request: Any, signature: Signature) -> tuple[dict[str, Array], int]:
    """The inputs of a request, and how many users it asks for (B).

    Raises:
        ServingError: INVALID_ARGUMENT, for a name, dtype, shape or length that the signature does not take.
    """
    _check_names(request.inputs, signature)
    inputs = {}
    sizes: dict[str, tuple[str, int]] = {}
    axes = signature.input_axes
    for name, spec in signature.inputs.items():
        inputs[name] = array = _read_input(name, request.inputs[name], spec)
        shape = array.shape
        _check_same(sizes, "B", "users", name, shape[0])
        if axis := axes[name]:
            _check_same(sizes, axis, AXIS_MEANINGS[axis], name, shape[1])
    rows = sizes["B"][1]
    if rows == 0:
        raise _invalid("the request holds no users: every input has 0 rows")
    if "length" in inputs and SEQUENCE in sizes:
        _check_lengths(inputs["length"], sizes[SEQUENCE][1])
    return inputs, rows


def outputs_wanted(request: Any, signature: Signature) -> list[str]:
    """The outputs to reply with: those of the request's filter, or all.

    Raises:
        ServingError: INVALID_ARGUMENT, where the filter names an unknown output, or one twice.
    """
    wanted = list(request.output_filter)
    if not wanted:
        return list(signature.outputs)
    for place, name in enumerate(wanted):
        if name not in signature.outputs:
            raise _invalid(
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {{{', '.join(signature.outputs)}}}."
            )
        if name in wanted[:place]:
            raise _invalid(f"duplicate output tensor alias: {name}")
    return wanted


def write_response(response: Any, outputs: Mapping[str, Array], wanted: list[str]) -> None:
    """Fills the outputs of a PredictResponse."""
    for name in wanted:
        fill(response.outputs[name], outputs[name])


def _read_input(name: str, proto: Any, spec: TensorSpec) -> Array:
    found = dtype_name(proto.dtype)
    if found != spec.dtype:
        raise _invalid(f'input "{name}": expected {spec}, found {found}')
    try:
        array = read(proto)
    except DataError as error:
        raise _invalid(f'input "{name}" {error}') from None
    if not array.shape or not spec.fits(array.shape):
        raise _invalid(f'input "{name}": expected {spec}, found {found} {list(array.shape)}')
    return array


def _check_names(found: Mapping[str, Any], signature: Signature) -> None:
    expected = signature.inputs
    if len(found) == len(expected) and all(name in found for name in expected):
        return
    extra, missing = sorted(set(found) - set(expected)), sorted(set(expected) - set(found))
    raise _invalid(
        f"input size does not match signature: {len(found)}!={len(expected)} "
        f"Sent extra: {{{','.join(extra)}}}. Missing but required: {{{','.join(missing)}}}. "
        f'Signature "{signature.name}" takes '
        + ", ".join(f'"{name}" {spec}' for name, spec in expected.items())
    )


def _check_same(sizes: dict[str, tuple[str, int]], axis: str, meaning: str, name: str, size: int) -> None:
    """The inputs that share an axis must agree on its size."""
    first, expected = sizes.setdefault(axis, (name, size))
    if size != expected:
        raise _invalid(
            f'input "{name}": expected {expected} {meaning} ({axis}) as in "{first}", found {size}'
        )


def _check_lengths(length: Array, events: int) -> None:
    given = length.tolist()
    if min(given) < 0 or max(given) > events:
        row = int(np.flatnonzero((length < 0) | (length > events))[0])
        raise _invalid(
            f'input "length": expected 0 to {events}, the events of the request, '
            f"found {given[row]} in row {row}"
        )


def _invalid(text: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, text)
