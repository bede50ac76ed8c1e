"""Norms on a loop that a raw skip path goes around."""

from __future__ import annotations

from scaleaudit.domain.graph import Location, OpGraph, Ref
from scaleaudit.domain.scale import ZERO, Atom
from scaleaudit.scale.interpreter import ScaleTable
from scaleaudit.scale.measures import projects


def bypassed_norm(graph: OpGraph, table: ScaleTable, end: Ref, state: int) -> Location | None:
    """Return the line of a norm whose result a turn adds to the raw state.

    The value of the turn keeps the state with a factor of its own, and beside it a copy that a
    norm has stripped of its length and that no weight matrix and no gate has touched since.
    """
    scale = table.inflow[end]
    if scale.opaque or not scale.depends:
        return None
    if not any(atom.state == state for atom in scale.form.parts):
        return None
    monomials = ([a for a in m if a.growth.depends] for m in scale.form.rest.terms)
    gates = {moving[0] for moving in monomials if len(moving) == 1}
    if not gates:
        return None
    makers = _makers(table, gates, end)
    for node in makers:
        found = _norm_without_weights(graph, table, node)
        if found is not None:
            return found
    return None


def _makers(table: ScaleTable, gates: set[Atom], end: Ref) -> list[Ref]:
    """For every atom the first value that is made of it."""
    found = []
    open_gates = set(gates)
    for n in sorted(table.rows):
        if n > end.node or not open_gates:
            break
        for output, scale in enumerate(table.rows[n]):
            if scale.given is None and "form" not in scale.__dict__:
                continue  # nothing asked for its form, so no other value holds its atom
            met = open_gates.intersection(scale.form.rest.atoms())
            if met:
                found.append(Ref(n, output))
                open_gates -= met
    return found


def _norm_without_weights(graph: OpGraph, table: ScaleTable, start: Ref) -> Location | None:
    """The operator that divides the length out between the state and a value, if no matrix is there.

    A function that squashes its argument, as tanh does, is no norm: nobody takes it for one. Nor is
    a mean, in which a centred state cancels: what comes out of a norm has the shape that went in.
    """
    location: Location | None = None
    ref = start
    while ref not in table.seeds:
        node = graph[ref.node]
        operands = [r for r in node.refs() if table.depends(r)]
        if not operands or any(projects(graph, table, node, r) for r in node.refs()):
            return None
        source = max(operands, key=lambda r: (table[r].growth.hi, r.node))
        g = table[ref].growth
        same_shape = graph.meta(source).shape == graph.meta(ref).shape
        if table[source].growth.hi > ZERO and g.hi == ZERO and g.normed and same_shape:
            location = node.location
        ref = source
    return location
