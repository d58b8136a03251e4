"""What flows where in a SavedModel's graph, its functions opened: nodes, and where their data comes from."""

import graphlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_BRANCHES = {"If", "StatelessIf", "Case", "StatelessCase"}
_LOOPS = {"While", "StatelessWhile"}

Sources = frozenset[int]
"""Numbers of the nodes that a tensor comes from; none for one that is fed."""


@dataclass
class FlowNode:
    """A node that computes something; calls of functions are opened and do not appear.

    Attributes:
        name: with the names of the calls above it.
        definition: its NodeDef; None for what carries a loop's state from turn to turn.
        sources: numbers of the nodes whose outputs it takes; not those that it only has to wait for.
    """

    name: str
    definition: Any
    sources: set[int] = field(default_factory=set)


class Flow:
    """The nodes behind given tensors of a graph.

    Args:
        graph: a GraphDef with its library of functions.
        outputs: names of tensors, `node:0`.
    """

    def __init__(self, graph: Any, outputs: Iterable[str]) -> None:
        self.nodes: list[FlowNode] = []
        self._library = {function.signature.name: function for function in graph.library.function}
        wanted = _ancestors({node.name: node for node in graph.node}, (_split(name)[0] for name in outputs))
        self._open(wanted, {}, "")

    def reached_from(self, starts: Iterable[int]) -> set[int]:
        """The nodes that data of these nodes flows into, directly or not."""
        into: dict[int, list[int]] = {}
        for number, node in enumerate(self.nodes):
            for source in node.sources:
                into.setdefault(source, []).append(number)
        return _reach(starts, into)

    def leading_to(self, ends: Iterable[int]) -> set[int]:
        """The nodes whose data flows into these nodes, directly or not."""
        return _reach(ends, {number: list(node.sources) for number, node in enumerate(self.nodes)})

    def _open(
        self, nodes: Mapping[str, Any], given: Mapping[str, Sequence[Sources]], prefix: str
    ) -> dict[str, Sequence[Sources]]:
        """Adds nodes, and tells what each one's outputs come from, those of given arguments among them."""
        # One entry for all outputs of a plain node, one for each output of a call.
        made: dict[str, Sequence[Sources]] = dict(given)
        order = graphlib.TopologicalSorter(
            {name: {_split(text)[0] for text in _data(node)} & set(nodes) for name, node in nodes.items()}
        )
        for name in order.static_order():
            node = nodes[name]
            inputs = [_taken(made, text) for text in _data(node)]
            functions = _functions(node)
            if functions:
                made[name] = self._called(node, functions, inputs, f"{prefix}{name}/")
            else:
                made[name] = [self._add(f"{prefix}{name}", node, frozenset().union(*inputs))]
        return made

    def _add(self, name: str, node: Any, sources: Sources) -> Sources:
        self.nodes.append(FlowNode(name, node, set(sources)))
        return frozenset({len(self.nodes) - 1})

    def _called(
        self, node: Any, functions: Sequence[str], inputs: list[Sources], prefix: str
    ) -> list[Sources]:
        if node.op in _CALLS:
            return self._inside(functions[0], inputs, prefix)
        if node.op in _BRANCHES:
            branches = [self._inside(name, inputs[1:], f"{prefix}{name}/") for name in functions]
            return [inputs[0].union(*outputs) for outputs in zip(*branches, strict=True)]
        if node.op in _LOOPS:
            state = [self._add(f"{prefix}state_{place}", None, taken) for place, taken in enumerate(inputs)]
            asked = self._inside(node.attr["cond"].func.name, state, f"{prefix}cond/")
            found = self._inside(node.attr["body"].func.name, state, f"{prefix}body/")
            for carried, after_turn in zip(state, found, strict=True):
                for number in carried:
                    self.nodes[number].sources |= after_turn.union(*asked)
            return state
        # Some other op with functions: whatever goes in may come out anywhere.
        everything = frozenset[int]().union(*inputs)
        for name in functions:
            size = len(self._library[name].signature.input_arg)
            everything = everything.union(*self._inside(name, [everything] * size, f"{prefix}{name}/"))
        return [self._add(prefix.rstrip("/"), node, everything)]

    def _inside(self, function: str, arguments: Sequence[Sources], prefix: str) -> list[Sources]:
        definition = self._library[function]
        signature = definition.signature
        given = {arg.name: [taken] for arg, taken in zip(signature.input_arg, arguments, strict=True)}
        made = self._open({node.name: node for node in definition.node_def}, given, prefix)
        return [_taken(made, definition.ret[arg.name]) for arg in signature.output_arg]


def _taken(made: Mapping[str, Sequence[Sources]], text: str) -> Sources:
    name, place = _split(text)
    outputs = made[name]
    return outputs[place] if len(outputs) > 1 else frozenset().union(*outputs)


def _data(node: Any) -> list[str]:
    return [text for text in node.input if not text.startswith("^")]


def _split(text: str) -> tuple[str, int]:
    """`node`, `node:1` of graphs, `node:output:1` of functions -> the node's name, the output's number."""
    name, *rest = text.split(":")
    return name, int(rest[-1]) if rest and rest[-1].isdigit() else 0


def _functions(node: Any) -> list[str]:
    found = []
    for _, value in sorted(node.attr.items()):
        found += [value.func.name] if value.HasField("func") else [one.name for one in value.list.func]
    return found


def _ancestors(nodes: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    waiting, found = list(names), {}
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = nodes[name]
            waiting += [_split(text)[0] for text in _data(nodes[name])]
    return found


def _reach(starts: Iterable[int], edges: Mapping[int, Sequence[int]]) -> set[int]:
    """Everything that is at the end of a way of one edge or more."""
    found: set[int] = set()
    waiting = [end for start in starts for end in edges.get(start, ())]
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += edges.get(number, ())
    return found
