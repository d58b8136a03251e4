"""Which signatures of a SavedModel compute the same: one has several names, as `serving_default`.

Each name has a function of its own in the file, around the one that computes. TensorFlow takes them for
strangers: it would optimize and place each anew, which takes a second or more of a large graph.
"""

from collections.abc import Iterable, Mapping
from typing import Any

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def same_signatures(graph: Any, names: Iterable[str]) -> dict[str, str]:
    """Returns for each name the first that computes the same from the same inputs; often itself.

    Args:
        graph: a MetaGraphDef.
        names: of signatures.
    """
    nodes = {node.name: node for node in graph.graph_def.node}
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    first: dict[Any, str] = {}
    return {
        name: first.setdefault(_work(graph.signature_def[name], nodes, functions) or name, name)
        for name in sorted(names)
    }


def _work(definition: Any, nodes: Mapping[str, Any], functions: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """All that tells what a signature computes; None where it is not one call of a function."""
    outputs = {name: tensor.name.rpartition(":") for name, tensor in definition.outputs.items()}
    calls = {call for call, _, _ in outputs.values()}
    if len(calls) != 1 or (call := nodes.get(calls.pop())) is None or call.op not in _CALLS:
        return None
    function = functions[call.attr["f"].func.name]
    inputs = {tensor.name.rpartition(":")[0]: name for name, tensor in definition.inputs.items()}
    return (
        tuple(sorted((name, place) for name, (_, _, place) in outputs.items())),
        # What the caller gives, by its name in requests; else, the graph's own tables and weights.
        tuple((node in inputs, inputs.get(node, node)) for node in call.input),
        tuple(node.SerializeToString(deterministic=True) for node in function.node_def),
        tuple((argument.name, argument.type) for argument in function.signature.input_arg),
        tuple((argument.name, argument.type) for argument in function.signature.output_arg),
        tuple(sorted(function.ret.items())),
    )
