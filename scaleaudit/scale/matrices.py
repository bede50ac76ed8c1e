"""How far a matrix that is computed from weights can stretch a vector, by the way it is computed.

A matrix divided by its own norm stretches nothing: by its Frobenius norm, by its largest singular
value, or by what a power iteration finds for that. The last is never above the true value, and
reaches it as the iteration settles, which it does while training goes on; the bound holds to that
accuracy, and only where the iteration itself is part of the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from scaleaudit.domain.graph import Argument, Node, NodeKind, OpGraph, Ref
from scaleaudit.domain.scale import Interval, Scale
from scaleaudit.scale import intervals
from scaleaudit.scale.algebra import number

MATRIX_RANK = 2
UNIT = intervals.point(1.0)

SAME = frozenset({
    "aten.clone", "aten.detach", "aten.alias", "aten._to_copy", "aten.lift_fresh", "aten.contiguous",
})  # fmt: skip
TRANSPOSED = frozenset({"aten.t", "aten.transpose", "aten.adjoint", "aten.mT", "aten.numpy_T"})
_VIEWS = frozenset({"aten.view", "aten.reshape", "aten._unsafe_view", "aten.permute"})
SIZES = frozenset({
    "aten.squeeze", "aten.unsqueeze", "aten.expand", "aten.view", "aten.reshape", "aten._unsafe_view",
})  # fmt: skip
_PRODUCTS = frozenset({
    "aten.mv", "aten.mm", "aten.dot", "aten.vdot", "aten.matmul", "aten.inner",
})  # fmt: skip
_SINGULAR_VALUES = {"aten._linalg_svd": 1, "aten.linalg_svdvals": 0, "aten.linalg_svd": 1}

ScaleOf: TypeAlias = "Callable[[Ref], Scale]"


def norm_of(graph: OpGraph, ref: Ref, scale_of: ScaleOf) -> Interval | None:
    """Return the range of the spectral norm of a matrix that no state reaches, where bounded.

    Args:
        scale_of: What is known of a value that no state reaches, its norm included.
    """
    if len(graph.meta(ref).shape) != MATRIX_RANK:
        return None
    node = graph[ref.node]
    op = node.base_op
    if op in _RULES:
        return _RULES[op](graph, node, scale_of)
    kept = op in SAME or op in TRANSPOSED or _keeps_shape(graph, node)
    return scale_of(node.operands[0]).norm if kept and node.operands else None


def _keeps_shape(graph: OpGraph, node: Node) -> bool:
    same = node.base_op in _VIEWS and node.base_op != "aten.permute"
    return same and graph.meta(node.operands[0]).shape == node.outputs[0].shape


def _quotient(graph: OpGraph, node: Node, scale_of: ScaleOf) -> Interval | None:
    """W / s, or c W / s: at most c where s is a norm of W."""
    (_, above), (_, below), *_ = node.arguments
    if not isinstance(above, Ref):
        return None
    if isinstance(below, Ref) and _single(graph, below):
        for factor, matrix in _factors(graph, above, scale_of):
            if _is_norm_of(graph, below, matrix):
                return factor
    known = scale_of(above).norm
    divisor = _magnitude(graph, below, scale_of)
    if known is None or divisor is None or not divisor.low > 0:
        return None
    return intervals.multiply(known, intervals.reciprocal(divisor))


def _factors(graph: OpGraph, ref: Ref, scale_of: ScaleOf) -> Iterator[tuple[Interval, Ref]]:
    """Take the scalar factors off a matrix, one by one: their product, and what they multiply."""
    total = UNIT
    known: Interval | None = UNIT
    while known is not None:
        total = intervals.multiply(total, known)
        yield total, ref
        node = graph[ref.node]
        known = None
        for matrix, factor in _both_ways(node) if node.base_op == "aten.mul" else ():
            if isinstance(matrix, Ref) and not _single(graph, matrix) and known is None:
                known, ref = _magnitude(graph, factor, scale_of), matrix


def _product(graph: OpGraph, node: Node, scale_of: ScaleOf) -> Interval | None:
    """A bounded matrix times a number, or times a factor of bounded size."""
    for matrix, factor in _both_ways(node):
        known = scale_of(matrix).norm if isinstance(matrix, Ref) else None
        size = _magnitude(graph, factor, scale_of)
        if known is not None and size is not None:
            return intervals.multiply(known, size)
    return None


def _both_ways(node: Node) -> Iterator[tuple[Argument, Argument]]:
    first, second = (argument for _, argument in node.arguments[:2])
    yield first, second
    yield second, first


def _magnitude(graph: OpGraph, factor: Argument, scale_of: ScaleOf) -> Interval | None:
    """Range of |c| for a number, or for a value of one element."""
    if isinstance(factor, Ref):
        if not _single(graph, factor):
            return None
        span = scale_of(factor).span
    elif isinstance(factor, (int, float)):
        span = number(float(factor)).span
    else:
        return None
    return intervals.even(span, abs) if span.is_finite else None


def _single(graph: OpGraph, ref: Ref) -> bool:
    return all(size == 1 for size in graph.meta(ref).shape)


def _is_norm_of(graph: OpGraph, divisor: Ref, matrix: Ref) -> bool:
    """Whether a value is at least the spectral norm of a matrix, or what an iteration finds for it."""
    ref = floored(graph, divisor)
    node = graph[ref.node]
    if node.base_op in {"aten.linalg_vector_norm", "aten.norm"}:
        return _is_euclidean(graph, node) and _root(graph, node.operands[0]) == _root(graph, matrix)
    if node.base_op in {"aten.amax", "aten.max"}:
        source = node.operands[0]
        values = _SINGULAR_VALUES.get(graph[source.node].base_op)
        whole = _single(graph, ref) and values == source.output
        return whole and _same_matrix(graph, graph[source.node].operands[0], matrix)
    if node.base_op in _PRODUCTS:
        return _is_settling(graph, _chain(graph, ref), matrix)
    return False


def floored(graph: OpGraph, ref: Ref, sizes: frozenset[str] = SIZES) -> Ref:
    """Go back to what a value is never below: before max(x, c), x + eps, and copies.

    Args:
        sizes: Changes of shape that may lie between.
    """
    while True:
        node = graph[ref.node]
        if node.kind is not NodeKind.CALL:
            return ref
        arguments = [argument for _, argument in node.arguments[:2]]
        passing = node.base_op in SAME or node.base_op in sizes
        floor = node.base_op in {"aten.clamp_min", "aten.clamp", "aten.maximum"}
        unlimited = node.base_op != "aten.clamp" or dict(node.arguments).get("max") is None
        second = arguments[1] if len(arguments) > 1 else None
        positive = isinstance(second, (int, float)) and second >= 0
        raised = node.base_op == "aten.add" and positive
        if not (passing or raised or (floor and unlimited)) or not isinstance(arguments[0], Ref):
            return ref
        ref = arguments[0]


def _is_euclidean(graph: OpGraph, node: Node) -> bool:
    """Whether a node is the root of the sum of all squares."""
    arguments = dict(node.arguments)
    order = arguments.get("ord", arguments.get("p", 2))
    return order in {2, None} and _single(graph, Ref(node.id))


def _root(graph: OpGraph, ref: Ref) -> Ref:
    """The value of which another is a rearranged copy: its elements are the same."""
    while True:
        node = graph[ref.node]
        if node.base_op not in SAME | TRANSPOSED | _VIEWS or node.kind is not NodeKind.CALL:
            return ref
        ref = node.operands[0]


def _oriented(graph: OpGraph, ref: Ref) -> tuple[Ref, bool]:
    """The matrix that a value is a copy of, and whether it is transposed."""
    turned = False
    while True:
        node = graph[ref.node]
        shape = graph.meta(ref).shape
        if node.kind is not NodeKind.CALL or len(shape) != MATRIX_RANK:
            return ref, turned
        swapped = node.base_op in TRANSPOSED or (
            node.base_op == "aten.permute" and dict(node.arguments).get("dims") == (1, 0)
        )
        kept = (
            node.base_op in SAME
            or _keeps_shape(graph, node)
            or (node.base_op == "aten.permute" and dict(node.arguments).get("dims") == (0, 1))
        )
        if not swapped and not kept:
            return ref, turned
        turned = turned != swapped
        ref = node.operands[0]


def _same_matrix(graph: OpGraph, x: Ref, y: Ref) -> bool:
    return _oriented(graph, x)[0] == _oriented(graph, y)[0]


def _copied(graph: OpGraph, ref: Ref) -> Ref:
    """Go back over copies and added dims of a vector."""
    while True:
        node = graph[ref.node]
        if node.kind is not NodeKind.CALL or node.base_op not in SAME | SIZES:
            return ref
        if node.base_op == "aten.expand" and node.outputs[0] != graph.meta(node.operands[0]):
            return ref
        ref = node.operands[0]


def _chain(graph: OpGraph, ref: Ref) -> list[Ref]:
    """The factors of a product of vectors and a matrix, in order."""
    ref = _copied(graph, ref)
    node = graph[ref.node]
    if node.kind is not NodeKind.CALL or node.base_op not in _PRODUCTS:
        return [ref]
    first, second = node.operands[:2]
    if _is_vector(graph, first) or _is_vector(graph, second):
        return [*_chain(graph, first), *_chain(graph, second)]
    return [ref]


def _is_vector(graph: OpGraph, ref: Ref) -> bool:
    return sum(1 for size in graph.meta(ref).shape if size > 1) <= 1


def _is_settling(graph: OpGraph, factors: list[Ref], matrix: Ref) -> bool:
    """Whether a product is u W v with v the direction of Wᵀu, or u that of W v."""
    matrices = [place for place, ref in enumerate(factors) if not _is_vector(graph, ref)]
    if len(factors) != 3 or len(matrices) != 1:
        return False
    middle = matrices.pop()
    if not _same_matrix(graph, factors[middle], matrix):
        return False
    first, second = (ref for place, ref in enumerate(factors) if place != middle)
    return any(
        _is_direction_of_image(graph, image, matrix, vector)
        for image, vector in ((first, second), (second, first))
    )


def _is_direction_of_image(graph: OpGraph, image: Ref, matrix: Ref, vector: Ref) -> bool:
    """Whether one vector is the unit vector along what the matrix makes of another unit vector."""
    made = _direction(graph, image)
    if made is None or _direction(graph, vector) is None:
        return False
    factors = _chain(graph, made)
    places = [ref for ref in factors if not _is_vector(graph, ref)]
    vectors = [_copied(graph, ref) for ref in factors if _is_vector(graph, ref)]
    return (
        len(places) == 1
        and _same_matrix(graph, places[0], matrix)
        and vectors == [_copied(graph, vector)]
    )


def _direction(graph: OpGraph, ref: Ref) -> Ref | None:
    """x where a vector is x divided by its own length."""
    ref = _copied(graph, ref)
    node = graph[ref.node]
    if node.base_op != "aten.div" or len(node.operands) != MATRIX_RANK:
        return None
    vector, length = node.operands
    size = graph[floored(graph, length).node]
    if size.base_op not in {"aten.linalg_vector_norm", "aten.norm"}:
        return None
    own = _is_euclidean(graph, size) and size.operands[0] == vector
    return vector if own else None


def _is_skew(graph: OpGraph, ref: Ref) -> bool:
    """Whether a matrix is A - Aᵀ."""
    node = graph[ref.node]
    if node.base_op != "aten.sub" or len(node.operands) != MATRIX_RANK:
        return False
    if dict(node.arguments).get("alpha", 1) != 1:
        return False
    (first, a), (second, b) = (_oriented(graph, operand) for operand in node.operands)
    return first == second and a != b


def _composed(_: OpGraph, node: Node, scale_of: ScaleOf) -> Interval | None:
    """A product of bounded matrices."""
    first, second = (scale_of(operand).norm for operand in node.operands)
    return intervals.multiply(first, second) if first and second else None


def _negated(_: OpGraph, node: Node, scale_of: ScaleOf) -> Interval | None:
    return scale_of(node.operands[0]).norm


def _exponential(graph: OpGraph, node: Node, _: ScaleOf) -> Interval | None:
    """exp(A - Aᵀ) is orthogonal."""
    return UNIT if _is_skew(graph, node.operands[0]) else None


def _cayley(graph: OpGraph, node: Node, _: ScaleOf) -> Interval | None:
    """(I + S)⁻¹ (I - S) is orthogonal for S = c (A - Aᵀ)."""
    first, second = (_shifted(graph, operand) for operand in node.operands[:2])
    if first is None or second is None:
        return None
    return UNIT if first[0] == second[0] and first[1] == -second[1] else None


def _shifted(graph: OpGraph, ref: Ref) -> tuple[Ref, float] | None:
    """S and c where a matrix is I + c S with a skew S."""
    node = graph[ref.node]
    if node.base_op not in {"aten.add", "aten.sub"} or len(node.operands) != MATRIX_RANK:
        return None
    eye, skew = node.operands
    factor = dict(node.arguments).get("alpha", 1)
    if graph[eye.node].base_op != "aten.eye" or not _is_skew(graph, skew):
        return None
    if not isinstance(factor, (int, float)):
        return None
    return skew, float(-factor if node.base_op == "aten.sub" else factor)


_RULES: Mapping[str, Callable[[OpGraph, Node, ScaleOf], Interval | None]] = {
    "aten.div": _quotient,
    "aten.mul": _product,
    "aten.mm": _composed,
    "aten.matmul": _composed,
    "aten.neg": _negated,
    "aten.linalg_matrix_exp": _exponential,
    "aten._linalg_solve_ex": _cayley,
    "aten.linalg_solve": _cayley,
}
