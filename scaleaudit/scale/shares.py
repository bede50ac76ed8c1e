"""Values that share 1 out along a dim: never negative, and adding up to 1 there.

Softmaxes make them, and so does division by a sum, once or in turns along two dims until both add
up. A sum that is weighted by shares is a mean: it is no larger than the largest of what it mixes.
A constant that keeps a divisor from 0 leaves less than 1 to share, which bounds as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scaleaudit.domain.graph import Argument, Node, NodeKind, OpGraph, Ref
from scaleaudit.domain.scale import Scale, Weighted
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.shapes import groups, order_of
from scaleaudit.scale.matrices import SAME, TRANSPOSED, floored

_VIEWS = frozenset({
    "aten.view", "aten.reshape", "aten._unsafe_view", "aten.unsqueeze", "aten.squeeze",
    "aten.flatten", "aten.unflatten",
})  # fmt: skip
_PERMUTED = TRANSPOSED | {"aten.permute"}
_SOFTMAX = frozenset({"aten._softmax", "aten.softmax", "aten._safe_softmax"})
_LOG_SOFTMAX = frozenset({"aten._log_softmax", "aten.log_softmax"})
_BROADCAST = frozenset({"aten.expand"})
_NORMS = frozenset({"aten.linalg_vector_norm", "aten.norm"})

_ScaleOf = Callable[[Ref], Scale]


def noted(
    graph: OpGraph, node: Node, scales: tuple[Scale, ...], scale_of: _ScaleOf
) -> tuple[Scale, ...]:
    """Add to the scales of a node's outputs what they share out, or are weighted by.

    Args:
        scale_of: What is known of the operands.
    """
    rule = _RULES.get(node.base_op)
    if rule is not None and not scales[0].opaque:
        dim = rule(graph, node, scale_of)
        if dim is not None:
            return (replace(scales[0], given=scales[0].form, shares=dim), *scales[1:])
    if node.base_op == "aten.mul" and len(node.operands) == 2:
        x, y = map(scale_of, node.operands)
        weighted = _weighted(x, y, node.outputs[0].shape)
        if weighted is not None:
            return (replace(scales[0], given=scales[0].form, weighted=weighted),)
    return scales


def _weighted(x: Scale, y: Scale, shape: tuple[int, ...]) -> Weighted | None:
    """Tell which of two factors holds shares of the other, along a dim that both have in full."""
    for shares, value in ((x, y), (y, x)):
        dim = shares.shares
        if dim is None or not value.depends:
            continue
        full = all(-dim <= len(v.shape) and v.shape[dim] == shape[dim] for v in (shares, value))
        if full:
            return Weighted(value, shares, dim)
    return None


def _softmax(_graph: OpGraph, node: Node, _: _ScaleOf) -> int | None:
    return _along(node, len(node.outputs[0].shape))


def _along(node: Node, rank: int) -> int | None:
    """The one dim that an operator runs along, from the end."""
    dim = dict(node.arguments).get("dim")
    if isinstance(dim, tuple):
        dim = dim[0] if len(dim) == 1 else None
    return dim % rank - rank if isinstance(dim, int) and rank else None


def _quotient(graph: OpGraph, node: Node, scale_of: _ScaleOf) -> int | None:
    """x / x.sum(dim, keepdim=True) of what is never negative."""
    if len(node.operands) != len(node.arguments[:2]) or node.arguments[2:]:
        return None
    above, below = node.operands
    x = scale_of(above)
    if x.span.low < 0 or x.opaque:
        return None
    total = graph[floored(graph, below, _BROADCAST).node]
    arguments = dict(total.arguments)
    is_norm = total.base_op in _NORMS and arguments.get("ord", arguments.get("p")) == 1
    if total.base_op != "aten.sum" and not is_norm:
        return None
    kept = arguments.get("keepdim") is True
    same = total.operands and _origin(graph, total.operands[0]) == _origin(graph, above)
    return _along(total, len(x.shape)) if kept and same else None


def _origin(graph: OpGraph, ref: Ref) -> Ref:
    """The value of which another is a copy in the same arrangement."""
    node = graph[ref.node]
    while node.kind is NodeKind.CALL and node.base_op in SAME:
        ref = node.operands[0]
        node = graph[ref.node]
    return ref


def _exponential(graph: OpGraph, node: Node, _: _ScaleOf) -> int | None:
    """exp(log_softmax(x)), or exp(x - logsumexp(x))."""
    ref = _origin(graph, node.operands[0])
    rank = len(graph.meta(ref).shape)
    inner = graph[ref.node]
    if inner.base_op in _LOG_SOFTMAX:
        return _along(inner, rank)
    if inner.base_op != "aten.sub" or len(inner.operands) != 2:
        return None
    above, below = (_origin(graph, operand) for operand in inner.operands)
    total = graph[below.node]
    if dict(inner.arguments).get("alpha", 1) != 1 or total.base_op != "aten.logsumexp":
        return None
    kept = dict(total.arguments).get("keepdim") is True
    return _along(total, rank) if kept and _origin(graph, total.operands[0]) == above else None


def _kept(_: OpGraph, node: Node, scale_of: _ScaleOf) -> int | None:
    return scale_of(node.operands[0]).shares


def _viewed(_: OpGraph, node: Node, scale_of: _ScaleOf) -> int | None:
    """A dim that keeps its elements keeps its sums."""
    x, after = scale_of(node.operands[0]), node.outputs[0].shape
    if x.shares is None:
        return None
    place = groups(x.shape, after).get(x.shares + len(x.shape))
    return None if place is None else place - len(after)


def _permuted(_: OpGraph, node: Node, scale_of: _ScaleOf) -> int | None:
    x = scale_of(node.operands[0])
    rank = len(x.shape)
    if x.shares is None:
        return None
    dims = tuple(argument for _, argument in node.arguments[1:])
    return order_of(_numbers(dims), rank).index(x.shares + rank) - rank


def _numbers(dims: tuple[Argument, ...]) -> tuple[int | tuple[int, ...], ...]:
    """The dims that a transposition names, one by one or in a list."""
    named: list[int | tuple[int, ...]] = []
    for dim in dims:
        if isinstance(dim, tuple):
            named.append(tuple(d for d in dim if isinstance(d, int)))
        elif isinstance(dim, int):
            named.append(dim)
    return tuple(named)


def _expanded(_: OpGraph, node: Node, scale_of: _ScaleOf) -> int | None:
    x, after = scale_of(node.operands[0]), node.outputs[0].shape
    return x.shares if x.shares is not None and x.shape[x.shares] == after[x.shares] else None


def _composed(_: OpGraph, node: Node, scale_of: _ScaleOf) -> int | None:
    """A product of matrices whose rows are shares has such rows; likewise columns."""
    first, second = (scale_of(operand) for operand in node.operands[:2])
    same = first.shares == second.shares and first.shares in (-1, -2)
    return first.shares if same and len(first.shape) == len(second.shape) > 1 else None


_RULES: Mapping[str, Callable[[OpGraph, Node, _ScaleOf], int | None]] = {
    **dict.fromkeys(_SOFTMAX, _softmax),
    **dict.fromkeys(SAME, _kept),
    **dict.fromkeys(_VIEWS, _viewed),
    **dict.fromkeys(_PERMUTED, _permuted),
    **dict.fromkeys(("aten.mm", "aten.bmm", "aten.matmul"), _composed),
    "aten.expand": _expanded,
    "aten.div": _quotient,
    "aten.exp": _exponential,
}
