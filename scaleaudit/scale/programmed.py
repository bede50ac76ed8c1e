"""Numbers that the program itself puts in some places: targets to ignore, weights of zero.

What data leave out in one batch they hold in another. What the program leaves out is never read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt, ne
from typing import TypeAlias

from scaleaudit.domain.graph import Argument, Node, NodeKind, OpGraph, Ref
from scaleaudit.domain.scale import AxisOf, Folded, Scale, Support
from scaleaudit.scale import algebra
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.joining import written_places
from scaleaudit.scale.laws.picking import picked
from scaleaudit.scale.laws.shapes import groups
from scaleaudit.scale.matrices import SAME

# For every index of a dim the number that stands there, None where it is data or not told.
Numbers: TypeAlias = "tuple[float | None, ...]"
_ScaleOf = Callable[[Ref], Scale]

_VIEWS = frozenset({
    "aten.view", "aten.reshape", "aten._unsafe_view", "aten.unsqueeze", "aten.squeeze",
    "aten.flatten", "aten.unflatten",
})  # fmt: skip
_COMPARED = {
    "aten.eq": eq, "aten.ne": ne, "aten.lt": lt, "aten.le": le, "aten.gt": gt, "aten.ge": ge,
}  # fmt: skip
_LIKELIHOODS = frozenset({"aten.nll_loss_forward", "aten.nll_loss2d_forward"})
# Values are followed back so many steps.
_FAR = 24


def noted(
    graph: OpGraph, node: Node, scales: tuple[Scale, ...], scale_of: _ScaleOf
) -> tuple[Scale, ...]:
    """Take from what a node's first output reads the places that the program leaves out."""
    first = scales[0]
    if first.support is None or first.opaque:
        return scales
    support: Support | None = first.support
    if node.base_op in _LIKELIHOODS:
        support = _with_targets(graph, node, first.support, scale_of)
    elif node.base_op == "aten.mul" and len(node.operands) == 2:
        support = _weighed(graph, node, first.support, scale_of)
    elif node.base_op == "aten.where" and first.pieces:
        return (_chosen(graph, node, first, scale_of), *scales[1:])
    if support == first.support:
        return scales
    rest = algebra.same_value(first, first.shape, support)
    grown = [scale_of(ref).growth for ref in node.operands]
    degrees = [growth.lo for growth in grown if growth.depends and growth.mix]
    if degrees:  # all elements of one degree may be left out
        g = rest.growth
        rest = replace(rest, growth=replace(g, attained=False, lo=min(g.lo, *degrees)))
    return (rest, *scales[1:])


def _with_targets(
    graph: OpGraph, node: Node, support: Support, scale_of: _ScaleOf
) -> Support | None:
    """Leave out the positions whose targets are ignored."""
    arguments = dict(node.arguments)
    target, ignored = arguments["target"], arguments.get("ignore_index")
    x = scale_of(node.operands[0]).support
    if not isinstance(target, Ref) or not isinstance(ignored, int) or x is None:
        return support
    axes = (x.axes[0], *x.axes[2:])  # all but that of the classes
    told = Told(graph, scale_of)
    while (unfolded := _unfolded(graph, target, axes)) is not None:
        target, axes = unfolded
    if _is_rearranged(graph[target.node]):  # it is not known which target is whose
        source = _source(graph, target)
        dims = range(len(graph.meta(source).shape))
        leaves_out = any(ignored in told.along(source, dim) for dim in dims)
        return algebra.untold(support) if leaves_out else support
    for dim, axis in enumerate(axes if len(axes) == len(graph.meta(target).shape) else ()):
        numbers = told.along(target, dim)
        kept = [index for index, number in enumerate(numbers) if number != ignored]
        if len(kept) == len(numbers):
            continue
        if not isinstance(axis, int):
            return algebra.untold(support)
        only = picked(replace(x, axes=(axis,)), 0, kept, drop=False)
        if only is None or len(only.reads) != len(support.reads):
            return algebra.untold(support)
        reads = tuple(a & b for a, b in zip(support.reads, only.reads, strict=True))
        support = replace(support, reads=reads)
    return support


def _unfolded(
    graph: OpGraph, target: Ref, axes: tuple[AxisOf, ...]
) -> tuple[Ref, tuple[AxisOf, ...]] | None:
    """Undo a view or a copy of the targets, and with it that of the positions."""
    node = graph[target.node]
    if not _is_rearranged(node):
        return None
    before, after = graph.meta(node.operands[0]).shape, node.outputs[0].shape
    apart: list[AxisOf] = []
    for axis, size in zip(axes, after, strict=False):
        factors: Folded = axis if isinstance(axis, tuple) else ((_plain(axis), size),)
        apart.extend(each for each, n in factors if n != 1)
    real = [i for i, size in enumerate(before) if size != 1]
    if len(real) != len(apart):
        return None
    found: list[AxisOf] = [None] * len(before)
    for i, axis in zip(real, apart, strict=True):
        found[i] = axis
    return node.operands[0], tuple(found)


def _is_rearranged(node: Node) -> bool:
    return node.kind is NodeKind.CALL and node.base_op in _VIEWS | SAME


def _source(graph: OpGraph, ref: Ref) -> Ref:
    """What a view or a copy, of another perhaps, is made of."""
    while _is_rearranged(graph[ref.node]):
        ref = graph[ref.node].operands[0]
    return ref


def _plain(axis: AxisOf) -> int | None:
    return axis if isinstance(axis, int) else None


def _weighed(graph: OpGraph, node: Node, support: Support, scale_of: _ScaleOf) -> Support | None:
    """Leave out what is multiplied by zeros."""
    for weights in node.operands:
        if not leaves_out(graph, weights, scale_of):
            continue
        told, shape = Told(graph, scale_of), graph.meta(weights).shape
        found: Support | None = support
        for dim in range(len(shape)):
            numbers = told.along(weights, dim)
            kept = [index for index, number in enumerate(numbers) if number != 0]
            if len(kept) < len(numbers):
                found = picked(
                    found, dim + len(node.outputs[0].shape) - len(shape), kept, drop=False
                )
        return found
    return support


def _chosen(graph: OpGraph, node: Node, result: Scale, scale_of: _ScaleOf) -> Scale:
    """Tell of what a choice is made, where the program says which places it takes from which."""
    if len(node.operands) != len(result.pieces) + 1:
        return result
    condition, *sources = node.operands
    told, shape = Told(graph, scale_of), graph.meta(condition).shape
    for dim in range(len(shape)):
        numbers = told.along(condition, dim)
        if shape[dim] == 1 or None in numbers:
            continue
        place = dim + len(node.outputs[0].shape) - len(shape)
        pieces = []
        for source, wanted in zip(map(scale_of, sources), (True, False), strict=True):
            kept = [index for index, number in enumerate(numbers) if bool(number) is wanted]
            support = algebra.realigned(source.support, len(node.outputs[0].shape))
            pieces.append(replace(source, support=picked(support, place, kept, drop=False)))
        return replace(result, given=result.form, pieces=tuple(pieces))
    return result


def leaves_out(graph: OpGraph, weights: Ref, scale_of: _ScaleOf) -> bool:
    """Whether the program puts zeros in some places of a value, and in others none."""
    scale = scale_of(weights)
    if scale.depends or scale.learned or scale.span.low != 0 or scale.span.is_point:
        return False
    if weights.node in graph.reads_inputs:
        return False
    told = Told(graph, scale_of)
    return any(0 in told.along(weights, dim) for dim in range(len(graph.meta(weights).shape)))


class Told:
    """What the program tells of its numbers."""

    def __init__(self, graph: OpGraph, scale_of: _ScaleOf) -> None:
        self._graph = graph
        self._scale_of = scale_of

    def along(self, ref: Ref, dim: int, far: int = _FAR) -> Numbers:
        """Return the number at every index of a dim, where it is the same along all others."""
        node, size = self._graph[ref.node], self._graph.meta(ref).shape[dim]
        constant = self._constant(ref)
        if constant is not None:
            return (constant,) * size
        rule = _RULES.get(node.base_op)
        numbers = rule(self, node, dim, far - 1) if rule is not None and far else None
        return numbers if numbers is not None and len(numbers) == size else (None,) * size

    def _constant(self, ref: Argument) -> float | None:
        """The one number that a value holds everywhere."""
        if isinstance(ref, (int, float)):
            return float(ref)
        if not isinstance(ref, Ref):
            return None
        span = self._scale_of(ref).span
        return span.low if span.is_point else None

    def shape(self, ref: Ref) -> tuple[int, ...]:
        """Return the shape of a value."""
        return self._graph.meta(ref).shape

    def copied(self, node: Node, dim: int, far: int) -> Numbers | None:
        """A copy has the numbers of its source."""
        return self.along(node.operands[0], dim, far)

    def viewed(self, node: Node, dim: int, far: int) -> Numbers | None:
        """A view has them along the dims that it keeps."""
        pairs = groups(self.shape(node.operands[0]), node.outputs[0].shape)
        old = next((old for old, new in pairs.items() if new == dim), None)
        return None if old is None else self.along(node.operands[0], old, far)

    def expanded(self, node: Node, dim: int, far: int) -> Numbers | None:
        """Broadcasting repeats them along other dims."""
        old = dim - len(node.outputs[0].shape) + len(self.shape(node.operands[0]))
        return self.along(node.operands[0], old, far) if old >= 0 else None

    def written(self, node: Node, dim: int, far: int) -> Numbers | None:
        """A write puts others in some places."""
        base, value, steps = (argument for _, argument in node.arguments)
        assert isinstance(base, Ref)
        places = written_places(steps, self.shape(base))  # type: ignore[arg-type]
        number = self._constant(value)
        old = self.along(base, dim, far)
        if places is None:
            return None
        if len(places) == 1 and places[0][0] == dim:
            return tuple(number if i in places[0][1] else kept for i, kept in enumerate(old))
        return tuple(kept if kept == number else None for kept in old)

    def joined(self, node: Node, dim: int, far: int) -> Numbers | None:
        """Joined along the dim, the numbers of the pieces follow each other."""
        axis = dict(node.arguments).get("dim", 0)
        if not isinstance(axis, int) or axis % len(node.outputs[0].shape) != dim:
            return None
        pieces = [ref for ref in node.operands if self.shape(ref) != (0,)]
        return tuple(number for ref in pieces for number in self.along(ref, dim, far))

    def padded(self, node: Node, dim: int, far: int) -> Numbers | None:
        """Padding puts a number at both ends."""
        arguments = dict(node.arguments)
        widths, place = arguments.get("pad"), 2 * (len(node.outputs[0].shape) - 1 - dim)
        if not isinstance(widths, tuple):
            return None
        before, after = (*widths, *(0,) * (place + 2))[place : place + 2]
        if not isinstance(before, int) or not isinstance(after, int) or min(before, after) < 0:
            return None
        number = self._constant(arguments.get("value", 0.0))
        return (number,) * before + self.along(node.operands[0], dim, far) + (number,) * after

    def sliced(self, node: Node, dim: int, far: int) -> Numbers | None:
        """A slice takes some of them."""
        base = node.operands[0]
        rest = tuple(argument for _, argument in node.arguments[1:])
        places = written_places(((node.op, rest),), self.shape(base))  # type: ignore[arg-type]
        if places is None:
            return None
        old = self.along(base, dim, far)
        taken = [indices for axis, indices in places if axis == dim]
        return tuple(old[i] for i in taken[0]) if taken else old

    def counted(self, node: Node, _: int, __: int) -> Numbers | None:
        """arange(n) counts from 0."""
        if node.op != "aten.arange.default":
            return None
        return tuple(map(float, range(node.outputs[0].shape[0])))

    def compared(self, node: Node, dim: int, far: int) -> Numbers | None:
        """A comparison with a number is 1 where it holds."""
        number = self._constant(node.arguments[1][1])
        holds = _COMPARED[node.base_op]
        return tuple(
            None if known is None or number is None else float(holds(known, number))
            for known in self.along(node.operands[0], dim, far)
        )


_RULES: Mapping[str, Callable[[Told, Node, int, int], Numbers | None]] = {
    **dict.fromkeys(SAME, Told.copied),
    **dict.fromkeys(_VIEWS, Told.viewed),
    **dict.fromkeys(_COMPARED, Told.compared),
    "aten.arange": Told.counted,
    "aten.expand": Told.expanded,
    "scaleaudit.write_view": Told.written,
    "aten.cat": Told.joined,
    "aten.constant_pad_nd": Told.padded,
    "aten.slice": Told.sliced,
}
