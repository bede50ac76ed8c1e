"""What operators make of values that are taken apart into what they have in common and the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from scaleaudit.domain.graph import Node
from scaleaudit.domain.scale import VANISHING, ZERO, Degree, Growth, Precision, Scale
from scaleaudit.scale import algebra, growth
from scaleaudit.scale.copying import replace
from scaleaudit.scale.routes import Route

# What is filled with less than this is out of a softmax, whatever else there is.
_MASKED = 1e30

Evaluate: TypeAlias = "Callable[[Node, Sequence[Scale]], Scale]"


@dataclass(frozen=True, slots=True)
class Split:
    """A value as a sum.

    Attributes:
        common: What is the same all along the dim.
        rest: What is not.
        vague: Whether it is not known how much of the rest is the same all along, too.
    """

    common: Scale
    rest: Scale
    vague: bool = False

    @property
    def is_told(self) -> bool:
        """Whether anything that grows is, or may be, the same all along the dim."""
        return self.vague or (self.common.depends and self.common.growth.hi > ZERO)


def combined(kind: Route, evaluate: Evaluate, node: Node, parts: Sequence[Split]) -> Split | None:
    """Return what an operator makes of operands taken apart; None where that is not known.

    Args:
        evaluate: The law of an operator, on other operands than its own.
    """
    vague = any(part.vague for part in parts)
    if vague and kind is not Route.LINEAR:
        return None
    made = _COMBINED[kind](evaluate, node, parts)
    if made is None or made.common.opaque or made.rest.opaque:
        return None
    return Split(made.common, made.rest, vague)


def _linear(evaluate: Evaluate, node: Node, parts: Sequence[Split]) -> Split | None:
    """What is linear in all operands together."""
    rest = evaluate(node, [part.rest for part in parts])
    if len(parts) == 1 and node.base_op in _SUMS:  # of which a number is the other operand
        (part,) = parts
        rest = algebra.negate(part.rest) if node.base_op == "aten.rsub" else part.rest
    return Split(evaluate(node, [part.common for part in parts]), rest)


def _chosen(evaluate: Evaluate, node: Node, parts: Sequence[Split]) -> Split | None:
    """What is masked out stays so beside anything in common; all else has it."""
    at = _MASKS[node.base_op]
    mask, values = parts[at], [*parts[:at], *parts[at + 1 :]]
    fill = dict(node.arguments).get("value")
    if isinstance(fill, (int, float)) and fill > -_MASKED:
        return None
    if mask.is_told or not all(part.is_told or _is_masked_out(_only(part)) for part in values):
        return None
    told = [part for part in values if part.is_told]
    if len(told) != 1:
        return None
    rests = [part.rest if part.is_told else _only(part) for part in parts]
    return Split(shaped(told[0].common, node), evaluate(node, rests))


def _picked(evaluate: Evaluate, node: Node, parts: Sequence[Split]) -> Split | None:
    """Elements that are picked along the dim have in common what all have."""
    first, *others = parts
    where = [_only(part) for part in others]
    return Split(evaluate(node, [first.common, *where]), evaluate(node, [first.rest, *where]))


def _product(evaluate: Evaluate, node: Node, parts: Sequence[Split]) -> Split | None:
    """What is linear in each of the last two operands, after what is added to their product."""
    if len(parts) == 1:
        return _linear(evaluate, node, parts)
    *added, x, y = parts if node.base_op != "aten.linear" else (*parts[2:], *parts[:2])

    def made(terms: Sequence[Scale], a: Scale, b: Scale) -> Scale:
        first = node.base_op == "aten.linear"
        return evaluate(node, [a, b, *terms] if first else [*terms, a, b])

    nothing = [zero(part.rest.shape) for part in added]
    terms = [
        made([part.rest for part in added], x.rest, y.rest),
        made(nothing, x.common, y.rest),
        made(nothing, x.rest, y.common),
    ]
    common = made([part.common for part in added], x.common, y.common)
    return Split(common, _added(terms, node))


def _quotient(evaluate: Evaluate, node: Node, parts: Sequence[Split]) -> Split | None:
    """What is divided by something that is the same all along, or that has nothing in common."""
    if dict(node.arguments).get("rounding_mode") is not None:
        return None
    if len(parts) == 1:
        return _linear(evaluate, node, parts)
    x, y = parts
    if y.is_told and not y.rest.is_zero:
        return None
    below = _only(y)
    common, rest = evaluate(node, [x.common, below]), evaluate(node, [x.rest, below])
    if y.rest.is_zero:
        return Split(common, rest)
    return Split(zero(common.shape), _added([common, rest], node))


def _power(evaluate: Evaluate, node: Node, parts: Sequence[Split]) -> Split | None:
    """(c + r)² = c² + (2 c r + r²); other powers in the limit."""
    exponent = 2 if node.base_op == "aten.square" else dict(node.arguments).get("exponent")
    if not isinstance(exponent, (int, float)):
        return None
    if exponent != 2:
        return _function(evaluate, node, parts)
    (part,) = parts
    mixed = algebra.times(algebra.number(2.0), algebra.times(part.common, part.rest))
    rest = _added([mixed, evaluate(node, [part.rest])], node)
    return Split(evaluate(node, [part.common]), rest)


def _function(evaluate: Evaluate, node: Node, parts: Sequence[Split]) -> Split | None:
    """f(c + r) = f(c) + f'(c) r in the limit of c much larger than r."""
    if len(parts) > 1:
        return None
    (part,) = parts
    common = evaluate(node, [part.common])
    if part.rest.is_zero:
        return Split(common, zero(common.shape))
    small = evaluate(node, [part.rest]) if node.base_op in _NORMS else part.rest
    g = _slope_times(common.growth, part.common.growth, small.growth)
    return None if g is None else Split(common, shaped(_of_both(part.common, small, g), node))


def _distance(evaluate: Evaluate, node: Node, parts: Sequence[Split]) -> Split | None:
    """|x - y|, of points of which one part is the same all along."""
    x, y = parts
    large = algebra.plus(x.common, y.common, -1.0)
    small = algebra.plus(x.rest, y.rest, -1.0)
    common = evaluate(node, [x.common, y.common])
    reduced = growth.reduce(small.growth, frozenset({-1}), count=x.common.shape[-1])
    g = _slope_times(common.growth, large.growth, reduced)
    return None if g is None else Split(common, shaped(_of_both(large, small, g), node))


def _unknown(_: Evaluate, __: Node, ___: Sequence[Split]) -> Split | None:
    """A function of which nothing is known but the growth of its result."""
    return None


def _of_both(large: Scale, small: Scale, g: Growth) -> Scale:
    if small.is_zero:
        return zero(())
    return algebra.joined(large, small, Scale(g))


def _slope_times(made: Growth, large: Growth, small: Growth) -> Growth | None:
    """Growth of f'(c) r, where f(c) is known and c is so large that nothing else counts."""
    if not large.is_pure or large.hi <= max(small.hi, ZERO) or large.hi.log:
        return None
    told = made.depends and made.lo == made.hi and math.isfinite(made.hi.power)
    if not told or made.hi.log > (0 if made.hi.power else 1):
        return None
    power = made.hi.power - large.hi.power  # that of a logarithm is 0
    by = Degree(power)
    return Growth(
        lo=growth.add_degrees(small.lo, by, upper=False),
        hi=growth.add_degrees(small.hi, by, upper=True),
        attained=small.attained,
        sparse=small.sparse | made.sparse,  # what is dropped at one side has no slope there
        precision=max(small.precision, made.precision, Precision.ASYMPTOTIC),
        mix=small.mix,
    )


def bounded(x: Scale) -> Scale:
    """A value of which no more is known than how fast it grows at most."""
    return replace(
        x, given=None, growth=replace(x.growth, lo=VANISHING, attained=False, slope=None)
    )


def zero(shape: tuple[int, ...]) -> Scale:
    """The number 0, in a shape."""
    return replace(algebra.number(0.0), shape=shape)


def _only(part: Split) -> Scale:
    """The one part that there is of a value of which nothing was taken apart."""
    return part.common if part.rest.is_zero else part.rest


def _added(terms: Sequence[Scale], node: Node) -> Scale:
    total = terms[0]
    for term in terms[1:]:
        total = algebra.plus(total, term)
    return shaped(total, node)


def shaped(x: Scale, node: Node) -> Scale:
    """Return a value in the shape of a node's result."""
    shape = node.outputs[0].shape
    return algebra.same_value(x, shape, algebra.realigned(x.support, len(shape)))


def _is_masked_out(x: Scale) -> bool:
    return not x.depends and x.span.high <= -_MASKED


# Where the operands of a choice have the mask.
_MASKS = {"aten.where": 0, "aten.masked_fill": 1}
_SUMS = frozenset({"aten.add", "aten.sub", "aten.rsub"})
_NORMS = frozenset({"aten.linalg_vector_norm", "aten.norm"})
_COMBINED: Mapping[Route, Callable[[Evaluate, Node, Sequence[Split]], Split | None]] = {
    Route.LINEAR: _linear,
    Route.CHOSEN: _chosen,
    Route.PICKED: _picked,
    Route.PRODUCT: _product,
    Route.QUOTIENT: _quotient,
    Route.POWER: _power,
    Route.FUNCTION: _function,
    Route.DISTANCE: _distance,
    Route.UNKNOWN: _unknown,
}
