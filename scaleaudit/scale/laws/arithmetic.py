"""Laws of sums, products, quotients, powers, comparisons and choices."""

from __future__ import annotations

from dataclasses import replace

from scaleaudit.domain.scale import CONSTANT, ZERO, Growth, Interval, Poly, Precision, Scale
from scaleaudit.scale import algebra, forms, growth, intervals
from scaleaudit.scale.algebra import Arg, lift, plus, times
from scaleaudit.scale.laws.table import LawTable

TABLE = LawTable()

# Masks add or fill with such numbers to take an element out of a softmax.
MASKED = 1e4


@TABLE.law("aten.add", "aten.add_")
def add(x: Arg, y: Arg, alpha: Arg = 1) -> Scale:
    """deg(x + y) is the common degree, else the larger one, asymptotically."""
    return plus(lift(x), times(lift(y), lift(alpha)))


@TABLE.law("aten.sub")
def subtract(x: Arg, y: Arg, alpha: Arg = 1) -> Scale:
    """deg(x - y) is that of the sum; equal parts cancel."""
    return plus(lift(x), times(lift(y), lift(alpha)), -1.0)


@TABLE.law("aten.rsub")
def reverse_subtract(x: Arg, y: Arg, alpha: Arg = 1) -> Scale:
    """deg(y - x) is that of the sum; equal parts cancel."""
    return plus(lift(y), times(lift(x), lift(alpha)), -1.0)


@TABLE.law("aten.mul", "scaleaudit.scalar.mul")
def multiply(x: Arg, y: Arg) -> Scale:
    """deg(x y) = deg(x) + deg(y)."""
    return times(lift(x), lift(y))


@TABLE.law("scaleaudit.scalar.add")
def scalar_add(x: Arg, y: Arg) -> Scale:
    """deg(x + y) is the common degree, else the larger one, asymptotically."""
    return plus(lift(x), lift(y))


@TABLE.law("scaleaudit.scalar.sub")
def scalar_subtract(x: Arg, y: Arg) -> Scale:
    """deg(x - y) is that of the sum; equal parts cancel."""
    return plus(lift(x), lift(y), -1.0)


@TABLE.law("aten.div", "aten.true_divide", "scaleaudit.scalar.truediv")
def divide(x: Arg, y: Arg, rounding_mode: Arg = None) -> Scale:
    """deg(x / y) = deg(x) - deg(y)."""
    result = algebra.divide(lift(x), lift(y))
    return result if rounding_mode is None else rounded(result)


@TABLE.law("aten.neg", "scaleaudit.scalar.neg")
def negative(x: Arg) -> Scale:
    """deg(-x) = deg(x)."""
    return algebra.negate(lift(x))


@TABLE.law("aten.reciprocal")
def reciprocal(x: Arg) -> Scale:
    """deg(1 / x) = -deg(x)."""
    return algebra.reciprocal(lift(x))


@TABLE.law("aten.pow", "scaleaudit.scalar.pow")
def power(x: Arg, exponent: Arg) -> Scale:
    """deg(x ** c) = c deg(x)."""
    return algebra.power(lift(x), lift(exponent))


@TABLE.law("aten.square")
def square(x: Arg) -> Scale:
    """deg(x²) = 2 deg(x)."""
    return algebra.squared(lift(x))


@TABLE.law("aten.sqrt", "scaleaudit.scalar.sqrt")
def square_root(x: Arg) -> Scale:
    """deg(√x) = deg(x) / 2."""
    return algebra.power(lift(x), algebra.number(0.5))


@TABLE.law("aten.rsqrt")
def reciprocal_root(x: Arg) -> Scale:
    """deg(1 / √x) = -deg(x) / 2."""
    return algebra.power(lift(x), algebra.number(-0.5))


@TABLE.law("aten.abs", "aten.absolute", "scaleaudit.scalar.abs")
def absolute(x: Arg) -> Scale:
    """deg(|x|) = deg(x)."""
    x = lift(x)
    if x.span.low >= 0:
        return x
    return algebra.derived(x, x.growth, intervals.even(x.span, abs))


@TABLE.law("aten.addcmul")
def add_product(x: Arg, y: Arg, z: Arg, value: Arg = 1) -> Scale:
    """deg(x + c y z) is the larger of deg(x) and deg(y) + deg(z)."""
    return plus(lift(x), times(times(lift(y), lift(z)), lift(value)))


@TABLE.law("aten.addcdiv")
def add_quotient(x: Arg, y: Arg, z: Arg, value: Arg = 1) -> Scale:
    """deg(x + c y / z) is the larger of deg(x) and deg(y) - deg(z)."""
    return plus(lift(x), times(algebra.divide(lift(y), lift(z)), lift(value)))


@TABLE.law("aten.lerp")
def interpolate(x: Arg, y: Arg, weight: Arg) -> Scale:
    """lerp(x, y, w) = (1 - w) x + w y."""
    x, y, w = lift(x), lift(y), lift(weight)
    return plus(times(plus(algebra.number(1.0), w, -1.0), x), times(w, y))


@TABLE.law("aten.maximum", "aten.minimum", "aten.fmax", "aten.fmin")
def extreme(x: Arg, y: Arg) -> Scale:
    """The larger (smaller) of two values has the degree of either, element by element."""
    x, y = lift(x), lift(y)
    total = algebra.joined(x, y, Scale(_either(x, y), x.span.hull(y.span)))
    return total


def _either(x: Scale, y: Scale) -> Growth:
    a, b = x.growth, y.growth
    if not a.depends and not b.depends:
        return CONSTANT
    exact = a.lo == a.hi == b.lo == b.hi or x.is_zero or y.is_zero
    known = a if y.is_zero else b if x.is_zero else growth.add(a, b)
    precision = known.precision if exact else max(known.precision, Precision.ASYMPTOTIC)
    lo = min(a.floor, b.floor)
    if x.is_zero or y.is_zero:
        return replace(known, sparse=growth.fresh_pattern())
    return replace(known, lo=max(lo, min(a.lo, b.lo)), precision=precision)


@TABLE.law("aten.clamp_min")
def clamp_below(x: Arg, low: Arg) -> Scale:
    """A floor leaves growing values; a small one below a norm acts up to eps."""
    x, low = lift(x), lift(low)
    return _clamped(x, low.span.low, float("inf"), low)


@TABLE.law("aten.clamp_max")
def clamp_above(x: Arg, high: Arg) -> Scale:
    """A ceiling makes growing values saturate."""
    x, high = lift(x), lift(high)
    return _clamped(x, float("-inf"), high.span.high, high)


@TABLE.law("aten.clamp", "aten.hardtanh", "aten.clip")
def clamp(x: Arg, low: Arg = None, high: Arg = None) -> Scale:
    """Clamping to a finite range saturates; a floor alone leaves growing values."""
    x = lift(x)
    lo = float("-inf") if low is None else lift(low).span.low
    hi = float("inf") if high is None else lift(high).span.high
    bound = algebra.joined(
        lift(0 if low is None else low), lift(0 if high is None else high), algebra.number(0)
    )
    return _clamped(x, lo, hi, bound)


def _clamped(x: Scale, low: float, high: float, bound: Scale) -> Scale:
    span = intervals.clamp(x.span, low, high)
    if bound.depends:
        return algebra.joined(x, bound, Scale(_either(x, bound), x.span.hull(bound.span)))
    if x.span.low >= low and x.span.high <= high:
        return x
    g = x.growth
    if not g.depends:
        return algebra.independent(span, learned=x.learned)
    grows_up = x.span.high > 0 and x.span.low >= 0
    if low > float("-inf") and high == float("inf"):
        return algebra.derived(x, _floored(x, low, one_sided=grows_up), span)
    if high < float("inf") and low == float("-inf"):
        flipped = _floored(algebra.negate(x), -high, one_sided=x.span.high <= 0)
        return algebra.derived(x, flipped, span)
    g = growth.saturate(g) if g.hi > ZERO else growth.smooth(g, odd=low <= 0 <= high)
    if g.precision is Precision.EXACT and g.hi == ZERO:
        return algebra.derived(x, g, span)
    return algebra.derived(x, g, span)


def _floored(x: Scale, low: float, *, one_sided: bool) -> Growth:
    """max(x, low): as x where x grows upward, constant where it falls below."""
    g = x.growth
    if g.hi <= ZERO:
        if g.hi < ZERO and low > 0:
            return replace(growth.smooth(g), precision=Precision.SATURATING)
        return growth.smooth(g, odd=low <= 0)
    if one_sided:
        small = low <= algebra.EPS_SIZE
        return replace(
            g, precision=max(g.precision, Precision.EPS if small else Precision.ASYMPTOTIC)
        )
    if x.span.high <= 0:
        return replace(growth.saturate(g), lo=ZERO, hi=ZERO)
    if low == 0:
        return replace(g, sparse=growth.fresh_pattern())
    return replace(g, lo=ZERO, precision=max(g.precision, Precision.ASYMPTOTIC))


@TABLE.law(
    "aten.gt", "aten.lt", "aten.ge", "aten.le", "aten.eq", "aten.ne",
    "scaleaudit.scalar.gt", "scaleaudit.scalar.lt", "scaleaudit.scalar.ge",
    "scaleaudit.scalar.le", "scaleaudit.scalar.eq", "scaleaudit.scalar.ne",
)  # fmt: skip
def compare(x: Arg, y: Arg) -> Scale:
    """Comparing values of one degree is invariant; against a constant it settles in the limit."""
    x, y = lift(x), lift(y)
    difference = plus(x, y, -1.0)
    return algebra.joined(x, y, Scale(_settled(difference.growth), Interval(0.0, 1.0)))


def _settled(g: Growth) -> Growth:
    if not g.depends:
        return CONSTANT
    exact = g.lo == g.hi and g.precision <= Precision.EPS
    least = Precision.EXACT if exact else Precision.SATURATING
    return Growth(precision=max(g.precision, least))


@TABLE.law("aten.sign", "aten.sgn", "aten.signbit")
def sign(x: Arg) -> Scale:
    """The sign of a homogeneous value is invariant."""
    x = lift(x)
    return algebra.derived(x, _settled(x.growth), Interval(-1.0, 1.0))


@TABLE.law("aten.round", "aten.floor", "aten.ceil", "aten.trunc", "aten.floor_divide")
def rounded(x: Arg, *_: Arg) -> Scale:
    """Rounding keeps the degree of a growing value, asymptotically; it has no gradient."""
    x = lift(x)
    g = x.growth
    if g.hi > ZERO:
        g = replace(g, precision=max(g.precision, Precision.ASYMPTOTIC))
    elif g.depends and g.hi < ZERO:
        g = Growth(precision=Precision.SATURATING)
    return algebra.derived(x, g, _widened(x.span))


def _widened(span: Interval) -> Interval:
    return Interval(span.low - 1, span.high + 1) if span.is_finite else span


@TABLE.law("aten.remainder", "aten.fmod", "scaleaudit.scalar.mod", "aten.frac")
def remainder(x: Arg, *_: Arg) -> Scale:
    """A remainder is bounded by its divisor."""
    x = lift(x)
    return algebra.derived(x, growth.saturate(x.growth))


@TABLE.law(
    "aten.logical_and", "aten.logical_or", "aten.logical_xor", "aten.bitwise_and",
    "aten.bitwise_or", "aten.bitwise_xor", "aten.__and__", "aten.__or__", "aten.__xor__",
)  # fmt: skip
def logical(x: Arg, y: Arg) -> Scale:
    """A logical combination is as invariant as its operands."""
    x, y = lift(x), lift(y)
    return algebra.joined(x, y, Scale(_logical(x, y), Interval(0.0, 1.0)))


def _logical(x: Scale, y: Scale) -> Growth:
    depends = x.depends or y.depends
    return Growth(precision=max(x.growth.precision, y.growth.precision), depends=depends)


@TABLE.law(
    "aten.logical_not", "aten.bitwise_not", "aten.isnan", "aten.isinf", "aten.isfinite",
    "aten.any", "aten.all",
)  # fmt: skip
def logical_one(x: Arg, *_: Arg) -> Scale:
    """A truth value of a value is as invariant as it."""
    x = lift(x)
    return algebra.derived(x, _settled(x.growth), Interval(0.0, 1.0))


@TABLE.law("aten.where", "scaleaudit.where")
def where(condition: Arg, x: Arg, y: Arg) -> Scale:
    """A choice m x + (1 - m) y, m in {0, 1}: elements of both, identity kept where both have it."""
    return choice(lift(condition), lift(x), lift(y))


def choice(condition: Scale, x: Scale, y: Scale) -> Scale:
    """Return the elements of x where the condition holds, else those of y."""
    for kept, filled in ((x, y), (y, x)):
        if _is_mask_value(filled):
            return algebra.same_value(kept, kept.shape, kept.support)
    result = algebra.mixture(x, y)
    mask = Scale(condition.growth, Interval(0.0, 1.0)).form
    one = forms.gate(x.form, mask.rest)
    inverse = forms.poly_add(Poly({(): 1.0}), mask.rest, -1.0)
    other = forms.gate(y.form, inverse)
    if one is None or other is None or result.opaque:
        return algebra.joined(condition, result, result)
    form, cancelled = forms.add(one, other)
    if not cancelled:
        settled = replace(result, given=form)
    else:
        settled = replace(algebra.from_form(form), support=result.support)
    g = settled.growth
    if condition.depends:
        least = max(condition.growth.precision, g.precision)
        g = replace(g, precision=least, depends=True)
    settled = replace(settled, growth=g)
    return algebra.joined(condition, algebra.joined(x, y, settled), settled)


def _is_mask_value(x: Scale) -> bool:
    """Whether a value only takes elements out (-inf, or so large that a softmax drops them)."""
    return not x.depends and x.span.is_point and abs(x.span.low) >= MASKED


@TABLE.law("aten.masked_fill", "aten.masked_scatter")
def masked_fill(x: Arg, mask: Arg, value: Arg) -> Scale:
    """Elements of a constant beside those of x; -inf takes them out."""
    return choice(lift(mask), lift(value), lift(x))
