"""Values side by side in one: what is picked from them, or added up, is theirs again.

A program that keeps a list of what its turns made joins it where it reads it, and sums over the
joint: a residual stream in another spelling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from itertools import accumulate

from scaleaudit.domain.graph import Node, Ref
from scaleaudit.domain.scale import Scale, Stacked
from scaleaudit.scale import algebra, shares
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.picking import from_end
from scaleaudit.scale.laws.shapes import rearranged

_ScaleOf = Callable[[Ref], Scale]


def noted(node: Node, scales: tuple[Scale, ...], scale_of: _ScaleOf) -> tuple[Scale, ...]:
    """Add to the scales of a node's outputs what they hold side by side, and what that tells.

    Args:
        scale_of: What is known of the operands.
    """
    op, first = node.base_op, scales[0]
    if first.opaque or not first.depends or op not in _OPERATORS:
        return scales
    operands = [scale_of(ref) for ref in node.operands]
    if op in _JOINED:
        return (_held(first, _joined(node, operands)),)
    if op in _PRODUCTS:
        return (_product(op, operands, first), *scales[1:])
    x = operands[0]
    if x.stacked is None:
        return scales
    if op in _PICKED and x.stacked.width == 1 and _runs_along(node, x):
        return _picked(node, scales, x.stacked)
    stacked = _FOLLOWED[op](node, x, x.stacked) if op in _FOLLOWED else None
    return (_held(first, stacked), *scales[1:])


def _named(node: Node, name: str, default: int) -> int:
    value = dict(node.arguments).get(name)
    return value if isinstance(value, int) else default


def _held(x: Scale, stacked: Stacked | None) -> Scale:
    return x if stacked is None else replace(x, given=x.form, stacked=stacked)


def _joined(node: Node, pieces: list[Scale]) -> Stacked | None:
    """A stack, or values of one size joined along a dim."""
    rank = len(node.outputs[0].shape)
    dim = _named(node, "dim", 0) % rank - rank
    if node.base_op == "aten.stack":
        return Stacked(tuple(pieces), dim)
    if len(pieces) < 2 or len({piece.shape for piece in pieces}) != 1:
        return None
    width = pieces[0].shape[dim]
    values = [_without(piece, dim) for piece in pieces] if width == 1 else pieces
    return Stacked(tuple(values), dim, width)


def _without(x: Scale, dim: int) -> Scale:
    """A value without a dim of size 1."""
    place = dim + len(x.shape)
    shape = (*x.shape[:place], *x.shape[place + 1 :])
    support = x.support
    if support is not None and len(support.axes) == len(x.shape):
        axes = (*support.axes[:place], *support.axes[place + 1 :])
        support = replace(support, axes=axes)
    return algebra.same_value(rearranged(x, ("view", (), x.shape, shape)), shape, support)


def _moved(node: Node, x: Scale, stacked: Stacked) -> Stacked | None:
    """Follow a change of shape, which may give what was joined a dim of its own."""
    dim = shares.place_of(node, x, stacked.dim)
    if dim is not None:
        return Stacked(stacked.values, dim, stacked.width)
    before, after = x.shape, node.outputs[0].shape
    ahead = math.prod(before[: stacked.dim])
    for place, size in enumerate(after):
        if math.prod(after[:place]) == ahead and size == len(stacked.values):
            return Stacked(stacked.values, place - len(after))
    return None


def _runs_along(node: Node, x: Scale) -> bool:
    """Whether an operator runs along the dim of the values side by side, each taking one place."""
    dim = dict(node.arguments).get("dim", 0)
    return (
        x.stacked is not None
        and x.stacked.width == 1
        and isinstance(dim, int)
        and dim % len(x.shape) - len(x.shape) == x.stacked.dim
    )


def _picked(node: Node, scales: tuple[Scale, ...], stacked: Stacked) -> tuple[Scale, ...]:
    """One of the values, or each by itself."""
    values = stacked.values
    if node.base_op == "aten.select":
        index = _named(node, "index", 0)
        values = (values[from_end(index, len(values))],)
    return tuple(
        algebra.same_value(value, scale.shape, algebra.realigned(value.support, len(scale.shape)))
        for value, scale in zip(values, scales, strict=True)
    )


def _sliced(node: Node, x: Scale, stacked: Stacked) -> Stacked | None:
    """Some of the values; what another dim loses, each of them would."""
    if not _runs_along(node, x):
        return None
    count = len(stacked.values)
    start, stop = (
        from_end(_named(node, name, default), count)
        for name, default in (("start", 0), ("end", count))
    )
    values = stacked.values[max(start, 0) : max(stop, 0) : _named(node, "step", 1)]
    return replace(stacked, values=values) if values else None


def _running(node: Node, x: Scale, stacked: Stacked) -> Stacked | None:
    """A running sum holds the sums of the values up to each."""
    if not _runs_along(node, x):
        return None
    return replace(stacked, values=tuple(accumulate(stacked.values, algebra.plus)))


def _product(op: str, operands: list[Scale], product: Scale) -> Scale:
    """Values side by side, each times a weight of its own, added up where matrices multiply."""
    if len(operands) != 2:
        return product
    for x, weights in (operands, operands[::-1]):
        if x.stacked is None or x.stacked.width > 1 or weights.depends:
            continue
        if weights.shares is not None or weights.opaque:
            continue
        if op == "aten.mul":
            return _held(product, _weighted(x.stacked, weights))
        left = weights is operands[0]
        if _is_one_sum(x.stacked, weights, left=left):
            summed = reduce(algebra.plus, _weighted(x.stacked, weights).values)
            return replace(product, given=summed.form)
    return product


def _weighted(stacked: Stacked, weights: Scale) -> Stacked:
    """Each value times what stands beside it: one factor for all, or any of the weights."""
    varies = len(weights.shape) >= -stacked.dim and weights.shape[stacked.dim] > 1
    values = tuple(
        algebra.times(value, replace(weights, given=None, shape=()) if varies else weights)
        for value in stacked.values
    )
    return replace(stacked, values=values)


def _is_one_sum(stacked: Stacked, weights: Scale, *, left: bool) -> bool:
    """Whether a matrix of weights has one row, or a column from the right, or is a vector."""
    others = weights.shape[-2:-1] if left else weights.shape[-1:]
    contracted = -2 if left else -1
    return stacked.dim == contracted and (len(weights.shape) == 1 or others == (1,))


_JOINED = frozenset({"aten.stack", "aten.cat"})
_PICKED = frozenset({"aten.select", "aten.unbind"})
_PRODUCTS = frozenset({"aten.mul", "aten.mm", "aten.bmm", "aten.matmul", "aten.mv"})
_FOLLOWED: Mapping[str, Callable[[Node, Scale, Stacked], Stacked | None]] = {
    **dict.fromkeys(shares.MOVED, _moved),
    "aten.slice": _sliced,
    "aten.cumsum": _running,
}
_OPERATORS = _JOINED | _PICKED | _PRODUCTS | frozenset(_FOLLOWED)
