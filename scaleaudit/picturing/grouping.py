"""Gathers vertices into groups: what matters by itself, what lies in between together.

A group is closed: no way that leaves it leads back into it, so that the groups, too, have an order.
"""

from __future__ import annotations

from collections.abc import Iterable

from scaleaudit.domain.picture import BoxKind
from scaleaudit.picturing.flows import Flow, Vertex
from scaleaudit.picturing.marks import Marker


class Groups:
    """A partition of the vertices of a flow, in the making.

    Attributes:
        kinds: What groups are shown as, by the vertex that they are called after.
        of: For every vertex the one that its group is called after.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self.kinds: dict[Vertex, BoxKind] = {}
        self.of: dict[Vertex, Vertex] = {}

    def claim(self, vertices: Iterable[Vertex], name: Vertex, kind: BoxKind) -> None:
        """Make a group of vertices that are shown as something of their own."""
        self.kinds[name] = kind
        self.of.update((vertex, name) for vertex in vertices)

    def mark(self) -> None:
        """Claim what matters wherever it lies."""
        marker = Marker(self._flow)
        for vertex in self._flow.ordered():
            kind = marker.mark(vertex) if vertex >= 0 else BoxKind.STATE
            if kind is BoxKind.NORM:
                self.claim(self._affine(marker.region(vertex), vertex), vertex, kind)
            elif kind is not None:
                self.claim([vertex], vertex, kind)

    def _affine(self, region: frozenset[Vertex], last: Vertex) -> set[Vertex]:
        """A norm with its gain and bias: what nothing of the state but its outcome takes part in."""
        flow, found = self._flow, set(region)
        while len(users := flow.users.get(last, set())) == 1:
            (after,) = users
            if flow.graph[after].base_op not in _AFFINE or flow.sources(after) != {last}:
                break
            found.add(after)
            last = after
        return found

    def claim_alone(self, end: Vertex, kind: BoxKind) -> bool:
        """Claim a vertex and all that is computed for it only; False where it is taken."""
        if end in self.of:
            return False
        found = {end}
        pending = [end]
        while pending:
            for source in self._flow.sources(pending.pop()):
                alone = self._flow.users[source] <= found
                if alone and source not in self.of and source >= 0:
                    found.add(source)
                    pending.append(source)
        self.claim(found, end, kind)
        return True

    def gather(self) -> None:
        """Put together what is left, where the same groups lie before it and it hangs together.

        What reads a claimed group has it behind it, so no way from such a set leads back to it.
        """
        bits = {name: 1 << place for place, name in enumerate(self.kinds)}
        behind: dict[Vertex, int] = {}
        for vertex in self._flow.ordered():
            mask = 0
            for source in self._flow.sources(vertex):
                mask |= behind[source] | bits.get(self.of[source], 0)
            behind[vertex] = mask
            if vertex in self.of:
                continue
            self.of[vertex] = vertex
            for source in self._flow.sources(vertex):
                if self._name(source) not in self.kinds and behind[source] == mask:
                    self.of[self._name(source)] = self._name(vertex)
        self.of = {vertex: self._name(vertex) for vertex in self.of}
        for name in self.of.values():
            self.kinds.setdefault(name, BoxKind.OPERATORS)

    def _name(self, vertex: Vertex) -> Vertex:
        while self.of[vertex] != vertex:
            self.of[vertex] = vertex = self.of[self.of[vertex]]
        return vertex


# What a norm's gain and bias are applied with.
_AFFINE = frozenset({"aten.mul", "aten.add"})
