"""Operators that do not see what all elements along a dim have in common.

Softmaxes and variances are such, and so is a value from which its own largest element, its mean or its
logsumexp along the dim is taken, be it as a whole or element by element, as likelihoods take it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from scaleaudit.domain.graph import Node, NodeKind, OpGraph, Ref
from scaleaudit.domain.scale import ZERO, Precision, Scale
from scaleaudit.scale import growth, intervals
from scaleaudit.scale.algebra import lift
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.activations import log_softmax
from scaleaudit.scale.matrices import SAME
from scaleaudit.scale.shares import VIEWS, along
from scaleaudit.scale.shifts import Splitter

_SHIFTED = frozenset({
    "aten._softmax", "aten.softmax", "aten._safe_softmax", "aten._log_softmax", "aten.log_softmax",
    "aten.var", "aten.std",
})  # fmt: skip
# What goes up by c where all its elements along the dim do.
_FOLLOWING = frozenset({
    "aten.logsumexp", "aten.amax", "aten.amin", "aten.max", "aten.min", "aten.mean", "aten.gather",
})  # fmt: skip
_LOGSUMEXP = "aten.logsumexp"
_FAR = 8
_SIDES = 2


def may_drop(node: Node, operands: Sequence[Scale]) -> bool:
    """Whether an operator may be one that does not see all of its operands."""
    if node.base_op in _SHIFTED:
        return _grows(operands[0])
    return node.base_op == "aten.sub" and len(operands) == _SIDES and all(map(_grows, operands))


def _grows(x: Scale) -> bool:
    return x.depends and not x.opaque and x.growth.hi > ZERO


def without(graph: OpGraph, node: Node, operands: list[Scale], splitter: Splitter) -> list[Scale]:
    """Return the operands of an operator without what it does not see."""
    if node.base_op == "aten.sub":
        return _difference(graph, node, operands, splitter)
    dim = along(node, len(graph.meta(node.operands[0]).shape))
    if dim is None:
        return operands
    split = splitter.split(node.operands[0], dim)
    return [_rounded(split.rest), *operands[1:]] if split.is_told else operands


def _rounded(rest: Scale) -> Scale:
    """What is left, to the digits that what is dropped leaves it."""
    if not rest.depends:
        return rest
    return replace(rest, given=rest.form, growth=growth.limit(rest.growth, Precision.EPS))


def _difference(
    graph: OpGraph, node: Node, operands: list[Scale], splitter: Splitter
) -> list[Scale]:
    """Operands that both go up by what another value has in common along a dim."""
    pair = _pair(graph, node)
    split = splitter.split(pair.start, pair.dim) if pair is not None else None
    if pair is None or split is None or not split.is_told:
        return operands
    rest = _rounded(split.rest)
    made = [_along(graph, way, rest, splitter) for way in pair.ways]
    return operands if any(scale.opaque for scale in made) else made


class _Pair(NamedTuple):
    """Two values that come from one, all of it or what is picked or reduced along a dim.

    Attributes:
        ways: The steps of both, the last first.
    """

    start: Ref
    dim: int
    ways: tuple[list[Ref], list[Ref]]


def _pair(graph: OpGraph, node: Node) -> _Pair | None:
    """Return what both operands of a difference come from; None where that is not one value."""
    first, second = (_way(graph, ref) for ref in node.operands)
    start = next((ref for ref in first if ref in second), None)
    if start is None:
        return None
    ways = first[: first.index(start)], second[: second.index(start)]
    picking = [ref for way in ways for ref in way if _dim(graph, ref) is not None]
    dims = {_dim(graph, ref) for ref in picking}
    shape = graph.meta(start).shape
    shapes = {graph.meta(graph[ref.node].operands[0]).shape for ref in picking}
    dim = dims.pop() if len(dims) == 1 else None
    if dim is None or shapes != {shape}:
        return None
    made = [graph.meta(ref).shape for ref in node.operands]
    return _Pair(start, dim, ways) if _line_up(made, shape, dim) else None


def _line_up(made: Sequence[tuple[int, ...]], shape: tuple[int, ...], dim: int) -> bool:
    """Whether two values keep all dims but one in place, or both have lost that."""
    at = dim + len(shape)
    without = shape[:at] + shape[at + 1 :]
    kept = all(len(s) == len(shape) and s[:at] + s[at + 1 :] == without for s in made)
    return kept or all(s == without for s in made)


def noted(graph: OpGraph, node: Node, result: Scale, operands: Sequence[Scale]) -> Scale:
    """Tell what a difference of a value, or some of its elements, and their logsumexp is.

    It is a log_softmax: of the largest element nothing is left, however large that is.
    """
    known = len(operands) == _SIDES and any(map(_grows, operands)) and not result.opaque
    pair = _pair(graph, node) if known else None
    if pair is None:
        return result
    ops = [{graph[ref.node].base_op for ref in way} - SAME - VIEWS for way in pair.ways]
    if {_LOGSUMEXP} not in ops or not any(each <= {"aten.gather"} for each in ops):
        return result
    taken = ops.index({_LOGSUMEXP})
    if not _grows(operands[1 - taken]):
        return result
    likelihood = lift(log_softmax(operands[1 - taken], pair.dim))
    span = likelihood.span if taken else intervals.negate(likelihood.span)
    return replace(result, growth=likelihood.growth, span=span)


def _along(graph: OpGraph, way: list[Ref], scale: Scale, splitter: Splitter) -> Scale:
    """What comes of a value on a way, the last step of which stands first."""
    for ref in reversed(way):
        scale = splitter.remade(graph[ref.node], scale)
    return scale


def _way(graph: OpGraph, ref: Ref) -> list[Ref]:
    """The values that one comes from by what follows a common shift, the first of them last."""
    way = [ref]
    while len(way) <= _FAR:
        node = graph[way[-1].node]
        followed = node.base_op in SAME | VIEWS or _dim(graph, way[-1]) is not None
        if node.kind is not NodeKind.CALL or way[-1].output or not followed:
            break
        way.append(node.operands[0])
    return way


def _dim(graph: OpGraph, ref: Ref) -> int | None:
    """The dim, from the end, along which a value is picked or reduced; None where it is neither."""
    node = graph[ref.node]
    if node.kind is not NodeKind.CALL or node.base_op not in _FOLLOWING or ref.output:
        return None
    return along(node, len(graph.meta(node.operands[0]).shape))
