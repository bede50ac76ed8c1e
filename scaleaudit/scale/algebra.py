"""Arithmetic of scales: what the laws of operators are written in."""

from __future__ import annotations

import math
from typing import TypeAlias

from scaleaudit.domain.facts import Opaque
from scaleaudit.domain.scale import (
    CONSTANT,
    NONNEGATIVE,
    REALS,
    VANISHING,
    ZERO,
    Form,
    Growth,
    Interval,
    Poly,
    Precision,
    Rational,
    Scale,
    Size,
    Support,
)
from scaleaudit.scale import forms, growth, intervals
from scaleaudit.scale.copying import replace

# A law's argument: a value, a list of values, or a constant of the program.
Arg: TypeAlias = "Scale | bool | int | float | complex | str | tuple[Arg, ...] | None"

# Constants up to this size beside a growing norm are its eps (torch's are 1e-12 to 1e-5).
EPS_SIZE = 1e-3


def number(value: float) -> Scale:
    """A number of the program."""
    return Scale(CONSTANT, intervals.point(float(value)))


# Operators that a value names for not being known; more would only lengthen what is passed on.
MOST_REASONS = 16


def independent(span: Interval = REALS, *, learned: bool = False) -> Scale:
    """A value that the states do not reach."""
    return Scale(CONSTANT, span, learned=learned)


def lift(x: Arg) -> Scale:
    """Return a value for an argument that may be a number."""
    if isinstance(x, Scale):
        return x
    if isinstance(x, (bool, int, float)):
        return number(float(x))
    return independent()


# Stands for the operator at hand, in a law that says nothing of one of its outputs.
UNTOLD = Opaque("", None, "its law says nothing of this output")


def unknown(*reasons: Opaque) -> Scale:
    """A value of which nothing is known."""
    return Scale(Growth(), opaque=tuple(dict.fromkeys(reasons or (UNTOLD,)))[:MOST_REASONS])


def merge_support(x: Scale, y: Scale) -> Support | None:
    """Return the part of the state that either value reads."""
    a, b = x.support, y.support
    if a is None and b is None:
        return None
    # A value that is not finished yet has axes, and no shape.
    dims = [len(s.axes) for s in (a, b) if s is not None]
    rank = max(len(x.shape), len(y.shape), *dims)
    if a is None or b is None:
        return realigned(a or b, rank)
    a, b = realigned(a, rank), realigned(b, rank)
    assert a is not None
    assert b is not None
    if a == b:
        return a
    if len(a.reads) != len(b.reads):  # they read states of different ranks
        return Support((None,) * rank, a.reads, exact=False, blurred=True)
    reads = tuple(p | q for p, q in zip(a.reads, b.reads, strict=True))
    same = a.reads == b.reads
    axes = tuple(p if p == q and same else None for p, q in zip(a.axes, b.axes, strict=True))
    # Where one reads all that the other may read at most, it makes no odds what that reads.
    exact = (a.exact and (b.exact or reads == a.reads)) or (b.exact and reads == b.reads)
    return Support(axes, reads, exact, a.blurred or b.blurred or not same)


def untold(support: Support | None) -> Support | None:
    """Say that it is not known which part of what is read is read indeed."""
    return None if support is None else replace(support, exact=False)


def realigned(support: Support | None, rank: int) -> Support | None:
    """Pad the axes on the left, as broadcasting does."""
    if support is None or len(support.axes) == rank:
        return support
    missing = rank - len(support.axes)
    axes = (
        (None,) * missing + support.axes
        if missing > 0
        else support.axes[len(support.axes) - rank :]
    )
    return replace(support, axes=axes)


def joined(x: Scale, y: Scale, scale: Scale) -> Scale:
    """Give a result what it inherits from both operands."""
    opaque = x.opaque + y.opaque
    return replace(
        scale,
        support=merge_support(x, y),
        opaque=tuple(dict.fromkeys(opaque))[:MOST_REASONS] if opaque else (),
        learned=x.learned or y.learned,
    )


def same_value(x: Scale, shape: tuple[int, ...], support: Support | None) -> Scale:
    """The same value under another shape or support: it stays the same atom."""
    return replace(x, given=x.form, shape=shape, support=support)


def derived(x: Scale, g: Growth, span: Interval = REALS, *, slope: Rational | None = None) -> Scale:
    """A result of one operand: same support, new growth and range.

    Args:
        slope: The factor of log a, where the operator leaves one.
    """
    if g.slope != slope:
        g = replace(g, slope=slope)
    return Scale(g, span, x.shape, None, x.support, x.opaque, x.learned)


def plus(x: Scale, y: Scale, sign: float = 1.0) -> Scale:
    """x + sign * y: degrees by their maximum, identity coefficients add, equal atoms cancel."""
    if x.is_zero and not y.opaque:
        return y if sign == 1 else negate(y)
    if y.is_zero:
        return x
    span = intervals.add(x.span, intervals.negate(y.span) if sign < 0 else y.span)
    form, cancelled = forms.add(x.form, y.form, sign)
    if cancelled and not (x.opaque or y.opaque):
        return joined(x, y, from_form(form))
    form = _folded(form)
    span = _below_peak(form, span)
    second = y.growth
    if second.slope is not None:
        second = replace(second, slope=second.slope * growth.rational(sign))
    g = growth.add(x.growth, second, tiny=_is_eps(x, y) or _is_eps(y, x))
    g = _dying(x, y, g, span)
    if g.hi > ZERO and (_meets_its_size(x, y) or _meets_its_size(y, x)):
        g = replace(g, lo=VANISHING)
    if g.hi > ZERO and x.depends != y.depends and span.low == 0 and span.low_open:
        g = replace(g, sparse=growth.fresh_pattern())  # elu(h) + 1 dies where h is negative
    peaked = span.high == 0 and not span.high_open
    scale = Scale(g, span, given=form, size=_no_smaller(x, y) if sign > 0 else None)
    result = joined(x, y, scale)
    return replace(result, peak_of=_peak(form)) if peaked else result


def _no_smaller(x: Scale, y: Scale) -> Size | None:
    """A size plus what is never negative is no smaller."""
    if x.size is not None and not y.depends and y.span.low >= 0:
        return x.size
    return y.size if not x.depends and x.span.low >= 0 else None


def _meets_its_size(size: Scale, x: Scale) -> bool:
    """Whether |x| is added to x or taken from it: elements of one sign cancel."""
    if size.size is None or size.size.power != 1:
        return False
    parts = size.size.of.parts
    return any(
        atom in parts and _is_as_large(parts[atom], poly) for atom, poly in x.form.parts.items()
    )


def _is_as_large(x: Poly, y: Poly) -> bool:
    """Whether two coefficients are the same but perhaps for their signs."""
    terms, others = dict(x.terms), dict(y.terms)
    return terms == others or terms == {gates: -factor for gates, factor in others.items()}


def _dying(x: Scale, y: Scale, g: Growth, span: Interval) -> Growth:
    """1 - sigmoid(h) dies where the sigmoid saturates at 1: an end of its range that is 0."""
    if g.hi != ZERO or g.precision is not Precision.SATURATING:
        return g
    if x.depends and y.depends:
        both = x.growth.precision is y.growth.precision and x.growth.hi == y.growth.hi
        # Two limits out of few, as 1 and 1, may cancel.
        return replace(g, lo=VANISHING, attained=False) if both and 0 in span else g
    low, high = span.low == 0 and span.low_open, span.high == 0 and span.high_open
    gate = x if x.depends else y
    if not gate.depends or gate.growth.inner or not (low or high):
        return g
    if len(gate.growth.sparse) == 1:
        ((atom, where),) = gate.growth.sparse
        return replace(g, sparse=frozenset({(atom, -where)}))
    if span.low_open and span.high_open:
        return replace(g, sparse=growth.fresh_pattern())
    return replace(g, lo=VANISHING, hi=VANISHING)


def _is_eps(eps: Scale, x: Scale) -> bool:
    """Whether eps is a small number beside a norm or a mean square."""
    small = not eps.depends and abs(eps.span.low) <= EPS_SIZE and abs(eps.span.high) <= EPS_SIZE
    return small and x.span.low >= 0


def _below_peak(form: Form, span: Interval) -> Interval:
    """x - max(x) is never positive."""
    return Interval(span.low, 0.0, span.low_open) if _peak(form) is not None else span


def _peak(form: Form) -> Form | None:
    """Return x where a form is that of x - max(x)."""
    for atom, poly in form.parts.items():
        if atom.peak_of is not None and poly.constant == -1.0:
            left = {other: p for other, p in form.parts.items() if other is not atom}
            if forms.equal(Form(left, form.rest), atom.peak_of):
                return atom.peak_of
    return None


def _folded(form: Form) -> Form:
    """Fold a long sum of gates into one atom."""
    if len(form.rest.terms) > forms.MAX_TERMS:
        form = Form(form.parts, from_form(Form({}, form.rest)).form.rest)
    return form


def from_form(form: Form) -> Scale:
    """Judge a value by its form alone (after a cancellation, or to fold it)."""
    total: Growth | None = None
    for atom, poly in form.parts.items():
        g = _poly_growth(poly)
        part = growth.multiply(atom.growth, g)
        total = part if total is None else growth.add(total, part)
    if form.rest.terms:
        rest = _poly_growth(form.rest)
        total = rest if total is None else growth.add(total, rest)
    span = forms.poly_span(form.rest, limits=False)
    for atom, poly in form.parts.items():
        reach = intervals.multiply(forms.poly_span(poly, limits=False), atom.span)
        span = intervals.add(span, reach)
    g = total or CONSTANT
    keep = len(form.rest.terms) <= forms.MAX_TERMS
    return Scale(g, span, given=form if keep else None)


def _poly_growth(poly: Poly) -> Growth:
    total = CONSTANT
    for monomial in poly.terms:
        term = CONSTANT
        for atom in monomial:
            term = growth.multiply(term, atom.growth)
        total = growth.add(total, term)
    return total


def negate(x: Scale) -> Scale:
    """-x."""
    form = forms.scale(x.form, -1.0)
    slope = None if x.growth.slope is None else -x.growth.slope
    g = x.growth if slope is None else replace(x.growth, slope=slope)
    return replace(x, growth=g, span=intervals.negate(x.span), given=form, peak_of=None, size=None)


def times(x: Scale, y: Scale) -> Scale:
    """x * y: degrees add; a gate (degree 0) times a form gates its coefficients."""
    if x is y:
        return squared(x)
    if x.is_zero or y.is_zero:
        return number(0.0)
    span = intervals.multiply(x.span, y.span)
    g = growth.multiply(x.growth, y.growth)
    for value, factor in ((x, y), (y, x)):
        if value.growth.slope is not None and not factor.depends and factor.span.is_point:
            g = replace(g, slope=value.growth.slope * growth.rational(factor.span.low))
    result = joined(x, y, Scale(g, span, given=_gated(x, y), size=_resized(x, y)))
    for value, size in ((x, y.size), (y, x.size)):
        if size is None or size.power != -1 or size.flat or result.opaque:
            continue
        if forms.equal(value.form, size.of):
            return _normed(value, result, size.bound)
    return result


def _resized(x: Scale, y: Scale) -> Size | None:
    """A size times a number: as x.pow(2).sum() / n."""
    for value, factor in ((x, y), (y, x)):
        size, c = value.size, factor.span.low
        if size is not None and not factor.depends and factor.span.is_point and c > 0:
            return replace(size, bound=size.bound * c ** float(-1 / size.power))
    return None


def _normed(x: Scale, result: Scale, bound: float) -> Scale:
    """x / norm(x) is bounded, also where every element of x may vanish."""
    span = Interval(max(result.span.low, -bound), min(result.span.high, bound))
    g = result.growth
    if not (g.hi <= ZERO and g.attained):
        g = Growth(
            lo=min(g.lo, ZERO),
            hi=min(x.growth.hi, ZERO),
            attained=x.growth.attained,
            sparse=x.growth.sparse,
            precision=max(g.precision, Precision.ASYMPTOTIC),
            mix=g.mix,
            normed=True,
        )
    return replace(result, growth=g, span=span, given=None)


def _gated(x: Scale, y: Scale) -> Form | None:
    """Form of a product where one factor, or both, are gates."""
    if x.opaque or y.opaque:
        return None
    if not x.depends and not y.depends and not (x.span.is_point or y.span.is_point):
        return None
    for value, gate in ((x, y), (y, x)):
        carries = not value.depends or value.growth.hi >= ZERO
        if carries and is_gate(gate) and not gate.form.parts:
            return forms.gate(value.form, gate.form.rest)
    return None


def is_gate(x: Scale) -> bool:
    """Whether a value can stand in a coefficient: constant, or of degree 0."""
    return not x.depends or x.growth.hi == ZERO


def squared(x: Scale) -> Scale:
    """x * x, which is never negative."""
    span = intervals.square(x.span)
    result = derived(x, growth.power(x.growth, 2), span)
    return replace(result, size=_size_of(x, 2))


def _size_of(x: Scale, exponent: Rational) -> Size | None:
    """The size that a power of a value is: of itself, or of what it is the size of."""
    if x.size is not None:
        return replace(x.size, power=x.size.power * exponent)
    return Size(x.form, 2) if exponent == 2 and x.depends and not x.opaque else None


def divide(x: Scale, y: Scale) -> Scale:
    """x / y: degrees subtract."""
    if not y.depends and y.span.is_point and y.span.low != 0:
        return times(x, number(1.0 / y.span.low))
    if x is y and not x.opaque:
        return number(1.0)
    return times(x, reciprocal(y))


def reciprocal(x: Scale) -> Scale:
    """1 / x."""
    result = derived(x, growth.reciprocal(x.growth), intervals.reciprocal(x.span))
    return replace(result, size=_size_of(x, -1))


def power(x: Scale, exponent: Scale) -> Scale:
    """x ** c multiplies the degree by c; a learned exponent gives the range of degrees."""
    if not exponent.depends and exponent.span.is_point:
        c = exponent.span.low
        if c == 1:
            return x
        exact = growth.rational(c)
        result = derived(x, growth.power(x.growth, exact), intervals.power(x.span, c))
        return replace(result, size=_size_of(x, exact) if c else None)
    if exponent.depends:
        return exp(times(exponent, log(x)))
    return joined(x, exponent, Scale(_possible(x.growth, exponent.span), _root_span(x)))


def _root_span(x: Scale) -> Interval:
    return NONNEGATIVE if x.span.low >= 0 else REALS


def _possible(g: Growth, exponents: Interval) -> Growth:
    if not g.depends:
        return g
    ends = [
        growth.scale_degree(degree, growth.rational(end))
        for degree in (g.lo, g.hi)
        for end in (exponents.low, exponents.high)
    ]
    return replace(g, lo=min(ends), hi=max(ends), attained=False)


def exp(x: Scale) -> Scale:
    """exp: faster than any power of a growing argument, bounded where it is negative."""
    g = growth.exponential(x.growth, low=x.span.low, high=x.span.high, peak=x.peak_of is not None)
    span = intervals.monotone(x.span, lambda v: math.exp(v) if v > -math.inf else 0.0)
    return derived(x, within(x, g), span)


def within(x: Scale, g: Growth) -> Growth:
    """What a monotonic function of x has: one of what does not grow stays off its ends.

    Only where x itself does: what is finite at an end may tend to it.
    """
    inside = x.growth.inner or x.span == REALS
    return replace(g, inner=True) if x.depends and x.growth.hi <= ZERO and inside else g


def log(x: Scale) -> Scale:
    """log: c log a for a value of degree c."""
    span = intervals.monotone(x.span, lambda v: math.log(v) if v > 0 else -math.inf)
    g = growth.logarithm(x.growth)
    if x.growth.precision is Precision.SATURATING and g.hi == ZERO and _ends_at(x.span, 1.0):
        g = replace(g, lo=VANISHING, attained=False)
    return derived(x, g, span, slope=g.slope)


def _ends_at(span: Interval, value: float) -> bool:
    """Whether a saturating value tends to a number."""
    return value in (span.low, span.high)


def mixture(*values: Scale, dims: frozenset[int] | None = None) -> Scale:
    """Elements of one value beside elements of another (cat, where, scatter).

    Args:
        dims: The dims, from the end, along which the choice runs; None where it is not known.
    """
    first, *others = values
    if not others:
        return first
    total = first
    for other in others:
        span = total.span.hull(other.span)
        g = _mixed(total, other, dims)
        total = joined(total, other, Scale(g, span))
    return total


def _mixed(x: Scale, y: Scale, dims: frozenset[int] | None) -> Growth:
    a, b = x.growth, y.growth
    if not a.depends and not b.depends:
        return CONSTANT
    if x.is_zero or y.is_zero:
        return replace(b if x.is_zero else a, sparse=growth.fresh_pattern(), slope=None)
    rank = max(len(x.shape), len(y.shape), 1)
    lo, hi = min(a.lo, b.lo), max(a.hi, b.hi)
    where = dims if dims is not None else frozenset(range(-rank, 0))
    precision = max(a.precision, b.precision)
    if a.hi != b.hi and hi == ZERO:
        precision = max(precision, Precision.ASYMPTOTIC)
    return Growth(
        lo=lo,
        hi=hi,
        attained=(a.hi == hi and a.attained) or (b.hi == hi and b.attained),
        sparse=growth.fresh_pattern() if a.sparse or b.sparse else frozenset(),
        precision=precision,
        mix=(where if lo < hi else frozenset()) | a.mix | b.mix,
        slope=a.slope if a.slope == b.slope and a.hi == b.hi else None,
    )
