"""Values that are packed into one tensor and taken out again unchanged.

nn.LSTM returns the memories of all layers stacked, and is given them so; each layer goes on with
its own. Read as plain dataflow, the stack would make one state of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from scaleaudit.domain.graph import Argument, Node, OpGraph, Ref

# Copies of a value: what a loop hands on is the value itself, which readouts may share.
COPIES = frozenset({"aten.detach", "aten.clone", "aten.alias"})
_PACKS = frozenset({"aten.stack", "aten.unsqueeze"})
_UNPACKS = frozenset({"aten.select", "aten.unbind", "aten.squeeze"})


@dataclass(frozen=True, slots=True)
class Packed:
    """A value that was put into a pack.

    Attributes:
        way: The nodes that it passed through on the way out again.
    """

    source: Ref
    way: tuple[int, ...]


def unpacked(graph: OpGraph) -> dict[Ref, Packed]:
    """Return, for every value that is taken out of a pack, the value that was put in."""
    found: dict[Ref, Packed] = {}
    for node in graph.nodes:
        packed = dict(node.arguments).get("self") if node.base_op in _UNPACKS else None
        if isinstance(packed, Ref):
            way = (node.id, *_way(graph, packed))
            for output, source in _taken(graph, node, packed, graph[way[-1]]):
                inner = found.get(source, Packed(source, ()))
                found[Ref(node.id, output)] = Packed(inner.source, way + inner.way)
    return found


def _way(graph: OpGraph, ref: Ref) -> tuple[int, ...]:
    """The node that made a value, behind those that detached or copied it as a whole."""
    way = [ref.node]
    while graph[way[-1]].base_op in COPIES:
        way.append(next(graph[way[-1]].refs()).node)
    return tuple(way)


def _taken(graph: OpGraph, node: Node, packed: Ref, pack: Node) -> list[tuple[int, Ref]]:
    """Return which outputs of a node are values that were put into its operand."""
    if pack.base_op not in _PACKS:
        return []
    arguments, rank = dict(node.arguments), len(graph.meta(packed).shape)
    parts, dim = list(pack.refs()), _dim(dict(pack.arguments)["dim"], rank)
    if "dim" in arguments and _dim(arguments["dim"], rank) != dim:
        return []
    index = arguments.get("index")
    match node.base_op:
        case "aten.select" if isinstance(index, int):
            return [(0, parts[index])]
        case "aten.unbind":
            return list(enumerate(parts))
        case "aten.squeeze" if len(parts) == 1 and "dim" in arguments:
            return [(0, parts[0])]
        case _:
            return []


def _dim(argument: Argument, rank: int) -> int | None:
    """Count a dim from the front; None for several."""
    dim = argument[0] if isinstance(argument, tuple) and len(argument) == 1 else argument
    return dim % rank if isinstance(dim, int) else None
