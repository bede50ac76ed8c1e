"""What parts read besides the state itself: other states that are held, and what no state reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scaleaudit.domain.graph import Node, NodeKind, Ref
from scaleaudit.domain.judged import JudgedState
from scaleaudit.domain.picture import BoxKind, Role
from scaleaudit.picturing.flows import MOVES, Flow, Vertex, vertex_of_state
from scaleaudit.picturing.roles import degree_of, role_of
from scaleaudit.picturing.sketch import Link, Part, Sketch
from scaleaudit.picturing.words import source_label

_ELSEWHERE = Link("independent", Role.PLAIN)
# On its ways into the loss a state is scaled by itself.
HELD = Link("held", Role.PLAIN)


@dataclass
class Sources:
    """Adds to a sketch what its parts read from elsewhere.

    Attributes:
        turn: The vertices of the turn; all others are on ways into the loss.
        others: How each of the other states answers that a turn holds.
        names: What the loop's states are called.
    """

    sketch: Sketch
    flow: Flow
    turn: set[Vertex]
    own: int
    others: Mapping[int, Link]
    names: frozenset[str]
    _found: dict[int, int] = field(default_factory=dict)
    _behind: dict[int, frozenset[int]] = field(init=False)

    def __post_init__(self) -> None:
        self._behind = _behind(self.flow, self.own)

    def add(self) -> None:
        """Show every state that is held where a part reads it, and what else a sum adds."""
        parts = list(self.sketch.parts.items())
        for inside in (True, False):  # what a turn computes is told as the turn has it
            for name, part in parts:
                for vertex in part.vertices:
                    if (vertex in self.turn) is inside:
                        self._add(name, vertex, inside=inside)

    def _add(self, name: int, vertex: Vertex, *, inside: bool) -> None:
        for ref in self.flow.outside.get(vertex, ()):
            states = self._held(ref, inside=inside)
            if states:
                self._lead(states, ref, name, inside=inside)
            elif self.sketch.parts[name].kind is BoxKind.ADD and _tells(self.flow.graph[ref.node]):
                self.sketch.link(self._elsewhere(ref.node, vertex), name, _ELSEWHERE)

    def _elsewhere(self, node: int, reader: Vertex) -> int:
        """Return the part for a value that no state reaches."""
        if node not in self._found:
            made, graph = self.flow.graph[node], self.flow.graph
            label = source_label(made, graph[reader], self.names)
            part = Part(BoxKind.SOURCE, [], label, place=made.location)
            self._found[node] = self.sketch.add(part)
        return self._found[node]

    def _lead(self, states: frozenset[int], ref: Ref, target: int, *, inside: bool) -> None:
        """Link states to a part that reads what is computed from them, by way of what computes it."""
        links = {state: self.others[state] if inside else HELD for state in states}
        if ref in self.flow.crossings:
            ((state, link),) = links.items()
            self.sketch.link(self._state(state), target, link)
            return
        if ref.node not in self._found:
            self._found[ref.node] = self._made(states, ref.node, links, inside=inside)
        source = self._found[ref.node]
        self.sketch.link(
            source, target, max(links.values(), key=lambda each: each.role is Role.PLAIN)
        )

    def _made(
        self, states: frozenset[int], last: int, links: Mapping[int, Link], *, inside: bool
    ) -> int:
        """Return a new part for the operators that compute a value from states that are held."""
        vertices = {last}
        before: set[int] = set()
        pending = [last]
        while pending:
            for ref in self.flow.graph[pending.pop()].operands:
                if ref in self.flow.crossings:
                    before.update(self._held(ref, inside=inside))
                elif self._held(ref, inside=inside) and ref.node not in vertices:
                    vertices.add(ref.node)
                    pending.append(ref.node)
        working = sorted(v for v in vertices if self.flow.graph[v].base_op not in MOVES)
        name = self.sketch.add(Part(BoxKind.OPERATORS, working or [last]))
        for state in sorted(before & states):
            self.sketch.link(self._state(state), name, links[state])
        return name

    def _state(self, index: int) -> int:
        """Return the part of another state."""
        vertex = vertex_of_state(index)
        if not self.sketch.holds(vertex):
            self.sketch.add(Part(BoxKind.OTHER, [vertex]))
        return self.sketch.at(vertex)

    def _held(self, ref: Ref, *, inside: bool) -> frozenset[int]:
        """Return the states that reach a value and are held where it is read."""
        states = self._reached(ref)
        return states & self.others.keys() if inside else states

    def _reached(self, ref: Ref) -> frozenset[int]:
        if ref in self.flow.crossings:
            return frozenset({self.flow.crossings[ref]} - {self.own})
        return self._behind[ref.node]


def held_as(judged: JudgedState) -> Link:
    """Return how a state answers to a turn that another one's turn holds: its length is bounded."""
    table, end = judged.moving, judged.end
    scale = table.inflow[end] if judged.cut else table[end]
    role = role_of(scale)
    if role is Role.CARRIES:
        return Link("saturating", Role.PLAIN)
    return Link(degree_of(scale), role)


def _behind(flow: Flow, own: int) -> dict[int, frozenset[int]]:
    """Return the other states that reach the value of each node."""
    found: dict[int, frozenset[int]] = {}
    if len(set(flow.crossings.values())) == 1:
        return dict.fromkeys((node.id for node in flow.graph.nodes), frozenset())
    for node in flow.graph.nodes:
        states: set[int] = set()
        for ref in () if _takes_no_values(node) else node.operands:
            crossing = flow.crossings.get(ref)
            states |= found[ref.node] if crossing is None else {crossing} - {own}
        found[node.id] = frozenset(states)
    return found


def _tells(node: Node) -> bool:
    """Whether a value from elsewhere is worth a box: what is computed or given, and no bias."""
    sizes = [size for size in node.outputs[0].shape if size > 1]
    return node.kind is not NodeKind.CONSTANT and len(sizes) > 1


def _takes_no_values(node: Node) -> bool:
    """Whether an operator asks its operands for their shapes and types alone."""
    return node.base_op.endswith("_like") or node.base_op.startswith("aten.new_")
