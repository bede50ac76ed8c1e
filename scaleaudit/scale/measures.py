"""Which loss terms measure the length of a state, rather than decode it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import NamedTuple, TypeVar

from scaleaudit.domain.graph import Argument, Node, NodeKind, OpGraph, Ref
from scaleaudit.scale.interpreter import ScaleTable

_T = TypeVar("_T")

_LISTS = frozenset({"aten.cat", "aten.stack"})
_CONTRACTIONS = frozenset({
    "aten.mm", "aten.addmm", "aten.bmm", "aten.baddbmm", "aten.matmul", "aten.mv", "aten.addmv",
    "aten.dot", "aten.linear", "aten.convolution", "aten.einsum",
})  # fmt: skip

# What takes the state elsewhere: beside itself, it relates positions or samples.
_ELSEWHERE = frozenset({
    "aten.flip", "aten.roll", "aten.index", "aten.index_select", "aten.gather", "aten.select",
    "aten.slice", "aten.split", "aten.split_with_sizes", "aten.unbind", "aten.t", "aten.transpose",
    "aten.permute",
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

    boundaries: frozenset[Ref]
    decodes: bool
    differs: bool
    stopped: bool
    projection: int | None
    head: int | None


class Reader:
    """Follows values back to the boundary values that they are computed from.

    What was found of a value is kept: readouts of every turn share most of their way.
    """

    def __init__(self, graph: OpGraph, table: ScaleTable) -> None:
        self._graph = graph
        self._table = table
        self._bit = {ref: 1 << place for place, ref in enumerate(table.seeds)}
        self._known: dict[Ref, _Way] = {}
        self._origins: dict[Ref, int] = {}
        self._elsewhere: dict[tuple[Argument, ...], int] = {}

    def read_back(self, end: Ref) -> Reading:
        """Return what a value is computed from."""
        way = _folded(end, self._known, self._behind, self._way)
        boundaries = frozenset(ref for ref, bit in self._bit.items() if way.boundaries & bit)
        return Reading(boundaries, way.decodes, way.differs, way.stopped, way.first, way.last)

    def _behind(self, ref: Ref) -> Sequence[Ref]:
        return () if ref in self._bit else self._graph[ref.node].operands

    def _way(self, ref: Ref, parts: list[_Way]) -> _Way:
        """What one value adds to what its operands have come from."""
        if ref in self._bit:
            return _Way(self._bit[ref])
        node, table = self._graph[ref.node], self._table
        way = _together(parts)
        if not table.depends(ref):
            decodes = node.kind is NodeKind.INPUT and math.prod(node.outputs[0].shape) > 1
            return way._replace(decodes=True) if decodes else way
        projecting = any(projects(self._graph, table, node, r) for r in node.operands)
        return _Way(
            way.boundaries,
            way.decodes or projecting or _meets_target(self._graph, table, node),
            way.differs or self._compares(node),
            way.stopped or not node.grad,
            ref.node if projecting and way.first is None else way.first,
            ref.node if projecting else way.last,
        )

    def _compares(self, node: Node) -> bool:
        """Whether a node takes values together that come from different boundaries, or positions."""
        operands = {ref for ref in node.operands if self._table.depends(ref)}
        if node.base_op in _LISTS or len(operands) <= 1:
            return False
        return len({self._origin(ref) for ref in operands}) > 1

    def _origin(self, end: Ref) -> int:
        """The boundary values that reach a value, as a bit mask; others where positions are moved."""
        return _folded(end, self._origins, self._dependent, self._joined)

    def _dependent(self, ref: Ref) -> Sequence[Ref]:
        return [r for r in self._behind(ref) if self._table.depends(r)]

    def _keeps_all(self, node: Node) -> bool:
        return node.outputs[0].shape == self._graph.meta(node.operands[0]).shape

    def _joined(self, ref: Ref, parts: list[int]) -> int:
        if ref in self._bit:
            return self._bit[ref]
        node, origin = self._graph[ref.node], reduce(or_, parts, 0)
        all_of_it = node.base_op == "aten.slice" and self._keeps_all(node)
        if node.base_op not in _ELSEWHERE or all_of_it:
            return origin
        how = (origin, node.base_op, ref.output, *(a for _, a in node.arguments[1:]))
        return self._elsewhere.setdefault(how, 1 << (len(self._bit) + len(self._elsewhere)))


class _Way(NamedTuple):
    """What lies between a value and the boundaries: a Reading in the making.

    Attributes:
        boundaries: As a bit mask.
        first: The first node that uses a weight matrix; ids rise along the way.
        last: The last one.
    """

    boundaries: int = 0
    decodes: bool = False
    differs: bool = False
    stopped: bool = False
    first: int | None = None
    last: int | None = None


def _together(ways: list[_Way]) -> _Way:
    """All that lies on any of the ways."""
    if len(ways) == 1:
        return ways[0]
    return _Way(
        reduce(or_, (way.boundaries for way in ways), 0),
        any(way.decodes for way in ways),
        any(way.differs for way in ways),
        any(way.stopped for way in ways),
        min((way.first for way in ways if way.first is not None), default=None),
        max((way.last for way in ways if way.last is not None), default=None),
    )


def _folded(
    end: Ref,
    known: dict[Ref, _T],
    behind: Callable[[Ref], Sequence[Ref]],
    join: Callable[[Ref, list[_T]], _T],
) -> _T:
    """Join what is known of a value's operands, and of theirs before; without recursion."""
    pending = [end]
    while pending:
        ref = pending[-1]
        if ref in known:
            pending.pop()
            continue
        operands = behind(ref)
        missing = [operand for operand in operands if operand not in known]
        if missing:
            pending.extend(missing)
        else:
            known[ref] = join(ref, [known[operand] for operand in operands])
    return known[end]


def _meets_target(graph: OpGraph, table: ScaleTable, node: Node) -> bool:
    """Whether a node holds what the state became against fixed numbers, one an element."""
    if node.base_op not in _COMPARISONS and node.base_op not in _CONTRACTIONS:
        return False
    return any(
        math.prod(graph.meta(ref).shape) > 1 and weight_of(graph, ref) is None
        for ref in node.operands
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
        refs = node.operands
        if node.kind is not NodeKind.CALL or len(refs) != 1:
            return None
        ref = refs[0]
