"""Each signature of a servable: which ops have kernels where, and whether a GPU can do its dense part."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from tfrec.errors import DataError
from tfrec.placement.flow import Flow, FlowNode
from tfrec.placement.kernels import CPU, GPU, devices_of, knows_gpu

Place = Literal["before", "between", "after", "beside"]
"""Where a node stands to the heavy ones: its data flows into them; both ways; theirs into it; neither."""
PLACES: tuple[Place, ...] = ("before", "between", "after", "beside")

_HEAVY = {
    *("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "Conv2D"),
    *("Softmax", "LogSoftmax", "TopK", "TopKV2"),
}
_RESOURCES = {"VarHandleOp", "HashTableV2", "MutableHashTableV2"}
_INIT = "__saved_model_init_op"


@dataclass(frozen=True)
class OpPlacement:
    """An op of a signature.

    Attributes:
        nodes: how many.
        cpu: how many of them have a kernel for CPUs, with their dtypes.
        gpu: the same for GPUs; None where this TensorFlow has no kernels for GPUs.
    """

    nodes: int
    cpu: int
    gpu: int | None


@dataclass(frozen=True)
class SignaturePlacement:
    """A signature.

    Attributes:
        signature: its name.
        ops: by name.
        heavy: nodes of matrix products, softmax and top-k.
        cpu_only: by place the names of nodes with a kernel for CPUs and none for GPUs; empty where this
            TensorFlow has no kernels for GPUs.
        without_kernel: names of nodes that have no kernel here at all.
    """

    signature: str
    ops: Mapping[str, OpPlacement]
    heavy: int
    cpu_only: Mapping[Place, tuple[str, ...]]
    without_kernel: tuple[str, ...]

    @property
    def dense_part_stays(self) -> bool | None:
        """Whether a GPU can compute from the first heavy node to the last without the CPU; None: unknown."""
        return not self.cpu_only.get("between") if knows_gpu() else None


def placements(version_folder: Path) -> list[SignaturePlacement]:
    """The placement of each signature of a version, `servables/NAME/VERSION`.

    Raises:
        DataError: there is no SavedModel, or it cannot be read.
    """
    path = Path(version_folder) / "saved_model.pb"
    try:
        saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"{version_folder} is no servable: it has no saved_model.pb. Name servables/NAME/VERSION."
        ) from None
    except (DecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}. Export it again.") from error
    if not saved.meta_graphs:
        raise DataError(f"{path}: it holds no graph. Export it again.")
    graph = saved.meta_graphs[0]
    return [
        _placement(name, Flow(graph.graph_def, [info.name for info in definition.outputs.values()]))
        for name, definition in sorted(graph.signature_def.items())
        if name != _INIT
    ]


def _placement(name: str, flow: Flow) -> SignaturePlacement:
    nodes = {number: node for number, node in enumerate(flow.nodes) if node.definition is not None}
    devices = _devices(nodes)
    heavy = [number for number, node in nodes.items() if node.definition.op in _HEAVY]
    only = [number for number, found in devices.items() if found == {CPU}] if knows_gpu() else []
    out, into = flow.reached_from(heavy), flow.leading_to(heavy)
    places: dict[Place, list[str]] = {place: [] for place in PLACES}
    for number in only:
        places[_place(number in into, number in out)].append(nodes[number].name)
    counts = {kind: Counter[str]() for kind in ("nodes", CPU, GPU)}
    for number, node in nodes.items():
        for kind in ("nodes", *devices[number]):
            counts[kind][node.definition.op] += 1
    return SignaturePlacement(
        signature=name,
        ops={
            op: OpPlacement(count, counts[CPU][op], counts[GPU][op] if knows_gpu() else None)
            for op, count in sorted(counts["nodes"].items())
        },
        heavy=len(heavy),
        cpu_only={place: tuple(names) for place, names in places.items()},
        without_kernel=tuple(nodes[number].name for number, found in devices.items() if not found),
    )


def _devices(nodes: Mapping[int, FlowNode]) -> dict[int, frozenset[str]]:
    """The kinds of device of each node; what uses a variable or a table is computed where that lies."""
    own = {number: devices_of(node.definition) for number, node in nodes.items()}
    held = {number for number, node in nodes.items() if node.definition.op in _RESOURCES}
    return {
        number: own[number].intersection(*(own[source] for source in node.sources & held))
        for number, node in nodes.items()
    }


def _place(leads_in: bool, comes_out: bool) -> Place:
    if leads_in and comes_out:
        return "between"
    return "before" if leads_in else "after" if comes_out else "beside"
