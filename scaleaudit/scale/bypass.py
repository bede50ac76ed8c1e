"""Norms on a loop that a raw skip path goes around."""

from __future__ import annotations

from collections.abc import Iterable

from scaleaudit.domain.graph import Location, OpGraph, Ref
from scaleaudit.domain.scale import ZERO, Atom
from scaleaudit.scale.interpreter import ScaleTable
from scaleaudit.scale.measures import is_matrix


def bypassed_norm(graph: OpGraph, table: ScaleTable, end: Ref, state: int) -> Location | None:
    """Return the line of a norm whose result a turn adds to the raw state.

    The value of the turn keeps the state with a factor of its own, and beside it a copy that a
    norm has stripped of its length and that no weight matrix has touched since.
    """
    scale = table.inflow[end]
    if scale.opaque or not scale.depends:
        return None
    if not any(atom.state == state for atom in scale.form.parts):
        return None
    gates = {atom for atom in scale.form.rest.atoms() if atom.growth.depends}
    if not gates:
        return None
    makers = _makers(graph, table, gates, end)
    for node in makers:
        found = _norm_without_weights(graph, table, node)
        if found is not None:
            return found
    return None


def _makers(graph: OpGraph, table: ScaleTable, gates: set[Atom], end: Ref) -> list[Ref]:
    """The values that are those atoms."""
    found = []
    for n in range(end.node, -1, -1):
        for output, scale in enumerate(table.rows.get(n, ())):
            if scale.given is None and "form" in scale.__dict__ and gates & set(
                scale.form.rest.atoms()
            ):
                found.append(Ref(n, output))
    return found


def _norm_without_weights(graph: OpGraph, table: ScaleTable, start: Ref) -> Location | None:
    """The operator that strips the length on the way from the state to a value, if no matrix is."""
    location: Location | None = None
    ref = start
    while ref not in table.seeds:
        node = graph[ref.node]
        operands = [r for r in node.refs() if table.depends(r)]
        if not operands or _has_matrix(graph, table, node.refs()):
            return None
        source = max(operands, key=lambda r: (table[r].growth.hi, r.node))
        if table[source].growth.hi > ZERO and table[ref].growth.hi == ZERO:
            location = node.location
        ref = source
    return location


def _has_matrix(graph: OpGraph, table: ScaleTable, refs: Iterable[Ref]) -> bool:

    return any(not table.depends(r) and is_matrix(graph, r) for r in refs)
