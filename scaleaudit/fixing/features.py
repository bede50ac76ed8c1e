"""Which dimension of a state holds its features, told by what weights and norms do along it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from scaleaudit.domain.graph import Argument, Node, OpGraph, Ref
from scaleaudit.domain.loops import CarriedState

_LAST = -1
# Operators whose results have the dimensions of what they read, where these are as many.
_KEEPING = frozenset(
    f"aten.{name}"
    for name in (
        "_softmax", "_to_copy", "abs", "add", "addcmul", "alias", "cat", "clamp", "clamp_max",
        "clamp_min", "clone", "contiguous", "detach", "div", "dropout", "elu", "exp", "gelu",
        "hardtanh", "leaky_relu", "lerp", "log", "masked_fill", "maximum", "minimum", "mul",
        "native_dropout", "neg", "pow", "reciprocal", "relu", "rsqrt", "rsub", "sigmoid", "silu",
        "slice", "softmax", "softplus", "split", "split_with_sizes", "sqrt", "square", "sub",
        "tanh", "to", "where",
    )
)  # fmt: skip
# Those that write the same elements, in the same order, in other dimensions.
_VIEWS = frozenset({
    "aten.view", "aten._unsafe_view", "aten.reshape", "aten.flatten", "aten.unflatten",
    "aten.unsqueeze", "aten.squeeze", "aten.expand",
})  # fmt: skip
# Products of matrices, each with the position of its first factor among the operands.
_PRODUCTS = {
    "aten.mm": 0, "aten.bmm": 0, "aten.matmul": 0, "aten.linear": 0, "aten.addmm": 1,
    "aten.baddbmm": 1,
}  # fmt: skip
_CONVOLUTIONS = frozenset({
    "aten.convolution", "aten.conv1d", "aten.conv2d", "aten.conv3d", "aten._convolution",
})  # fmt: skip
_NORMS = frozenset({
    "aten.native_layer_norm", "aten.layer_norm", "aten.rms_norm", "aten._fused_rms_norm",
})  # fmt: skip
_CHANNEL_NORMS = frozenset({
    "aten.native_group_norm", "aten.group_norm", "aten.native_batch_norm", "aten.batch_norm",
    "aten._native_batch_norm_legit", "aten._native_batch_norm_legit_functional",
    "aten.cudnn_batch_norm", "aten.instance_norm",
})  # fmt: skip


class _Sign(Enum):
    """What a reader tells of the last dimension: that it holds the features, or that it does not."""

    FOR = "for"
    AGAINST = "against"


def are_last(graph: OpGraph, state: CarriedState) -> bool:
    """Tell whether readers of a state show that its last dimension holds the features.

    A matrix of weights or a norm along that dimension shows it, and one along another refutes it.
    """
    found = set(_signs(graph, state))
    return found == {_Sign.FOR}


def _signs(graph: OpGraph, state: CarriedState) -> Iterator[_Sign]:
    """Yield what readers tell, followed through what keeps the dimension or moves it."""
    stack = [(ref, _LAST) for ref in state.boundary if graph.meta(ref).shape]
    seen = set(stack)
    while stack:
        ref, axis = stack.pop()
        for user in graph.users[ref.node]:
            node = graph[user]
            for position, operand in enumerate(node.operands):
                told = _told(graph, node, position, axis) if operand == ref else None
                if isinstance(told, _Sign):
                    yield told
                elif told is not None:
                    near = {(Ref(user, k), told) for k in range(len(node.outputs))} - seen
                    seen |= near
                    stack.extend(near)


def _told(graph: OpGraph, node: Node, position: int, axis: int) -> _Sign | int | None:
    """What an operator tells of a dimension of an operand, or where that is in its result.

    Args:
        position: That of the operand.
        axis: The dimension, counted from the last, which is -1.
    """
    op, rank = node.base_op, len(graph.meta(node.operands[position]).shape)
    if op in _PRODUCTS:
        return _of_product(graph, node, position, axis)
    if op in _CONVOLUTIONS or op in _CHANNEL_NORMS:
        return _sign(axis == 1 - rank) if position == 0 else None
    if op in _NORMS:
        along = dict(node.arguments).get("normalized_shape")
        one = isinstance(along, tuple) and len(along) == 1
        return _sign(one and axis == _LAST) if position == 0 else None
    return _moved(graph, node, position, axis)


def _sign(holds: bool) -> _Sign:  # noqa: FBT001 - what it says is all that it is about
    return _Sign.FOR if holds else _Sign.AGAINST


def _of_product(graph: OpGraph, node: Node, position: int, axis: int) -> _Sign | int | None:
    factor = position - _PRODUCTS[node.base_op]
    if factor not in (0, 1):
        return axis  # it is added to the product
    other = node.operands[position + (1 if factor == 0 else -1)]
    if other.node in graph.reads_inputs:
        return None
    return _sign(axis == (-1 if factor == 0 else -2))


def _moved(graph: OpGraph, node: Node, position: int, axis: int) -> int | None:
    """Where a dimension of an operand is in the result; None where that is not known."""
    given = graph.meta(node.operands[position]).shape
    made, rank = node.outputs[0].shape, len(given)
    arguments = dict(node.arguments)
    match node.base_op:
        case "aten.t":
            return -3 - axis if rank == 2 else axis  # noqa: PLR2004 - of a matrix alone
        case "aten.transpose":
            pair = [_from_last(arguments.get(name), rank) for name in ("dim0", "dim1")]
            return pair[1 - pair.index(axis)] if axis in pair else axis
        case "aten.permute":
            dims = arguments.get("dims")
            order = [_from_last(dim, rank) for dim in dims] if isinstance(dims, tuple) else []
            return order.index(axis) - rank if axis in order else None
        case op if op in _KEEPING and len(made) == rank:
            return axis
        case op if op in _KEEPING or op in _VIEWS:
            return axis if made[axis:] == given[axis:] else None
        case _:
            return None


def _from_last(dim: Argument, rank: int) -> int | None:
    if not isinstance(dim, int):
        return None
    return dim - rank if dim >= 0 else dim
