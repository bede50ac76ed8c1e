"""Calls that norm a value and do nothing else, told by what they compute."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scaleaudit.domain.footholds import NormCall
from scaleaudit.domain.graph import Frame, Location, Node, OpGraph, Ref

# Elementwise operators that keep a value what it is but for its size: with statistics of it, or
# weights, as their other operand.
_SCALING = frozenset({"aten.mul", "aten.div", "aten.add", "aten.sub"})
_COPYING = frozenset({"aten._to_copy", "aten.clone", "aten.alias", "aten.to"})
_NORMS = frozenset({
    "aten.native_layer_norm", "aten.native_group_norm", "aten.rms_norm", "aten.layer_norm",
    "aten._fused_rms_norm",
})  # fmt: skip
# What is measured of a value before its elements are put together, and how they are.
_MEASURING = frozenset({"aten.pow", "aten.square", "aten.abs", "aten.mul"})
_REDUCING = frozenset({
    "aten.mean", "aten.sum", "aten.var", "aten.std", "aten.amax", "aten.linalg_vector_norm",
    "aten.norm",
})  # fmt: skip
# Operators on statistics alone may be any that need no weights.
_ON_STATISTICS = frozenset({
    "aten.add", "aten.sub", "aten.mul", "aten.div", "aten.rsqrt", "aten.sqrt", "aten.pow",
    "aten.reciprocal", "aten.clamp", "aten.clamp_min", "aten.maximum", "aten.expand", "aten.view",
    "aten.unsqueeze", "aten._to_copy", "aten.clone", "aten.alias", "aten.detach",
})  # fmt: skip


class _Kind(Enum):
    """What a value is to the call: the value itself scaled, a measure, a statistic, or a weight."""

    DATA = "data"
    MEASURE = "measure"
    STATISTIC = "statistic"
    GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Normed:
    """One evaluation of an expression that norms.

    Attributes:
        given: The value that it norms.
        made: What it makes.
        inside: The operators that it runs.
    """

    given: Ref
    made: Ref
    inside: frozenset[int]


def normed_at(graph: OpGraph, node: Node, frame: Frame) -> Normed | None:
    """Return the evaluation of a frame's expression around an operator, if it norms and that alone."""
    depth = _depth(node, frame)
    return None if depth is None else _normed(graph, frozenset(_run_of(graph, node, depth)))


def norm_call(graph: OpGraph, node: Node, frame: Frame, found: Normed) -> NormCall:
    """Describe the expression of an evaluation as it stands in the source."""
    source, depth = graph[found.given.node], _depth(node, frame)
    return NormCall(
        frame.location,
        _names_at(source, frame.function),
        _made_in(source, frame),
        depth is not None and _called(node, depth) is not None,
    )


def names_in(node: Node, running: int) -> tuple[str, ...]:
    """Return the variables of a running function that held a value when it was read next."""
    functions = (frame.function for frame in node.frames if frame.running == running)
    return _names_at(node, next(functions, ""))


def _names_at(node: Node, function: str) -> tuple[str, ...]:
    return tuple(name for place, name in node.names if place == function)


def _made_in(source: Node, frame: Frame) -> Location | None:
    found = (each.location for each in source.frames if each.running == frame.running)
    return next(found, None)


def _run_of(graph: OpGraph, node: Node, depth: int) -> set[int]:
    """The operators that one evaluation of an expression ran, around one of them.

    Args:
        depth: The position of the frame of the expression among those that were running.
    """
    place = node.turn_frames[depth]
    called = _called(node, depth)

    def belongs(other: Node) -> bool:
        own = other.turn_frames
        here = len(own) > depth and own[depth] == place
        return here and (called is None or _called(other, depth) == called)

    found, stack = {node.id}, [node.id]
    while stack:
        n = stack.pop()
        for near in (*(ref.node for ref in graph[n].operands), *graph.users[n]):
            if near not in found and belongs(graph[near]):
                found.add(near)
                stack.append(near)
    return found


def _depth(node: Node, frame: Frame) -> int | None:
    running = (i for i, (each, _) in enumerate(node.turn_frames) if each == frame.running)
    return next(running, None)


def _called(node: Node, depth: int) -> int | None:
    return node.turn_frames[depth + 1][0] if len(node.turn_frames) > depth + 1 else None


def _normed(graph: OpGraph, inside: frozenset[int]) -> Normed | None:
    """What some operators norm; None where they do anything else, or norm several values."""
    ends = [n for n in inside if any(user not in inside for user in graph.users[n])]
    given = {
        ref
        for n in inside
        for ref in graph[n].operands
        if ref.node not in inside and ref.node in graph.reads_inputs
    }
    if len(ends) != 1 or len(given) != 1:
        return None
    (value,) = given
    kinds: dict[int, _Kind] = {}
    for n in sorted(inside):
        kind = _kind(graph, n, kinds, value)
        if kind is None:
            return None
        kinds[n] = kind
    made = Ref(ends[0])
    same = graph.meta(made).shape == graph.meta(value).shape
    if not same or kinds[made.node] is not _Kind.DATA or not _divides(graph, kinds):
        return None
    return Normed(value, made, inside)


def _kind(graph: OpGraph, n: int, kinds: dict[int, _Kind], value: Ref) -> _Kind | None:
    """What an operator makes; None where it does what a norm does not."""
    node, op = graph[n], graph[n].base_op
    operands = [
        _Kind.DATA if ref == value else kinds.get(ref.node, _Kind.GIVEN) for ref in node.operands
    ]
    data = operands.count(_Kind.DATA)
    if op in _REDUCING and (data or _Kind.MEASURE in operands):
        return _Kind.STATISTIC
    if _Kind.MEASURE in operands:
        return None
    if data == 0:
        known = op in _ON_STATISTICS or not node.operands
        if _Kind.STATISTIC in operands:
            return _Kind.STATISTIC if known else None
        return _Kind.GIVEN
    if op in _NORMS or (op in _COPYING and data == 1) or (op in _SCALING and data == 1):
        return _Kind.MEASURE if _is_measured(graph, n) and op == "aten.mul" else _Kind.DATA
    return _Kind.MEASURE if op in _MEASURING and _is_measured(graph, n) else None


def _is_measured(graph: OpGraph, n: int) -> bool:
    """Whether all that reads a value puts its elements together."""
    users = graph.users[n]
    return bool(users) and all(graph[user].base_op in _REDUCING for user in users)


def _divides(graph: OpGraph, kinds: dict[int, _Kind]) -> bool:
    """Whether the value is brought to a size of its own, and not only weighted."""
    return any(kind is _Kind.STATISTIC or graph[n].base_op in _NORMS for n, kind in kinds.items())
