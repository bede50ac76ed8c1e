"""Parts that run the same code on the same values, as turns, experts and heads do, shown once."""

from __future__ import annotations

import networkx as nx

from scaleaudit.domain.graph import Node, OpGraph
from scaleaudit.domain.picture import BoxKind
from scaleaudit.picturing.sketch import Sketch

# One readout of several may have been found to be one, and the others run the same code.
_WORKING = (BoxKind.OPERATORS, BoxKind.READOUT)


def merge_alike(sketch: Sketch, graph: OpGraph) -> None:
    """Let one part stand for all that run the same code and read the same, or what is alike.

    Parts that are alike lie equally deep, so that none of them leads to another.
    """
    stands_for: dict[int, int] = {}
    known: dict[object, int] = {}
    for name in nx.topological_sort(sketch.graph):
        part = sketch.parts[name]
        code = tuple(_place(graph[vertex]) for vertex in part.vertices if vertex >= 0)
        reads = frozenset(stands_for[before] for before in sketch.graph.predecessors(name))
        kind = _WORKING if part.kind in _WORKING else part.kind
        first = known.setdefault((kind, code, reads), name) if code else name
        stands_for[name] = first
        if first != name:
            sketch.parts[first].times += 1
            if part.kind is BoxKind.READOUT:
                sketch.parts[first].kind = part.kind
    sketch.replace({name: first for name, first in stands_for.items() if name != first})


def _place(node: Node) -> object:
    """Where an operator is written, and from where that is called."""
    return node.op, node.site, tuple(frame.location for frame in node.frames)
