"""Laws that users declare for their operators, made into laws like any other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from scaleaudit.domain.laws import DeclaredLaw
from scaleaudit.domain.scale import (
    CONSTANT,
    REALS,
    VANISHING,
    ZERO,
    Growth,
    Interval,
    Precision,
    Scale,
)
from scaleaudit.scale import algebra, growth
from scaleaudit.scale.algebra import Arg
from scaleaudit.scale.laws.reductions import blurred
from scaleaudit.scale.laws.table import Law, NotUnderstood, Result, law_for

# What capture puts behind a call of a declared function: its result first, then its arguments.
RESULT = "scaleaudit.declared"


def declared_law(declared: DeclaredLaw, known: Mapping[str, Law]) -> Law:
    """Make a law of a declaration.

    Args:
        known: Laws that a declaration may refer to.
    """

    def apply(*arguments: Arg, names: tuple[str, ...], out: tuple[object, ...]) -> Result:
        if declared.like:
            return _like(declared, known, arguments, out)
        operands = [
            (name, x)
            for name, argument in zip(names, arguments, strict=True)
            for x in _scales(argument)
        ]
        result = _result(declared, operands)
        return tuple(result for _ in out)

    statement = f"declared in {declared.where}: {declared}"
    return Law(apply, statement, wants_out=True, wants_names=True)


def result_law(declared: DeclaredLaw, known: Mapping[str, Law]) -> Law:
    """Make the law of a declared function: of what it computes where that is understood."""
    inner = declared_law(declared, known)

    def apply(
        value: Arg, *arguments: Arg, names: tuple[str, ...], out: tuple[object, ...]
    ) -> Result:
        if isinstance(value, Scale) and not value.opaque:
            return value
        return inner.apply(*arguments, names=names[1:], out=out)

    return Law(apply, inner.statement, wants_out=True, wants_names=True, recovers=True)


def _like(
    declared: DeclaredLaw, known: Mapping[str, Law], arguments: tuple[Arg, ...], out: object
) -> Result:
    law = law_for(declared.like, dict(known))
    if law is None:
        raise NotUnderstood(f"{declared.like}, which it is declared to be like, has no law")
    return law.apply(*arguments, out=out) if law.wants_out else law.apply(*arguments)


def _scales(argument: Arg) -> list[Scale]:
    if isinstance(argument, Scale):
        return [argument]
    return [x for each in argument for x in _scales(each)] if isinstance(argument, tuple) else []


def _result(declared: DeclaredLaw, operands: list[tuple[str, Scale]]) -> Scale:
    moving = [(name, x) for name, x in operands if x.depends]
    span = Interval(*declared.bounded) if declared.bounded else REALS
    learned = any(x.learned for _, x in operands)
    opaque = tuple(reason for _, x in moving for reason in x.opaque)
    if opaque:
        return algebra.unknown(*opaque)
    if not moving:
        return algebra.independent(span, learned=learned)
    joined = reduce(lambda x, y: algebra.joined(x, y, x), [x for _, x in moving])
    return blurred(Scale(_growth(declared, moving), span, support=joined.support, learned=learned))


def _growth(declared: DeclaredLaw, moving: list[tuple[str, Scale]]) -> Growth:
    if declared.degrees:
        degrees = dict(declared.degrees)
        silent = [name for name, _ in moving if name not in degrees]
        if silent:
            raise NotUnderstood(f"its law ({declared.where}) says nothing of {silent[0]!r}")
        powers = [_power(declared, x.growth, degrees[name]) for name, x in moving]
        return reduce(growth.multiply, powers, CONSTANT)
    if declared.degree is None:  # a range alone: where it ends, the value flattens
        return Growth(lo=VANISHING, attained=False, precision=Precision.SATURATING)
    first = moving[0][1].growth
    if any((x.growth.lo, x.growth.hi) != (first.lo, first.hi) for _, x in moving):
        raise NotUnderstood(
            f"its law ({declared.where}) has one degree, and its arguments grow unlike"
        )
    loosest = max(x.growth.precision for _, x in moving)
    return growth.limit(_power(declared, first, declared.degree), loosest)


def _power(declared: DeclaredLaw, g: Growth, degree: float) -> Growth:
    """What becomes of a growth under a homogeneous function of a degree."""
    uneven = g.lo < g.hi or bool(g.sparse)
    exponent = growth.rational(degree)
    least = Precision.ASYMPTOTIC if declared.limit or uneven else Precision.EPS
    precision = max(g.precision, least)
    if degree == 0:
        if g.hi < ZERO:
            raise NotUnderstood("it is declared for values that do not vanish")
        return Growth(precision=precision, normed=g.normed or g.hi > ZERO)
    ends = sorted(growth.scale_degree(end, exponent) for end in (g.lo, g.hi))
    return Growth(
        lo=ends[0],
        hi=ends[1],
        attained=g.attained and g.lo == g.hi,
        precision=precision,
        normed=g.normed,
    )
