"""Requests of one signature laid into one batch, and its answers cut apart again.

The requests stand one after the other along the first axis. Where the second axis differs, the narrower
ones are padded, so that every answer is what the request alone would have got:

- events (L): with zeros and empty strings; `length` decides, padding may hold anything.
- lists of ids (to leave out, to choose from, candidates, with statistics): with the id that is no item's
  (the smallest int64, or the empty string); the answers to such candidates are cut off.
- users (B): a batch is filled up to one of few sizes by repeating its last row, so that the graph meets
  few shapes; the answers to the repeats are cut off.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.signatures import AXIS_MEANINGS, SEQUENCE, Signature
from serving.tensors import Array, array_dtype

Inputs = Mapping[str, Array]

NO_INTEGER_ID = np.iinfo(np.int64).min
NO_STRING_ID = b""

_LISTS = tuple(axis for axis in AXIS_MEANINGS if axis != SEQUENCE)
_SMALLEST_WIDTH = 8
_SHORT = 32
"""Sequences up to this length share batches."""


def clip_sequences(inputs: Inputs, signature: Signature, max_length: int) -> dict[str, Array]:
    """Keeps the newest `max_length` events of each row, all that counts; so one long request does not
    widen a batch. Where outputs have an axis of events (`encode`) nothing is cut."""
    widest = signature.of_each_axis.get(SEQUENCE)
    outputs_follow = SEQUENCE in signature.output_axes.values()
    if outputs_follow or widest is None or inputs[widest].shape[1] <= max_length:
        return dict(inputs)
    events = [name for name in inputs if signature.input_axes[name] == SEQUENCE]
    length = inputs["length"]
    first = np.maximum(length - max_length, 0)
    places = first[:, None] + np.arange(max_length)
    clipped = {name: inputs[name][np.arange(len(length))[:, None], places] for name in events}
    return {**inputs, **clipped, "length": np.minimum(length, max_length).astype(length.dtype)}


def batch_key(inputs: Inputs, signature: Signature, max_length: int) -> tuple[int, ...]:
    """Requests of one signature may share a batch where this is equal.

    Padding then costs a request at most twice its own lists of ids and, from some length on, twice its own
    sequence: what is computed of a sequence grows with the square of it.
    """
    widths = _widths([inputs], signature)
    events = widths.get(SEQUENCE, 0)
    kept = events if events > max_length else bucket(max(events, _SHORT))
    return (kept, *(bucket(widths.get(axis, 0)) for axis in _LISTS))


def events_of(key: tuple[int, ...]) -> int:
    """How many events the sequences of a batch with this key may have."""
    return key[0]


def bucket(width: int) -> int:
    """The next power of two, and at least 8."""
    return max(_SMALLEST_WIDTH, 1 << (width - 1).bit_length()) if width > 0 else _SMALLEST_WIDTH


def merge(requests: Sequence[Inputs], signature: Signature, rows: int) -> dict[str, Array]:
    """One batch of `rows` rows out of requests that have no more together."""
    widths = _widths(requests, signature)
    for axis in _LISTS:
        if widths.get(axis):
            widths[axis] = bucket(widths[axis])
    merged = {}
    for name, spec in signature.inputs.items():
        kind = signature.input_axes[name]
        shape = (rows, *spec.shape[1:]) if kind is None else (rows, widths[kind], *spec.shape[2:])
        merged[name] = _stack(
            [request[name] for request in requests], shape, spec.dtype, is_list=kind in _LISTS
        )
    return merged


def split(
    outputs: Mapping[str, Array], requests: Sequence[Inputs], signature: Signature
) -> list[dict[str, Array]]:
    """The answers of a batch, one a request, in their order."""
    axes = {name: axis for name, axis in signature.output_axes.items() if axis and name in outputs}
    answers, first = [], 0
    for request in requests:
        last = first + _rows(request)
        answer = {name: array[first:last] for name, array in outputs.items()}
        if axes:
            widths = _widths([request], signature)
            answer |= {name: answer[name][:, : widths[axis]] for name, axis in axes.items()}
        answers.append(answer)
        first = last
    return answers


def cut(inputs: Inputs, size: int) -> list[dict[str, Array]]:
    """A request of many users as several of at most `size`."""
    return [
        {name: array[first : first + size] for name, array in inputs.items()}
        for first in range(0, _rows(inputs), size)
    ]


def join(answers: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The answers to the pieces of a request as one."""
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def _rows(inputs: Inputs) -> int:
    return len(next(iter(inputs.values())))


def _widths(requests: Sequence[Inputs], signature: Signature) -> dict[str, int]:
    """The widest second axis of each kind."""
    return {
        axis: max([request[name].shape[1] for request in requests])
        for axis, name in signature.of_each_axis.items()
    }


def _stack(arrays: Sequence[Array], shape: tuple[Any, ...], dtype: str, *, is_list: bool) -> Array:
    if len(arrays) == 1 and arrays[0].shape == shape:
        return arrays[0]
    of_integers = NO_INTEGER_ID if is_list and dtype == "int64" else 0
    batch = np.full(shape, NO_STRING_ID if dtype == "string" else of_integers, array_dtype(dtype))
    first = 0
    for array in arrays:
        last = first + len(array)
        batch[(slice(first, last), *map(slice, array.shape[1:]))] = array
        first = last
    batch[first:] = batch[first - 1]
    return batch
