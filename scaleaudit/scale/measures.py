"""Which loss terms measure the length of a state, rather than decode it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scaleaudit.domain.graph import Node, NodeKind, OpGraph, Ref
from scaleaudit.scale.interpreter import ScaleTable

_LISTS = frozenset({"aten.cat", "aten.stack"})
_CONTRACTIONS = frozenset({
    "aten.mm", "aten.addmm", "aten.bmm", "aten.baddbmm", "aten.matmul", "aten.mv", "aten.addmv",
    "aten.dot", "aten.linear", "aten.convolution", "aten.einsum",
})  # fmt: skip


# What takes a prediction and a target.
_COMPARISONS = frozenset({
    "aten.sub", "aten.rsub", "aten.mse_loss", "aten.l1_loss", "aten.smooth_l1_loss",
    "aten.huber_loss", "aten.nll_loss", "aten.nll_loss_forward", "aten.nll_loss2d_forward",
    "aten.binary_cross_entropy", "aten.binary_cross_entropy_with_logits", "aten.kl_div",
    "aten.soft_margin_loss", "aten.multi_margin_loss", "aten.multilabel_margin_loss_forward",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What a term is computed from, back to the boundaries.

    Attributes:
        boundaries: The boundary values that it reads.
        decodes: Whether weights (more than a gain or bias), inputs or fixed targets take part.
        differs: Whether it takes the difference of two computed values.
        stopped: Whether a node in between ran under no_grad.
        projection: The first node after the state that uses a weight matrix.
        head: The last one.
    """

    boundaries: tuple[Ref, ...]
    decodes: bool
    differs: bool
    stopped: bool
    projection: int | None
    head: int | None


def read_back(graph: OpGraph, table: ScaleTable, end: Ref) -> Reading:
    """Follow a term back to the boundary values that it is computed from."""
    boundaries: dict[Ref, None] = {}
    decodes = differs = stopped = False
    projections: list[int] = []
    seen: set[Ref] = set()
    stack = [end]
    while stack:
        ref = stack.pop()
        if ref in seen:
            continue
        seen.add(ref)
        if ref in table.seeds:
            boundaries.setdefault(ref)
            continue
        node = graph[ref.node]
        if table.depends(ref):
            stopped = stopped or not node.grad
            operands = [r for r in node.refs() if table.depends(r)]
            compares = node.base_op not in _LISTS and len(set(operands)) > 1
            differs = differs or (compares and _sources_differ(graph, table, operands))
            decodes = decodes or _meets_target(graph, table, node)
            if any(projects(graph, table, node, r) for r in node.refs()):
                projections.append(ref.node)
                decodes = True
        elif node.kind is NodeKind.INPUT:
            decodes = decodes or math.prod(node.outputs[0].shape) > 1
        stack.extend(node.refs())
    ordered = tuple(sorted(boundaries, key=lambda r: r.node))
    first, last = min(projections, default=None), max(projections, default=None)
    return Reading(ordered, decodes, differs, stopped, first, last)


def _meets_target(graph: OpGraph, table: ScaleTable, node: Node) -> bool:
    """Whether a node holds what the state became against fixed numbers, one an element."""
    if node.base_op not in _COMPARISONS and node.base_op not in _CONTRACTIONS:
        return False
    return any(
        math.prod(graph.meta(ref).shape) > 1 and weight_of(graph, ref) is None
        for ref in node.refs()
        if not table.depends(ref) and not table[ref].is_zero  # a distance from zero is a length
    )


def projects(graph: OpGraph, table: ScaleTable, node: Node, ref: Ref) -> bool:
    """Whether an operand is a weight that projects: a matrix, or anything learned in a contraction."""
    if table.depends(ref):
        return False
    if node.base_op in _CONTRACTIONS:
        return table[ref].learned
    return _is_matrix(graph, ref)


def _is_matrix(graph: OpGraph, ref: Ref) -> bool:
    """Whether a value is a weight of two or more real dims, casts and views included."""
    leaf = weight_of(graph, ref)
    return leaf is not None and sum(1 for size in leaf.outputs[0].shape if size > 1) > 1


def weight_of(graph: OpGraph, ref: Ref) -> Node | None:
    """The parameter that a value is a view or a cast of, if it is one."""
    while True:
        node = graph[ref.node]
        if node.kind is NodeKind.PARAMETER:
            return node
        refs = list(node.refs())
        if node.kind is not NodeKind.CALL or len(refs) != 1:
            return None
        ref = refs[0]


def _sources_differ(graph: OpGraph, table: ScaleTable, operands: list[Ref]) -> bool:
    first, *others = [_seeds_of(graph, table, ref) for ref in operands]
    return any(other != first for other in others)


def _seeds_of(graph: OpGraph, table: ScaleTable, end: Ref) -> frozenset[Ref]:
    seen: set[Ref] = {end}
    stack = [end]
    found = set()
    while stack:
        ref = stack.pop()
        if ref in table.seeds:
            found.add(ref)
            continue
        for operand in graph[ref.node].refs():
            if operand not in seen and table.depends(operand):
                seen.add(operand)
                stack.append(operand)
    return frozenset(found)
