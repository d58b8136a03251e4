"""What a signature takes and gives, read off the SignatureDef that every server of TensorFlow can tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from serving.tensors import dtype_name

SEQUENCE = "L"
EXCLUDED = "E"
ALLOWED = "A"
STATISTICS = "S"
CANDIDATES = "C"

AXIS_MEANINGS = {
    SEQUENCE: "events",
    EXCLUDED: "ids to leave out",
    ALLOWED: "ids to choose from",
    STATISTICS: "items with statistics",
    CANDIDATES: "candidates",
}
STATISTIC = "statistic."
REQUEST_CONTEXT = "request_context."
FILTER = "filter."
"""Of a retrieval server alone: `filter.COLUMN` [B, V] string, values of which answers must have one."""

_AXIS_NAMES = {
    "exclude_item_id": EXCLUDED,
    "allow_item_id": ALLOWED,
    "statistic_item_id": STATISTICS,
    "candidate_item_id": CANDIDATES,
    "retrieval_score": CANDIDATES,
}
_OUTPUTS_OF_EVENTS = {"own_item_id", "own_score", "event_state"}


@dataclass(frozen=True)
class TensorSpec:
    """A tensor of a signature; sizes that are free are None."""

    dtype: str
    shape: tuple[int | None, ...]

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape is such a tensor."""
        if len(shape) != len(self.shape):
            return False
        for wanted, size in zip(self.shape, shape, strict=True):
            if wanted is not None and wanted != size:
                return False
        return True

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join('?' if size is None else str(size) for size in self.shape)}]"


@dataclass(frozen=True)
class Signature:
    """The tensors of one signature, by name."""

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    @classmethod
    def from_proto(cls, name: str, proto: Any) -> "Signature":
        """Reads a SignatureDef, official or of `serving.wire`."""
        return cls(name, _specs(proto.inputs), _specs(proto.outputs))

    @cached_property
    def input_axes(self) -> Mapping[str, str | None]:
        """What the second axis of each input counts, one of `AXIS_MEANINGS`; None where it has none, or one
        of a fixed size."""
        return {name: self._input_axis(name) for name in self.inputs}

    @cached_property
    def of_each_axis(self) -> Mapping[str, str]:
        """An input that has each axis; all that have it are of one width in a request."""
        return {axis: name for name, axis in self.input_axes.items() if axis}

    @cached_property
    def output_axes(self) -> Mapping[str, str | None]:
        """What the second axis of each output counts, where its size follows the request's; else None."""
        return {name: self._output_axis(name) for name in self.outputs}

    def _input_axis(self, name: str) -> str | None:
        shape = self.inputs[name].shape
        if len(shape) < 2 or shape[1] is not None:
            return None
        if name.startswith(STATISTIC):
            return CANDIDATES if "candidate_item_id" in self.inputs else STATISTICS
        return _AXIS_NAMES.get(name, SEQUENCE)

    def _output_axis(self, name: str) -> str | None:
        spec = self.outputs[name]
        if len(spec.shape) < 2 or spec.shape[1] is not None:
            return None
        if name in _OUTPUTS_OF_EVENTS:
            return SEQUENCE
        return CANDIDATES if "candidate_item_id" in self.inputs else None


def _specs(infos: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {
        name: TensorSpec(
            dtype_name(info.dtype),
            tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim),
        )
        for name, info in sorted(infos.items())
    }
