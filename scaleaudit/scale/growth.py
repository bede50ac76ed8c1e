"""Arithmetic of growth: what sums, products and functions do to degrees."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

from scaleaudit.domain.scale import (
    CONSTANT,
    EXPONENTIAL,
    INFINITY,
    REALS,
    VANISHING,
    ZERO,
    Atom,
    Degree,
    Growth,
    Interval,
    Precision,
    Rational,
)
from scaleaudit.scale.copying import replace


def add_degrees(x: Degree, y: Degree, *, upper: bool) -> Degree:
    """Return the degree of a product; opposite infinities fall on the cautious side."""
    power = x.power + y.power
    if isinstance(power, float) and math.isnan(power):
        power = INFINITY if upper else -INFINITY
    return Degree(power, x.log + y.log)


def scale_degree(x: Degree, by: Rational) -> Degree:
    """Return the degree of a power."""
    if by == 0:
        return ZERO
    # Nothing stays nothing, whatever the power: 0 times infinity is no number.
    return Degree(_whole(x.power * by) if x.power else 0, _whole(x.log * by) if x.log else 0)


@cache
def rational(value: float) -> Rational:
    """Return an exponent as an exact fraction where it is one."""
    if math.isinf(value):
        return value
    near = Fraction(value).limit_denominator(64)
    return _whole(near) if float(near) == value else value


def _whole(value: Rational) -> Rational:
    """The same number, as an int where it is a whole fraction: those are slow to add."""
    whole = isinstance(value, Fraction) and value.denominator == 1
    return int(value) if whole else value


# Of so many elements in general position, one is positive (the chance of none is 2 ** -MANY).
MANY = 12


def is_homogeneous(g: Growth) -> bool:
    """Whether every element is a power of a, of one degree (so that order and sign stay)."""
    return g.lo == g.hi and g.hi.log == 0 and g.precision <= Precision.EPS and not g.sparse


def limit(g: Growth, least: Precision) -> Growth:
    """The same degrees, at least as loosely."""
    return g if g.precision >= least else replace(g, precision=least)


def fresh_pattern() -> frozenset[tuple[Atom, int]]:
    """Return a pattern of vanishing elements that is related to no other."""
    return frozenset({(Atom(CONSTANT, REALS), 1)})


def add(x: Growth, y: Growth, *, tiny: bool = False) -> Growth:
    """deg(x + y) is the common degree, else the larger one, asymptotically (tiny: up to eps).

    A degree is an upper bound where terms may cancel; cancellation that follows from the
    program is found by the linear forms, anything else is not in general position.
    """
    if not x.depends and not y.depends:
        return CONSTANT
    hi = max(x.hi, y.hi)
    slope = _sum_slope(x, y) if hi == Degree(0, 1) else None
    if slope == 0 and x.lo == x.hi == y.lo == y.hi:  # log a - log a: their offsets are left
        return Growth(precision=max(x.precision, y.precision))
    floor = max(x.floor, y.floor)
    both_sparse = bool(x.sparse and y.sparse)
    lo = min(x.lo, y.lo) if both_sparse else max(floor, min(x.lo, y.lo))
    attained = (x.hi == hi and x.attained) or (y.hi == hi and y.attained)
    mix = x.mix | y.mix if lo < hi else frozenset[int]()
    return Growth(
        lo=lo,
        hi=hi,
        attained=attained,
        sparse=fresh_pattern() if both_sparse else frozenset(),
        precision=_sum_precision(x, y, hi, tiny=tiny),
        mix=mix,
        rate=max(x.rate, y.rate) if x.rate and y.rate else x.rate or y.rate,
        slope=slope,
        normed=x.normed or y.normed,
        inner=_stay_inside(x, y),
    )


def _stay_inside(x: Growth, y: Growth) -> bool:
    """Whether neither of two values comes near the ends of its range as the states grow."""
    return all(g.inner or not g.depends for g in (x, y))


def _sum_slope(x: Growth, y: Growth) -> Rational | None:
    def slope(g: Growth) -> Rational | None:
        return g.slope if g.hi == (0, 1) else 0

    first, second = slope(x), slope(y)
    return None if first is None or second is None else first + second


def _sum_precision(x: Growth, y: Growth, hi: Degree, *, tiny: bool) -> Precision:
    if x.lo == x.hi == y.lo == y.hi:
        return max(x.precision, y.precision)
    larger, smaller = (x, y) if x.hi >= y.hi else (y, x)
    if hi == ZERO:
        dying = smaller if smaller.hi < hi else larger
        fast = dying.precision is Precision.SATURATING or dying.hi == VANISHING
        least = Precision.SATURATING if fast else Precision.ASYMPTOTIC
        return max(larger.precision, least)
    if tiny:
        return max(larger.precision, Precision.EPS)
    if smaller.hi == hi:
        return max(x.precision, y.precision, Precision.ASYMPTOTIC)
    return max(larger.precision, Precision.ASYMPTOTIC)


def multiply(x: Growth, y: Growth) -> Growth:
    """deg(x * y) = deg(x) + deg(y)."""
    if not x.depends and not y.depends:
        return CONSTANT
    if y is CONSTANT and x.slope is None and not x.sparse and not x.mix:
        return x
    precision = max(x.precision, y.precision)
    if x.depends and y.depends and (is_logarithmic(x) or is_logarithmic(y)):
        precision = max(precision, Precision.ASYMPTOTIC)
    sparse = x.sparse | y.sparse
    if any((atom, -sign) in sparse for atom, sign in sparse):
        return Growth(VANISHING, VANISHING, precision=precision)
    hi = add_degrees(x.hi, y.hi, upper=True)
    lo = add_degrees(x.lo, y.lo, upper=False)
    return Growth(
        lo=lo,
        hi=hi,
        attained=x.attained and y.attained and not (x.mix and y.mix),
        sparse=sparse,
        precision=precision,
        mix=x.mix | y.mix if lo < hi else frozenset(),
        rate=max(x.rate, y.rate) if x.rate and y.rate else x.rate or y.rate,
        normed=x.normed or y.normed or (hi == ZERO and max(x.hi, y.hi) > ZERO),
        inner=_stay_inside(x, y),
    )


def is_logarithmic(x: Growth) -> bool:
    """Whether it grows like a logarithm: then scaling adds to it, whatever its offset."""
    return x.depends and (x.hi.log != 0 or x.lo.log != 0)


def reciprocal(x: Growth) -> Growth:
    """deg(1 / x) = -deg(x)."""
    return power(x, -1)


def power(x: Growth, exponent: Rational) -> Growth:
    """deg(x ** c) = c deg(x)."""
    if exponent == 0 or not x.depends:
        return CONSTANT
    lo, hi = scale_degree(x.lo, exponent), scale_degree(x.hi, exponent)
    if exponent < 0:
        lo, hi = hi, (EXPONENTIAL if x.sparse else lo)
    pure = x.lo == x.hi and not x.sparse
    least = Precision.ASYMPTOTIC if is_logarithmic(x) and exponent != 1 else Precision.EXACT
    return Growth(
        lo=lo,
        hi=hi,
        attained=x.attained and (exponent > 0 or pure),
        sparse=x.sparse if exponent > 0 else frozenset(),
        precision=max(x.precision, least),
        mix=x.mix,
        rate=x.rate,
        normed=x.normed,
        inner=x.inner,
    )


def reduce(x: Growth, dims: frozenset[int] | None = None, *, count: int = MANY) -> Growth:
    """A sum, mean or largest element over dims has the largest degree among its elements.

    Where elements of several degrees differ by their sign, not along a dim, a few elements may
    all be small, and a few that may vanish may all vanish.

    Args:
        dims: The dims reduced, from the end (negative); None reduces all.
        count: How many elements are taken together.
    """
    uniform = x.lo == x.hi and not x.sparse and not x.mix
    if not x.depends or uniform or (dims is not None and not dims):
        return x
    if x.lo != x.hi:
        x = replace(x, precision=max(x.precision, Precision.ASYMPTOTIC))
    if count < MANY and (x.sparse or (x.lo != x.hi and not x.mix)):
        sparse = fresh_pattern() if x.sparse else frozenset[tuple[Atom, int]]()
        mix = x.mix - dims if dims is not None else frozenset[int]()
        lo = x.hi if x.mix and not mix else x.lo
        return replace(x, sparse=sparse, mix=mix, lo=lo)
    if x.mix and dims is not None and not x.mix <= dims:
        return replace(x, mix=x.mix - dims, sparse=frozenset())
    if not x.attained:
        return replace(x, mix=frozenset())
    return replace(x, lo=x.hi, sparse=frozenset(), mix=frozenset())


def largest(x: Growth, dims: frozenset[int] | None, span: Interval, *, count: int = MANY) -> Growth:
    """The largest element over dims: of the largest degree where all are positive.

    Elements of either sign and of several degrees may leave a smaller one on top.
    """
    if span.low >= 0 or not x.depends:
        return reduce(x, dims, count=count)
    if span.high <= 0:
        return _smallest(x)
    if x.lo == x.hi and not x.sparse:
        return replace(x, mix=frozenset())
    least = Precision.EXACT if x.lo == x.hi else Precision.ASYMPTOTIC
    attained = x.attained and x.lo < x.hi and bool(x.mix) and not x.sparse
    return replace(limit(x, least), mix=frozenset(), attained=attained)


def _smallest(x: Growth) -> Growth:
    if x.is_pure:
        return replace(x, mix=frozenset())
    return replace(limit(x, Precision.ASYMPTOTIC), attained=False, mix=frozenset())


def cut_off(x: Growth) -> Growth:
    """What cannot grow upwards grows downwards, and dies where it is cut there."""
    if x.is_pure:
        return Growth(VANISHING, VANISHING, precision=Precision.SATURATING)
    return Growth(
        VANISHING,
        ZERO,
        attained=False,
        sparse=fresh_pattern(),
        precision=Precision.SATURATING,
        mix=x.mix,
    )


def blend(x: Growth) -> Growth:
    """Sums of elements, it is not known of which ones: degrees of either kind remain."""
    if not x.depends or x.is_pure:
        return replace(x, mix=frozenset()) if x.mix else x
    least = Precision.EXACT if x.lo == x.hi else Precision.ASYMPTOTIC
    return replace(limit(x, least), sparse=fresh_pattern() if x.sparse else frozenset())


def smooth(x: Growth, *, odd: bool = False) -> Growth:
    """A smooth function of a value of degree at most 0; odd ones (f(0) = 0) keep it."""
    if not x.depends or x.hi == ZERO == x.lo:
        return replace(x, sparse=x.sparse if odd else frozenset(), slope=None)
    if odd:
        return replace(x, precision=max(x.precision, Precision.ASYMPTOTIC))
    least = Precision.SATURATING if x.hi == VANISHING else Precision.ASYMPTOTIC
    if x.hi == ZERO:
        least = Precision.ASYMPTOTIC
    return Growth(precision=max(x.precision, least), mix=x.mix)


def saturate(
    x: Growth, *, vanish: frozenset[tuple[Atom, int]] = frozenset(), odd: bool = False
) -> Growth:
    """A bounded function flattens on a growing argument: degree 0, saturating.

    Args:
        vanish: Where the function dies (a sigmoid's left tail).
        odd: Whether f(0) = 0, so that small arguments keep their degree.
    """
    if not x.depends or x.hi <= ZERO:
        return smooth(x, odd=odd)
    lo = min(x.lo, ZERO) if odd else ZERO
    return Growth(
        lo=lo,
        hi=ZERO,
        attained=x.attained,
        sparse=vanish,
        precision=Precision.SATURATING,
        mix=x.mix,
        rate=x.hi,
    )


def exponential(x: Growth, *, low: float, high: float, peak: bool) -> Growth:
    """exp of a growing argument grows or dies faster than any power.

    Args:
        low: Smallest value of the argument.
        high: Largest value; exp of a negative one is bounded by 1.
        peak: Whether the argument touches 0 somewhere (x - max(x)).
    """
    if not x.depends or x.hi <= ZERO:
        return smooth(x)
    if x.hi.power == 0:
        return _exp_of_log(x)
    if high <= 0:
        # exp(0) = 1, where the argument touches 0 or vanishes.
        attained = x.attained and (peak or bool(x.sparse))
        hi = ZERO if peak else VANISHING
        if not x.is_pure:
            hi = ZERO
        sparse = fresh_pattern() if hi == ZERO else frozenset[tuple[Atom, int]]()
        return Growth(
            lo=hi,
            hi=hi,
            attained=attained or hi == VANISHING,
            sparse=sparse,
            precision=Precision.SATURATING,
            rate=x.hi,
        )
    if low >= 0 and x.is_pure:
        return Growth(EXPONENTIAL, EXPONENTIAL, precision=Precision.ASYMPTOTIC, rate=x.hi)
    return Growth(
        lo=ZERO if low >= 0 else EXPONENTIAL,
        hi=EXPONENTIAL,
        attained=x.attained,
        sparse=frozenset() if low >= 0 else fresh_pattern(),
        precision=Precision.ASYMPTOTIC,
        mix=x.mix,
        rate=x.hi,
    )


def _exp_of_log(x: Growth) -> Growth:
    if x.slope is None or x.hi.log != 1:
        return Growth(VANISHING, EXPONENTIAL, attained=False, precision=x.precision)
    degree = Degree(x.slope)
    return Growth(degree, degree, attained=x.attained, precision=x.precision)


def logarithm(x: Growth) -> Growth:
    """log of degree p grows like p log a; of exponential growth like its exponent."""
    if not x.depends:
        return x
    if x.hi.power == 0 and not x.sparse and x.lo.power == 0:
        if x.hi == ZERO == x.lo:
            return x
        return Growth(VANISHING, Degree(0, 1), attained=False, precision=x.precision)
    if x.sparse or x.hi in (EXPONENTIAL, VANISHING) or x.lo == VANISHING:
        return _log_of_exponential(x)
    slope = x.hi.power if x.lo == x.hi and x.hi.log == 0 else None
    return Growth(
        lo=Degree(0, 1) if x.lo.power != 0 else ZERO,
        hi=Degree(0, 1),
        attained=True,
        precision=x.precision,
        mix=x.mix,
        slope=slope,
    )


def _log_of_exponential(x: Growth) -> Growth:
    rate = x.rate or EXPONENTIAL
    sure = x.rate is not None
    if x.hi in (EXPONENTIAL, VANISHING):
        lo = rate if sure else ZERO
        return Growth(lo, rate, attained=sure, precision=Precision.ASYMPTOTIC)
    return Growth(
        lo=ZERO,
        hi=rate,
        attained=sure and x.precision is Precision.SATURATING,
        sparse=fresh_pattern(),
        precision=Precision.ASYMPTOTIC,
        mix=x.mix,
    )
