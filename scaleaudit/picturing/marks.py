"""The vertices that a picture must show: where length is divided out, where the state is added to.

Kinds come from what the analysis says of the values, never from names.
"""

from __future__ import annotations

from scaleaudit.domain.picture import BoxKind, Role
from scaleaudit.domain.scale import ZERO, Atom, Monomial, Poly, Precision, Scale
from scaleaudit.picturing.flows import MOVES, Arrow, Flow, Vertex
from scaleaudit.picturing.roles import role_of

_SUMS = frozenset({"aten.add", "aten.sub", "aten.rsub", "aten.lerp", "aten.addcmul"})
# What may apply a factor; what joins values, takes a part of one or mixes its places applies none.
_MULTIPLIES = _SUMS | {
    "aten.mul", "aten.div", "aten.neg", "aten.where", "aten.masked_fill", "aten.addcdiv",
    "aten.native_dropout",
}  # fmt: skip

# A norm that is written out takes a dozen operators; what is larger is no single norm.
_WRITTEN_OUT = 40


def identity_of(scale: Scale) -> list[tuple[Atom, Poly]]:
    """Return the states that a value holds as they are, each with its factor."""
    if scale.given is None:
        return []
    return [(atom.base, poly) for atom, poly in scale.given.parts.items() if atom.state is not None]


class Marker:
    """Finds the vertices of a flow that matter."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def mark(self, vertex: Vertex) -> BoxKind | None:
        """Return what a vertex is to be shown as; None where it is one operator among others."""
        scale, arrows = self._flow.scales[vertex], self._flow.arrows[vertex]
        if scale.opaque:
            before = any(arrow.scale.opaque for arrow in arrows)
            return None if before else BoxKind.UNKNOWN
        if self._divides_out(scale, arrows):
            return BoxKind.NORM
        if self._flow.graph[vertex].base_op in MOVES or role_of(scale) is not Role.CARRIES:
            return None
        return self._on_the_way(vertex, scale, arrows)

    def _divides_out(self, scale: Scale, arrows: list[Arrow]) -> bool:
        growth = scale.growth
        forgets = growth.depends and growth.hi == ZERO and growth.normed
        saturates = growth.precision is Precision.SATURATING
        return forgets and not saturates and any(a.scale.growth.hi > ZERO for a in arrows)

    def _on_the_way(self, vertex: Vertex, scale: Scale, arrows: list[Arrow]) -> BoxKind | None:
        """A sum that takes the state or its scale together with something else, or a factor on it."""
        operator = self._flow.graph[vertex].base_op
        sums = operator in _SUMS
        before = [arrow for arrow in arrows if identity_of(arrow.scale)]
        if before and identity_of(scale):
            joins = len(arrows) > 1 or bool(self._flow.outside[vertex])
            if sums and joins:
                return BoxKind.ADD
            changed = _factors(scale) != _factors(before[0].scale)
            return BoxKind.GATE if operator in _MULTIPLIES and changed else None
        roles = {role_of(arrow.scale) for arrow in arrows}
        return BoxKind.ADD if sums and Role.CARRIES in roles and len(roles) > 1 else None

    def region(self, vertex: Vertex) -> frozenset[Vertex]:
        """Return the vertices of a norm that is written out: all between what it norms and it.

        Where something else reads what lies in between, it is the last operator alone.
        """
        inside: set[Vertex] = set()
        frontier = {vertex}
        while len(frontier) > 1 or not inside:
            latest = max(frontier)
            if latest < 0 or len(inside) > _WRITTEN_OUT:
                return frozenset({vertex})
            frontier.remove(latest)
            inside.add(latest)
            frontier |= self._flow.sources(latest)
        leaks = any(self._flow.users.get(each, set()) - inside for each in inside - {vertex})
        return frozenset({vertex}) if leaks else frozenset(inside)


def _factors(scale: Scale) -> list[tuple[Atom, dict[Monomial, float]]]:
    return [(atom, dict(poly.terms)) for atom, poly in identity_of(scale)]
