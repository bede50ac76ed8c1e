"""Values taken apart into what is the same all along a dim, and what is not.

A softmax does not see what all elements along its dim have in common: it drops out, and the rest
decides, of however low a degree. So -|h - E|² is as far as a softmax goes 2 h E - |E|². A value is
followed back through what is linear, through products, and through functions of a large common part
and a small rest, f(c + r) = f(c) + f'(c) r in the limit. Where that leads nowhere, nothing is taken to
be in common, except where a function of such a sum is not known: then nothing is claimed but a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from scaleaudit.domain.graph import Argument, Node, NodeKind, OpGraph, Ref
from scaleaudit.domain.scale import ZERO, Scale
from scaleaudit.scale import algebra
from scaleaudit.scale.copying import replace
from scaleaudit.scale.routes import COMMON, Dim, merged_dims, route_of
from scaleaudit.scale.splits import Evaluate, Split, bounded, combined, shaped, zero

# So many operators back nothing more is looked for.
_FAR = 40


class Splitter:
    """Takes values of one pass apart.

    Args:
        scale_of: What is known of a value.
        free: The values that come from nowhere.
        evaluate: The law of an operator, on other operands than its own.
    """

    def __init__(
        self,
        graph: OpGraph,
        scale_of: Callable[[Ref], Scale],
        free: Container[Ref],
        evaluate: Evaluate,
    ) -> None:
        self._graph, self._scale_of, self._free = graph, scale_of, free
        self._evaluate = evaluate
        self._known: dict[tuple[tuple[Ref, ...], int | None], Split] = {}

    def split(self, ref: Ref, dim: int) -> Split:
        """Take a value apart along a dim, from the end."""
        return self._split((ref,), dim, _FAR)

    def remade(self, node: Node, first: Scale) -> Scale:
        """Return what an operator makes of another value in the place of its first operand."""
        return self._evaluate(node, [first, *map(self._scale_of, node.operands[1:])])

    def _split(self, refs: tuple[Ref, ...], dim: int | None, far: int) -> Split:
        """Take a value apart; or several, one beside the other, where there is no dim."""
        key = (refs, dim)
        if key not in self._known:
            self._known[key] = self._taken_apart(refs, dim, far)
        return self._known[key]

    def _taken_apart(self, refs: tuple[Ref, ...], dim: int | None, far: int) -> Split:
        whole, shape = self._whole(refs), self._graph.meta(refs[0]).shape
        one = refs.count(refs[0]) == len(refs) if dim is None else _is_one(shape, dim)
        if one or (whole.span.is_point and not whole.depends):
            return Split(whole, zero(whole.shape))
        nodes = [self._graph[ref.node] for ref in refs]
        grows = whole.depends and not whole.opaque and whole.growth.hi > ZERO
        ends = not far or any(ref in self._free or ref.output for ref in refs)
        found = self._followed(nodes, whole, dim, far) if grows and not ends else None
        return found or Split(zero(whole.shape), whole)

    def _followed(
        self, nodes: Sequence[Node], whole: Scale, dim: int | None, far: int
    ) -> Split | None:
        """Take a value apart by what it is computed from; None where nothing is in common."""
        first = nodes[0]
        if not _are_alike(nodes):
            return None
        if dim is not None and _stands_apart(first, dim):
            return self._of_neighbours(first, dim, far)
        vague = Split(zero(whole.shape), bounded(whole), vague=True)
        route = route_of(self._graph, first, dim)
        if route is None:
            lost = merged_dims(self._graph, first, dim) if dim is not None else ()
            told = (self._split(first.operands[:1], each, far - 1).is_told for each in lost)
            return vague if any(told) else None
        parts = [
            self._operand(tuple(node.operands[place] for node in nodes), along, far)
            for place, along in enumerate(route.dims)
        ]
        if not any(part.is_told for part in parts):
            return None
        return combined(route.kind, self._evaluate, first, parts) or vague

    def _whole(self, refs: tuple[Ref, ...]) -> Scale:
        scales = [self._scale_of(ref) for ref in dict.fromkeys(refs)]
        whole = algebra.mixture(*scales)
        return whole if len(scales) == 1 else replace(whole, shape=scales[0].shape)

    def _operand(self, refs: tuple[Ref, ...], along: Dim, far: int) -> Split:
        if along is COMMON:
            whole = self._whole(refs)
            return Split(whole, zero(whole.shape))
        return self._split(refs, along, far - 1)

    def _of_neighbours(self, node: Node, dim: int, far: int) -> Split | None:
        """What values have in common that are joined along the dim, each of one place there."""
        pieces = node.operands
        shapes = {self._graph.meta(ref).shape for ref in pieces}
        if len(shapes) != 1:
            return None
        made = self._split(pieces, None, far - 1)
        if not made.is_told:
            return None
        if node.base_op == "aten.cat" and not _is_one(next(iter(shapes)), dim):
            return Split(zero(()), bounded(self._scale_of(Ref(node.id))), vague=True)
        return Split(shaped(made.common, node), shaped(made.rest, node), made.vague)


def _is_one(shape: tuple[int, ...], dim: int) -> bool:
    return -dim > len(shape) or shape[dim] == 1


def _are_alike(nodes: Sequence[Node]) -> bool:
    """Whether some values are computed in the same way, from different operands."""
    first, *others = nodes
    return first.kind is NodeKind.CALL and all(
        node.op == first.op
        and node.outputs[0].shape == first.outputs[0].shape
        and _constants(node) == _constants(first)
        for node in others
    )


def _constants(node: Node) -> tuple[Argument, ...]:
    return tuple(_without_refs(argument) for _, argument in node.arguments)


def _without_refs(argument: Argument) -> Argument:
    if isinstance(argument, tuple):
        return tuple(_without_refs(item) for item in argument)
    return "" if isinstance(argument, Ref) else argument


def _stands_apart(node: Node, dim: int) -> bool:
    """Whether a node joins values along the dim."""
    joins = node.base_op in ("aten.cat", "aten.stack")
    rank = len(node.outputs[0].shape)
    along = dict(node.arguments).get("dim", 0)
    return joins and isinstance(along, int) and along % rank - rank == dim
