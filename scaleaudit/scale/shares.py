"""Values that share 1 out along a dim: never negative, and adding up to 1 there.

Softmaxes make them, and so does division by a sum, once or in turns along two dims until both add
up. A sum that is weighted by shares is a mean: it is no larger than the largest of what it mixes.
A constant that keeps a divisor from 0 leaves less than 1 to share, which bounds as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scaleaudit.domain.graph import Argument, Node, NodeKind, OpGraph, Ref
from scaleaudit.domain.scale import Form, Interval, Poly, Scale, Weighted
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.shapes import groups, order_of
from scaleaudit.scale.matrices import SAME, TRANSPOSED, floored

VIEWS = frozenset({
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
    op, first = node.base_op, scales[0]
    if first.opaque or op not in _OPERATORS:
        return scales
    if op in _MADE:
        made = _made(first, _MADE[op](graph, node, scale_of))
        return (made, *scales[1:])
    if op in MOVED:
        return (_moved(node, first, scale_of(node.operands[0])), *scales[1:])
    if op in _PICKED:
        return _picked(node, scales, scale_of(node.operands[0]))
    if len(node.operands) == 2:
        x, y = map(scale_of, node.operands)
        first = _multiplied(op, x, y, first)
    return (first, *scales[1:])


def has_notes(x: Scale) -> bool:
    """Whether anything is noted here of a value."""
    return x.shares is not None or x.weighted is not None or x.stacked is not None


def without_notes(x: Scale) -> Scale:
    """Return a value without what was noted of the operand that it was taken from."""
    return replace(x, given=x.form, shares=None, weighted=None, stacked=None)


def _multiplied(op: str, x: Scale, y: Scale, product: Scale) -> Scale:
    if op != "aten.mul":
        return _composed(x, y, product)
    weighted = _weighted(x, y, product)
    return replace(product, given=product.form, weighted=weighted) if weighted else product


def _made(result: Scale, dim: int | None) -> Scale:
    if dim is None:
        return result
    inside = result.span.low >= 0 and result.span.high <= 1
    span = result.span if inside else Interval(0.0, 1.0)
    return replace(result, given=None, span=span, shares=dim)


def _moved(node: Node, result: Scale, x: Scale) -> Scale:
    """Follow the dim of shares through a change of shape."""
    if x.shares is None:
        return result
    return replace(result, given=result.form, shares=place_of(node, x, x.shares))


def place_of(node: Node, x: Scale, dim: int) -> int | None:
    """Where a dim is after a change of shape; a dim that keeps its elements keeps its sums."""
    op, after = node.base_op, node.outputs[0].shape
    rank = len(x.shape)
    if op in VIEWS:
        place = groups(x.shape, after).get(dim + rank)
        return None if place is None else place - len(after)
    if op in _PERMUTED:
        dims = tuple(argument for _, argument in node.arguments[1:])
        return order_of(numbers(dims), rank).index(dim + rank) - rank
    return dim if x.shape[dim] == after[dim] else None


def _picked(node: Node, scales: tuple[Scale, ...], x: Scale) -> tuple[Scale, ...]:
    """Single shares, which divide a whole between them; those of other dims keep it."""
    terms = [*x.form.rest.terms] if x.shares is not None and not x.form.parts else []
    if len(terms) != 1 or len(terms[0]) != 1:
        return scales
    dim = dict(node.arguments).get("dim")
    if not isinstance(dim, int) or dim % len(x.shape) - len(x.shape) != x.shares:
        return scales
    (whole,), size = terms[0], x.shape[dim]
    index = dict(node.arguments).get("index")
    places = range(size) if node.base_op == "aten.unbind" else (index,)
    picked = []
    for place, scale in zip(places, scales, strict=True):
        assert isinstance(place, int)
        share = whole.viewed((("share", (place % size,), x.shape, scale.shape),))
        share.share_of = (whole.base, size)
        picked.append(replace(scale, given=Form({}, Poly({(share,): 1.0}))))
    return tuple(picked)


def _weighted(x: Scale, y: Scale, product: Scale) -> Weighted | None:
    """Tell which of two factors holds shares of the other, along a dim that both have in full."""
    for shares, value in ((x, y), (y, x)):
        dim = shares.shares
        if dim is None or not value.depends or not product.depends:
            continue
        full = all(
            -dim <= len(v.shape) and v.shape[dim] == product.shape[dim] for v in (shares, value)
        )
        if full:
            return Weighted(value, shares, dim)
    return None


def _softmax(_graph: OpGraph, node: Node, _: _ScaleOf) -> int | None:
    return along(node, len(node.outputs[0].shape))


def along(node: Node, rank: int) -> int | None:
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
    return along(total, len(x.shape)) if kept and same else None


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
        return along(inner, rank)
    if inner.base_op != "aten.sub" or len(inner.operands) != 2:
        return None
    above, below = (_origin(graph, operand) for operand in inner.operands)
    total = graph[below.node]
    if dict(inner.arguments).get("alpha", 1) != 1 or total.base_op != "aten.logsumexp":
        return None
    kept = dict(total.arguments).get("keepdim") is True
    return along(total, rank) if kept and _origin(graph, total.operands[0]) == above else None


def numbers(dims: tuple[Argument, ...]) -> tuple[int | tuple[int, ...], ...]:
    """The dims that a transposition names, one by one or in a list."""
    named: list[int | tuple[int, ...]] = []
    for dim in dims:
        if isinstance(dim, tuple):
            named.append(tuple(d for d in dim if isinstance(d, int)))
        elif isinstance(dim, int):
            named.append(dim)
    return tuple(named)


def _composed(x: Scale, y: Scale, product: Scale) -> Scale:
    """A product of matrices whose rows are shares has such rows; likewise columns."""
    same = x.shares == y.shares and x.shares in (-1, -2)
    if not same or len(x.shape) != len(y.shape) or len(x.shape) < 2:
        return product
    return replace(product, given=product.form, shares=x.shares)


_MADE: Mapping[str, Callable[[OpGraph, Node, _ScaleOf], int | None]] = {
    **dict.fromkeys(_SOFTMAX, _softmax),
    "aten.div": _quotient,
    "aten.exp": _exponential,
}
MOVED = SAME | VIEWS | _PERMUTED | {"aten.expand"}
_PICKED = frozenset({"aten.select", "aten.unbind"})
_PRODUCTS = frozenset({"aten.mul", "aten.mm", "aten.bmm", "aten.matmul"})
_OPERATORS = frozenset(_MADE) | MOVED | _PICKED | _PRODUCTS
