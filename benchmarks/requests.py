"""Requests to a servable, made up of its own items."""

import numpy as np

from serving import wire
from serving.loading import Servable
from serving.signatures import SEQUENCE
from serving.tensors import Array, array_dtype, fill

NOW = 1_700_000_000


def random_inputs(servable: Servable, users: int, seed: int, events: int | None = None) -> dict[str, Array]:
    """Sequences for `recommend`, of items that the servable itself recommends.

    Args:
        servable: to be asked.
        users: how many sequences.
        seed: of what is drawn.
        events: of each sequence; None: as many as the servable reads.
    """
    rng = np.random.default_rng(seed)
    empty = _inputs(servable, 1, 1) | {"length": np.zeros(1, np.int32)}
    known = servable.run("recommend", empty)["item_id"][0]
    length = servable.info.max_length if events is None else events
    inputs = _inputs(servable, users, length)
    gaps = rng.integers(1, 86_400, (users, length))
    inputs["item_id"] = rng.choice(known, (users, length))
    inputs["time"] = NOW - np.cumsum(gaps[:, ::-1], axis=1)[:, ::-1]
    inputs["event_type"][:] = (servable.info.event_types[-1] if servable.info.event_types else "").encode()
    inputs["length"][:] = length
    inputs["request_time"][:] = NOW
    return inputs


def to_request(servable: Servable, inputs: dict[str, Array]) -> bytes:
    """A serialized PredictRequest for `recommend`."""
    request = wire.PredictRequest()
    request.model_spec.name = servable.info.name
    request.model_spec.signature_name = "recommend"
    for name, array in inputs.items():
        fill(request.inputs[name], array)
    serialized: bytes = request.SerializeToString()
    return serialized


def _inputs(servable: Servable, users: int, length: int) -> dict[str, Array]:
    """Zeros and empty strings in the shapes that `recommend` takes."""
    signature = servable.signatures["recommend"]
    inputs = {}
    for name, spec in signature.inputs.items():
        axis = signature.input_axes[name]
        shape = (users,) if axis is None else (users, length if axis == SEQUENCE else 0)
        inputs[name] = np.full(shape, b"" if spec.dtype == "string" else 0, array_dtype(spec.dtype))
    return inputs
