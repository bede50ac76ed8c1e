"""The values that lead from a state around its loop and into the loss, and what they hand on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from scaleaudit.domain.graph import OpGraph, Ref
from scaleaudit.domain.judged import Scales
from scaleaudit.domain.scale import Scale

# What arranges values anew and changes none of them.
MOVES = frozenset({
    "aten.view", "aten.reshape", "aten._unsafe_view", "aten.clone", "aten.alias", "aten.expand",
    "aten.permute", "aten.t", "aten.transpose", "aten.unsqueeze", "aten.squeeze", "aten._to_copy",
    "aten.contiguous", "aten.detach", "aten.lift_fresh", "aten.view_as_real",
    "aten.view_as_complex",
})  # fmt: skip

# Vertices are ids of nodes; below 0 are the states.
Vertex = int


def vertex_of_state(index: int) -> Vertex:
    """Return the vertex that stands for a state at all boundaries."""
    return -1 - index


@dataclass(frozen=True, slots=True)
class Arrow:
    """A value on its way from one vertex to another, moves in between left out."""

    source: Vertex
    scale: Scale


@dataclass
class Flow:
    """Vertices in the order in which they ran, and what each of them reads of the states.

    Attributes:
        crossings: The values at boundaries, and the state that each of them is of.
        arrows: For every vertex what it reads of the states.
        outside: For every vertex the tensors that it reads besides.
        scales: How the value of a vertex grows; of several outputs the first, which is what an
            operator is called for.
        users: The vertices that read a vertex.
    """

    graph: OpGraph
    crossings: dict[Ref, int]
    arrows: dict[Vertex, list[Arrow]] = field(default_factory=dict)
    outside: dict[Vertex, list[Ref]] = field(default_factory=dict)
    scales: dict[Vertex, Scale] = field(default_factory=dict)
    users: dict[Vertex, set[Vertex]] = field(default_factory=dict)

    def trace(self, table: Scales, end: Ref, *, cut: bool) -> Vertex:
        """Add all that a value is computed from, back to the boundaries; return its vertex.

        Args:
            cut: Whether the value is one at a boundary, of which the computed one is meant.
        """
        start = self._made(table, end) if cut else self._origin(table, end)
        pending = [start]
        while pending:
            vertex = pending.pop()
            if vertex in self.arrows:
                continue
            self.arrows[vertex] = self._read(table, vertex)
            for arrow in self.arrows[vertex]:
                self.users.setdefault(arrow.source, set()).add(vertex)
                pending.append(arrow.source)
        return start

    def _made(self, table: Scales, end: Ref) -> Vertex:
        """Return the vertex that computed a value at a boundary."""
        node = self.graph[end.node]
        moved = [r for r in node.operands if table.depends(r)]
        origin = self._origin(table, moved[0]) if len(moved) == 1 else end.node
        return origin if node.base_op in MOVES and origin >= 0 else end.node

    def _read(self, table: Scales, vertex: Vertex) -> list[Arrow]:
        if vertex < 0:
            return []
        node = self.graph[vertex]
        self.scales[vertex] = _made(table, Ref(vertex))
        found, outside = {}, []
        for ref in node.operands:
            if table.depends(ref):
                found[self._origin(table, ref), ref] = table[ref]
            elif self.graph.meta(ref).shape:
                outside.append(ref)
        self.outside[vertex] = outside
        return [Arrow(source, scale) for (source, _), scale in found.items()]

    def _origin(self, table: Scales, ref: Ref) -> Vertex:
        """Return the vertex that made a value, through moves."""
        while ref not in self.crossings:
            node = self.graph[ref.node]
            moved = [r for r in node.operands if table.depends(r)]
            if node.base_op not in MOVES or len(moved) != 1:
                return ref.node
            ref = moved[0]
        return vertex_of_state(self.crossings[ref])

    def ordered(self) -> list[Vertex]:
        """Return all vertices, sources before what reads them."""
        return sorted(self.arrows)

    def sources(self, vertex: Vertex) -> set[Vertex]:
        """Return the vertices that a vertex reads."""
        return {arrow.source for arrow in self.arrows[vertex]}

    def ancestors(self, vertices: Iterable[Vertex]) -> set[Vertex]:
        """Return some vertices and all that they are computed from."""
        found: set[Vertex] = set()
        pending = list(vertices)
        while pending:
            vertex = pending.pop()
            if vertex not in found:
                found.add(vertex)
                pending.extend(self.sources(vertex))
        return found


def _made(table: Scales, ref: Ref) -> Scale:
    """Return how the value that the program computes grows, cut or not."""
    return table.inflow[ref] if ref in table.seeds else table[ref]
