"""The terms of a loss: what it adds up, with which weight."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from scaleaudit.domain.facts import PenaltyFlaw
from scaleaudit.domain.graph import Node, NodeKind, OpGraph, Ref
from scaleaudit.domain.scale import Interval
from scaleaudit.scale import intervals
from scaleaudit.scale.interpreter import STOPS

SUMS = frozenset({"aten.add", "aten.sub", "aten.rsub"})
PRODUCTS = frozenset({"aten.mul", "aten.div"})
LINEAR = frozenset({
    "aten.mean", "aten.sum", "aten.neg", "aten.view", "aten.reshape", "aten.unsqueeze",
    "aten.squeeze", "aten.stack", "aten.cat", "aten._to_copy", "aten.clone", "aten.alias",
    "aten.expand", "aten._unsafe_view", "aten.permute", "aten.t", "aten.transpose", "aten.lift_fresh",
    "aten.nanmean", "aten.nansum", "aten.select", "aten.unbind",
})  # fmt: skip


Factor: TypeAlias = "Callable[[Ref], Interval | None]"


@dataclass(frozen=True, slots=True)
class Term:
    """A summand of the loss.

    Attributes:
        weight: Range of the factor on it.
        stopped: What keeps gradients from it on its way into the loss, if anything.
    """

    value: Ref
    weight: Interval
    stopped: PenaltyFlaw | None = None


def terms_of(
    graph: OpGraph,
    loss: Ref,
    depends: Callable[[Ref], bool],
    factor_of: Factor,
) -> tuple[Term, ...]:
    """Take a loss apart into its terms.

    Args:
        depends: Whether any carried state reaches a value.
        factor_of: Range of a value that no state reaches; None where it is data, not a weight.
    """
    found: list[Term] = []
    stack = [Term(loss, intervals.point(1.0))]
    seen: set[Term] = set()
    while stack:
        term = stack.pop()
        if term in seen or not depends(term.value):
            continue
        seen.add(term)
        node = graph[term.value.node]
        inner = _inner(node, term.weight, depends, factor_of)
        if inner is None:
            found.append(term)
        else:
            stopped = term.stopped or _stop_at(node)
            stack.extend(Term(ref, weight, stopped) for ref, weight in inner)
    return tuple(sorted(found, key=lambda term: (term.value.node, term.value.output)))


def _stop_at(node: Node) -> PenaltyFlaw | None:
    if node.base_op in STOPS:
        return PenaltyFlaw.DETACHED
    return None if node.grad else PenaltyFlaw.NO_GRAD


def _inner(
    node: Node,
    weight: Interval,
    depends: Callable[[Ref], bool],
    factor_of: Factor,
) -> list[tuple[Ref, Interval]] | None:
    """The summands of a node, or None where it is a term of its own."""
    if node.kind is not NodeKind.CALL:
        return None
    refs = list(node.refs())
    if node.base_op in LINEAR or node.base_op in STOPS:
        flip = intervals.negate(weight) if node.base_op.endswith("neg") else weight
        return [(ref, flip) for ref in refs]
    operands = [(name, a) for name, a in node.arguments if name not in ("alpha", "rounding_mode")]
    if node.base_op in SUMS and _may_split(node, refs, depends):
        factor = float(dict(node.arguments).get("alpha") or 1)  # type: ignore[arg-type]
        first, second = _signs(node.base_op, factor)
        out = []
        for (_, operand), sign in zip(operands, (first, second), strict=False):
            if isinstance(operand, Ref):
                out.append((operand, intervals.multiply(weight, intervals.point(sign))))
        return out
    if node.base_op in PRODUCTS:
        return _scaled(node, weight, depends, factor_of)
    return None


def _signs(op: str, factor: float) -> tuple[float, float]:
    if op == "aten.rsub":
        return -factor, 1.0
    return 1.0, -factor if op.endswith("sub") else factor


def _may_split(node: Node, refs: list[Ref], depends: Callable[[Ref], bool]) -> bool:
    """Sums of losses are taken apart, not sums inside of one (which might cancel)."""
    if sum(1 for ref in refs if depends(ref)) <= 1:
        return True
    return math.prod(node.outputs[0].shape) == 1 or len(node.outputs[0].shape) <= 1


def _scaled(
    node: Node,
    weight: Interval,
    depends: Callable[[Ref], bool],
    factor_of: Factor,
) -> list[tuple[Ref, Interval]] | None:
    arguments = [argument for _, argument in node.arguments][:2]
    states = [a for a in arguments if isinstance(a, Ref) and depends(a)]
    if len(states) != 1:
        return None
    index = arguments.index(states[0])
    other = arguments[1 - index]
    factor = factor_of(other) if isinstance(other, Ref) else None
    if isinstance(other, (int, float)):
        factor = intervals.point(float(other))
    if factor is None:
        return None
    if node.base_op.endswith("div"):
        if index == 1:
            return None
        factor = intervals.reciprocal(factor)
    return [(states[0], intervals.multiply(weight, factor))]
