"""Proofs: the path from a state to a value, and the steps at which its degree changed."""

from __future__ import annotations

from scaleaudit.domain.facts import ProofStep
from scaleaudit.domain.graph import Node, OpGraph, Ref
from scaleaudit.domain.scale import Growth, Precision, Scale
from scaleaudit.scale.interpreter import ScaleTable
from scaleaudit.scale.laws import law_for
from scaleaudit.scale.laws.table import Law


def path_to(graph: OpGraph, table: ScaleTable, end: Ref, *, inflow: bool = False) -> list[Ref]:
    """Return the values from a seed to ``end`` that set its degree, the seed first.

    Args:
        inflow: Whether ``end`` is a boundary whose computed value, not the cut, is meant.
    """
    path = [end]
    current = end
    while inflow or current not in table.seeds:
        inflow = False
        operands = [ref for ref in graph[current.node].refs() if table.depends(ref)]
        if not operands:
            break
        current = max(operands, key=lambda ref: (_weight(table[ref]), ref in table.seeds, ref.node))
        path.append(current)
    return path[::-1]


def _weight(scale: Scale) -> tuple[bool, object, bool, Precision]:
    g = scale.growth
    return bool(scale.opaque), g.hi, g.attained, g.precision


def steps(
    graph: OpGraph,
    table: ScaleTable,
    path: list[Ref],
    laws: dict[str, Law],
    *,
    inflow: bool = False,
) -> tuple[ProofStep, ...]:
    """Return the proof along a path: its start, every change of degree, and its end."""
    found: list[ProofStep] = []
    previous: Scale | None = None
    for index, ref in enumerate(path):
        node = graph[ref.node]
        last = index == len(path) - 1
        scale = table.inflow[ref] if last and inflow else table[ref]
        if previous is None:
            found.append(_start(node))
        elif last or _changed(previous, scale):
            others = [table[r] for r in node.refs() if table.depends(r) and r != path[index - 1]]
            found.append(_step(node, previous, scale, others, laws))
        previous = scale
    return tuple(found)


def _start(node: Node) -> ProofStep:
    name = f" `{node.names[0][1]}`" if node.names else ""
    text = f"the carried state{name} crosses from turn to turn; scale it by a: degree 1"
    return ProofStep(node.location, node.op, 1.0, text)


def _changed(before: Scale, after: Scale) -> bool:
    a, b = before.growth, after.growth
    return bool(after.opaque) != bool(before.opaque) or (a.hi, a.precision) != (b.hi, b.precision)


def _step(
    node: Node, before: Scale, after: Scale, others: list[Scale], laws: dict[str, Law]
) -> ProofStep:
    if after.opaque:
        reason = after.opaque[0]
        return ProofStep(node.location, node.op, None, f"not understood: {reason.reason}")
    degree = float(after.growth.hi.power)
    if not _changed(before, after):
        return ProofStep(node.location, node.op, degree, f"stays {describe(after.growth)}")
    law = law_for(node.op, laws)
    beside = "".join(f" and {describe(scale.growth)}" for scale in others if not scale.opaque)
    text = f"{describe(before.growth)}{beside} -> {describe(after.growth)}"
    if law is not None:
        text = f"{text}; {law.statement}"
    return ProofStep(node.location, node.op, degree, text)


def describe(g: Growth) -> str:
    """A growth in words: 'degree 1', 'degree 0 (in the limit)'."""
    if not g.depends:
        return "independent"
    power = float(g.hi.power)
    if g.hi.log and not power:
        return "logarithmic"
    if power == float("inf"):
        return "exponential"
    if power == float("-inf"):
        return "vanishing"
    words = {
        Precision.EXACT: "",
        Precision.EPS: " (up to eps)",
        Precision.ASYMPTOTIC: " (in the limit)",
        Precision.SATURATING: " (saturating)",
    }
    return f"degree {power:g}{words[g.precision]}"
