"""Where a dim of a result was in the operands, by operator, and what the operator does along it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from itertools import zip_longest
from typing import NamedTuple, TypeAlias

from scaleaudit.domain.graph import Node, OpGraph
from scaleaudit.scale.laws.shapes import groups, order_of
from scaleaudit.scale.matrices import SAME, TRANSPOSED
from scaleaudit.scale.shares import VIEWS, along, numbers

_ROWS = 2


class Route(Enum):
    """How a result hangs together with what its operands are along a dim."""

    LINEAR = "linear"
    CHOSEN = "chosen"
    PICKED = "picked"
    PRODUCT = "product"
    QUOTIENT = "quotient"
    POWER = "power"
    FUNCTION = "function"
    DISTANCE = "distance"
    UNKNOWN = "unknown"


class Nowhere(Enum):
    """Stands for a dim that an operand has not: it is the same all along."""

    COMMON = "common"


COMMON = Nowhere.COMMON
# None: the operand is one of several values that stand beside each other.
Dim: TypeAlias = "int | Nowhere | None"


class Routed(NamedTuple):
    """What an operator does along a dim, and where that is in every operand."""

    kind: Route
    dims: tuple[Dim, ...]


def route_of(graph: OpGraph, node: Node, dim: int | None) -> Routed | None:
    """Return where a dim of a node's result comes from; None where that is not followed.

    Args:
        dim: From the end; None for values that stand beside each other, each with all its dims.
    """
    kind = _KINDS.get(node.base_op)
    if not node.operands:
        return None
    if kind is None:
        kind = Route.UNKNOWN if _is_by_element(graph, node) else None
    if kind is None or dim is None:
        return None if kind is None else Routed(kind, (None,) * len(node.operands))
    place = _PLACES.get(node.base_op)
    dims = place(graph, node, dim) if place else (dim,) * len(node.operands)
    return None if dims is None else Routed(kind, dims)


def _is_by_element(graph: OpGraph, node: Node) -> bool:
    """Whether a result is as large as its operands beside each other, as if made by element."""
    shapes = [graph.meta(ref).shape for ref in node.operands]
    aligned = zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
    return tuple(max(sizes) for sizes in aligned)[::-1] == node.outputs[0].shape


def merged_dims(graph: OpGraph, node: Node, dim: int) -> tuple[int, ...]:
    """The dims, from the end, of which a view made the one at hand, or of one of which it is a part."""
    if node.base_op not in VIEWS:
        return ()
    before, after = graph.meta(node.operands[0]).shape, node.outputs[0].shape
    kept = groups(before, after)
    if dim + len(after) in kept.values():
        return ()
    return tuple(d - len(before) for d in range(len(before)) if d not in kept and before[d] > 1)


_Dims: TypeAlias = "tuple[Dim, ...] | None"


def _through_view(graph: OpGraph, node: Node, dim: int) -> _Dims:
    before, after = graph.meta(node.operands[0]).shape, node.outputs[0].shape
    found = [old for old, new in groups(before, after).items() if new == dim + len(after)]
    return (found[0] - len(before),) if found else None


def _through_transposition(_: OpGraph, node: Node, dim: int) -> _Dims:
    rank = len(node.outputs[0].shape)
    dims = numbers(tuple(argument for _, argument in node.arguments[1:]))
    return (order_of(dims, rank)[dim + rank] - rank,)


def _through_reduction(graph: OpGraph, node: Node, dim: int) -> _Dims:
    """Where a dim was before others were reduced."""
    arguments, rank = dict(node.arguments), len(graph.meta(node.operands[0]).shape)
    over = arguments.get("dim")
    chosen = over if isinstance(over, tuple) else (over,)
    gone = {d % rank for d in chosen if isinstance(d, int)}
    if not gone or arguments.get("keepdim") is True:
        return (dim,) if gone else None
    left = [d for d in range(rank) if d not in gone]
    return (left[dim + len(left)] - rank,)


def _through_slice(graph: OpGraph, node: Node, dim: int) -> _Dims:
    kept = len(graph.meta(node.operands[0]).shape) == len(node.outputs[0].shape)
    return (dim,) if kept else _through_reduction(graph, node, dim)


def _through_join(_: OpGraph, node: Node, dim: int) -> _Dims:
    """Where a dim was before values were joined along another one."""
    rank, joined = len(node.outputs[0].shape), dict(node.arguments).get("dim", 0)
    if not isinstance(joined, int):
        return None
    left = node.base_op == "aten.stack" and dim < joined % rank - rank
    return (dim + 1 if left else dim,) * len(node.operands)


def _through_picking(graph: OpGraph, node: Node, dim: int) -> _Dims:
    """What is picked along the dim was there before; where to pick is not asked."""
    rank = len(graph.meta(node.operands[0]).shape)
    return (dim, *(COMMON for _ in node.operands[1:])) if along(node, rank) == dim else None


def _through_matmul(graph: OpGraph, node: Node, dim: int) -> _Dims:
    """Rows come from the first factor and columns from the second; batches from both."""
    *added, x, y = node.operands
    if min(len(graph.meta(ref).shape) for ref in (x, y)) < _ROWS:
        return None
    places: tuple[Dim, Dim] = (COMMON if dim == -1 else dim, COMMON if dim == -_ROWS else dim)
    return (*(dim for _ in added), *places)


def _through_linear(_: OpGraph, node: Node, dim: int) -> _Dims:
    bias = node.operands[2:]
    if dim == -1:
        return (COMMON, -_ROWS, *(-1 for _ in bias))
    return (dim, COMMON, *(COMMON for _ in bias))


def _through_distances(_: OpGraph, node: Node, dim: int) -> _Dims:
    if len(node.operands) != _ROWS or dim < -_ROWS:
        return None
    return (COMMON, -_ROWS) if dim == -1 else (-_ROWS, COMMON)


_PERMUTED = TRANSPOSED | {"aten.permute"}
_REDUCED = frozenset({"aten.sum", "aten.mean", "aten.linalg_vector_norm", "aten.norm"})
_JOINED = frozenset({"aten.cat", "aten.stack"})
_MATMUL = frozenset({"aten.mm", "aten.bmm", "aten.matmul", "aten.addmm", "aten.baddbmm"})
_PICKING = frozenset({"aten.topk", "aten.sort", "aten.gather", "aten.index_select"})
_DISTANCES = frozenset({"aten._cdist_forward", "aten.cdist", "aten._euclidean_dist"})

_KINDS: Mapping[str, Route] = {
    **dict.fromkeys(SAME | VIEWS | _PERMUTED | _JOINED, Route.LINEAR),
    **dict.fromkeys(("aten.add", "aten.sub", "aten.rsub", "aten.neg"), Route.LINEAR),
    **dict.fromkeys(("aten.sum", "aten.mean", "aten.expand"), Route.LINEAR),
    **dict.fromkeys(("aten.slice", "aten.select"), Route.LINEAR),
    **dict.fromkeys(("aten.where", "aten.masked_fill"), Route.CHOSEN),
    **dict.fromkeys(_MATMUL | {"aten.linear", "aten.mul"}, Route.PRODUCT),
    **dict.fromkeys(_PICKING, Route.PICKED),
    "aten.div": Route.QUOTIENT,
    **dict.fromkeys(("aten.pow", "aten.square"), Route.POWER),
    **dict.fromkeys(("aten.abs", "aten.sqrt", "aten.log", "aten.relu"), Route.FUNCTION),
    **dict.fromkeys(("aten.silu", "aten.gelu", "aten.softplus"), Route.FUNCTION),
    **dict.fromkeys(("aten.leaky_relu", "aten.clamp_min", "aten.clamp"), Route.FUNCTION),
    **dict.fromkeys(("aten.linalg_vector_norm", "aten.norm"), Route.FUNCTION),
    **dict.fromkeys(_DISTANCES, Route.DISTANCE),
}
_PLACES: Mapping[str, Callable[[OpGraph, Node, int], _Dims]] = {
    **dict.fromkeys(VIEWS, _through_view),
    **dict.fromkeys(_PERMUTED, _through_transposition),
    **dict.fromkeys(_REDUCED, _through_reduction),
    **dict.fromkeys(("aten.slice", "aten.select"), _through_slice),
    **dict.fromkeys(_JOINED, _through_join),
    **dict.fromkeys(_MATMUL, _through_matmul),
    **dict.fromkeys(_PICKING, _through_picking),
    "aten.linear": _through_linear,
    **dict.fromkeys(_DISTANCES, _through_distances),
}
