"""Values that are packed into one tensor and taken out again unchanged.

nn.LSTM returns the memories of all layers stacked, and is given them so; each layer goes on with
its own. Read as plain dataflow, the stack would make one state of all of them. A state that is
kept in the rows of a buffer, one a turn, is the row that was written, not the buffer.
"""

from __future__ import annotations

from dataclasses import dataclass

from scaleaudit.domain.graph import Argument, Node, OpGraph, Ref

# Copies of a value: what a loop hands on is the value itself, which readouts may share.
COPIES = frozenset({"aten.detach", "aten.clone", "aten.alias"})
_PACKS = frozenset({"aten.stack", "aten.unsqueeze"})
_UNPACKS = frozenset({"aten.select", "aten.unbind", "aten.squeeze"})
_WRITE = "scaleaudit.write_view"


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
            pack = graph[way[-1]]
            if pack.base_op == _WRITE:
                way, taken = _written(graph, node, way)
            else:
                taken = _taken(graph, node, packed, pack)
            for output, source in taken:
                inner = found.get(source, Packed(source, ()))
                found[Ref(node.id, output)] = Packed(inner.source, way + inner.way)
    return found


def _way(graph: OpGraph, ref: Ref) -> tuple[int, ...]:
    """The node that made a value, behind those that detached or copied it as a whole."""
    way = [ref.node]
    while graph[way[-1]].base_op in COPIES:
        way.append(next(graph[way[-1]].refs()).node)
    return tuple(way)


def _written(
    graph: OpGraph, node: Node, way: tuple[int, ...]
) -> tuple[tuple[int, ...], list[tuple[int, Ref]]]:
    """Find the row of a buffer that a node picks among the writes to the buffer."""
    row = _row(tuple(value for _, value in node.arguments[1:]))
    while row is not None and graph[way[-1]].base_op == _WRITE:
        base, value, views = (argument for _, argument in graph[way[-1]].arguments)
        written = _written_row(views)
        if written is None or written[0] != row[0] or not isinstance(base, Ref):
            break
        if written == row and isinstance(value, Ref):
            same = graph.meta(value) == node.outputs[0]
            return way, [(0, value)] if same else []
        way += _way(graph, base)
    return way, []


def _written_row(views: Argument) -> tuple[int, int] | None:
    """The dim and the index of the row that was written; None where it was another part."""
    match views:
        case (("aten.select.int", (*picked,), *_),):
            return _row(tuple(picked))
        case _:
            return None


def _row(picked: tuple[Argument, ...]) -> tuple[int, int] | None:
    """The dim and the index of a picked row, where they are plain numbers from the front."""
    match picked:
        case (int(dim), int(index)) if dim >= 0 and index >= 0:
            return dim, index
        case _:
            return None


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
