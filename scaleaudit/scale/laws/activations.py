"""Laws of activation functions."""

from __future__ import annotations

import math

from scaleaudit.domain.scale import (
    NONNEGATIVE,
    REALS,
    VANISHING,
    ZERO,
    Atom,
    Degree,
    Growth,
    Interval,
    Precision,
    Scale,
)
from scaleaudit.scale import algebra, growth, intervals
from scaleaudit.scale.algebra import Arg, lift
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.arithmetic import absolute, bent, clamp
from scaleaudit.scale.laws.table import LawTable

TABLE = LawTable()


def sign_pattern(x: Scale, sign: int = 1) -> frozenset[tuple[Atom, int]]:
    """Where x (sign 1) or -x (sign -1) is negative: the elements that a relu drops."""
    form = x.form
    if len(form.parts) == 1 and not form.rest.terms:
        ((atom, poly),) = form.parts.items()
        if poly.constant is not None:
            return frozenset({(atom, sign if poly.constant > 0 else -sign)})
    if not form.parts and len(form.rest.terms) == 1:
        ((monomial, factor),) = form.rest.terms.items()
        if len(monomial) == 1:
            return frozenset({(monomial[0], sign if factor > 0 else -sign)})
    return frozenset({(Atom(x.growth, REALS), sign)})


def one_sided(x: Scale) -> Growth:
    """What is known of a value of which one side is dropped.

    Where elements of several degrees differ by their sign, the large ones may all be dropped.
    """
    g = x.growth
    by_sign = (g.lo < g.hi or bool(g.sparse)) and not g.mix
    mixed_by_sign = by_sign and x.span.low < 0 < x.span.high
    return replace(g, attained=False) if mixed_by_sign else g


def half_line(x: Scale, *, exact: bool, span: Interval) -> Scale:
    """A function that is x above and dies below: relu, and silu, gelu asymptotically."""
    if x.span.low >= 0 and exact:
        return x
    if x.span.high <= 0 and exact:
        return algebra.number(0.0)
    return bent(x, _half_line(x, exact=exact, span=span))


def _half_line(x: Scale, *, exact: bool, span: Interval) -> Scale:
    g = one_sided(x)
    if not g.depends:
        return algebra.independent(span, learned=x.learned)
    if g.hi > ZERO and growth.is_logarithmic(g):
        return algebra.derived(x, _of_logarithm(g, below=VANISHING), span)
    if g.hi > ZERO and x.span.high < math.inf:
        return algebra.derived(x, growth.cut_off(g), span)
    if exact:
        return algebra.derived(x, replace(g, sparse=sign_pattern(x) | g.sparse), span)
    if g.hi <= ZERO:
        return algebra.derived(x, growth.smooth(g, odd=True), span)
    least = max(g.precision, Precision.ASYMPTOTIC)
    if x.span.low >= 0:
        return algebra.derived(x, replace(g, precision=least), span)
    sparse = sign_pattern(x) | g.sparse
    return algebra.derived(x, replace(g, sparse=sparse, precision=least), span)


def _of_logarithm(g: Growth, *, below: Degree | None) -> Growth:
    """A function that is x above and dies below, of a logarithm: the sign of its slope decides.

    Args:
        below: Degree of what is left below; None where the function is exp(x) there.
    """
    if g.slope is None or g.lo != g.hi:
        return Growth(VANISHING, g.hi, attained=False, precision=Precision.ASYMPTOTIC)
    if g.slope > 0:
        return growth.limit(g, Precision.ASYMPTOTIC)
    dead = Degree(g.slope) if below is None else below
    return Growth(dead, dead, precision=Precision.SATURATING)


@TABLE.law("aten.relu")
def relu(x: Arg) -> Scale:
    """relu is homogeneous of degree 1: deg(relu(x)) = deg(x); elements below 0 vanish."""
    x = lift(x)
    return half_line(x, exact=True, span=intervals.clamp(x.span, 0.0, math.inf))


@TABLE.law("aten.silu", "aten.gelu", "aten.mish", "aten.hardswish")
def silu(x: Arg, *_: Arg) -> Scale:
    """SiLU and GELU are asymptotically relu; a negative argument makes them die."""
    x = lift(x)
    high = max(x.span.high, 0.0)
    return half_line(x, exact=False, span=Interval(-1.0 if x.span.low < 0 else 0.0, high))


@TABLE.law(
    "aten.leaky_relu", "aten.prelu", "aten._prelu_kernel", "aten.rrelu_with_noise_functional"
)
def leaky_relu(x: Arg, *slopes: Arg) -> Scale:
    """A leaky relu is homogeneous of degree 1 and vanishes nowhere."""
    x = lift(x)
    g = x.growth
    result = algebra.derived(
        x, growth.limit(g, Precision.ASYMPTOTIC) if growth.is_logarithmic(g) else g
    )
    return bent(x, result, _slope(slopes).hull(intervals.point(1.0)))


def _slope(slopes: tuple[Arg, ...]) -> Interval:
    """Slope below 0: a number, or a weight that may be anything."""
    if not slopes:
        return intervals.point(0.01)
    return lift(slopes[0]).span if len(slopes) == 1 else REALS


@TABLE.law("aten.elu", "aten.celu")
def elu(x: Arg, alpha: Arg = 1, scale: Arg = 1, *_: Arg) -> Scale:
    """elu is x above and a constant below: degree of x, asymptotically."""
    floor = algebra.times(lift(alpha), lift(scale)).span.high
    return _floored(lift(x), -abs(floor))


# The constants of Klambauer et al., arXiv 1706.02515.
_SELU_FLOOR = -1.0507009873554805 * 1.6732632423543772


@TABLE.law("aten.selu")
def selu(x: Arg) -> Scale:
    """selu is linear above and a constant below: degree of x, asymptotically."""
    return _floored(lift(x), _SELU_FLOOR)


def _floored(x: Scale, floor: float) -> Scale:
    """What is x, or a multiple of it, above and tends to a constant below."""
    if x.span.low >= 0:
        return algebra.derived(x, x.growth, NONNEGATIVE, slope=x.growth.slope)
    return algebra.derived(x, _bent(x, odd=True), Interval(floor, math.inf, low_open=True))


@TABLE.law("aten.softplus")
def softplus(x: Arg, beta: Arg = 1, *_: Arg) -> Scale:
    """softplus is asymptotically relu; it dies exponentially below."""
    x = lift(x)
    sharp = lift(beta).span.low
    rest = Interval(0.0, math.log(2.0) / sharp) if sharp > 0 else REALS
    return bent(x, _softened(x), rest=rest)


def _softened(x: Scale) -> Scale:
    g = one_sided(x)
    span = intervals.monotone(x.span, _softplus)
    if not g.depends:
        return algebra.independent(span, learned=x.learned)
    if g.hi > ZERO and growth.is_logarithmic(g):
        return algebra.derived(x, _of_logarithm(g, below=None), span)
    if g.hi <= ZERO:
        return algebra.derived(x, algebra.within(x, growth.smooth(g)), span)
    if x.span.high <= 0:
        hi = ZERO if g.sparse or g.lo <= ZERO else VANISHING  # softplus(0) = log 2
        dead = Growth(VANISHING, hi, precision=Precision.SATURATING, rate=g.hi)
        return algebra.derived(x, replace(dead, attained=hi == VANISHING), span)
    sparse = frozenset[tuple[Atom, int]]() if x.span.low >= 0 else sign_pattern(x)
    precision = max(g.precision, Precision.ASYMPTOTIC)
    lo = min(g.lo, ZERO) if g.sparse else g.lo
    g = replace(g, lo=lo, sparse=sparse, precision=precision, rate=g.hi)
    return algebra.derived(x, g, span)


def _softplus(value: float) -> float:
    return value if value > 30 else math.log1p(math.exp(value))


@TABLE.law("aten.log_sigmoid_forward", "aten.log_sigmoid")
def log_sigmoid(x: Arg) -> tuple[Scale, Scale]:
    """log(sigmoid(x)) = -softplus(-x)."""
    x = lift(x)
    result = softplus(algebra.negate(x))
    assert isinstance(result, Scale)
    return algebra.negate(result), algebra.unknown()


def _bent(x: Scale, *, odd: bool) -> Growth:
    g = one_sided(x)
    if not g.depends or g.hi <= ZERO:
        return growth.smooth(g, odd=odd)
    if growth.is_logarithmic(g):
        return replace(_of_logarithm(g, below=ZERO), sparse=frozenset())
    precision = max(g.precision, Precision.ASYMPTOTIC)
    if x.span.low >= 0:
        return replace(g, precision=precision)
    if x.span.high <= 0:
        return growth.saturate(g)
    return replace(g, lo=min(g.lo, ZERO), precision=precision, mix=g.mix)


@TABLE.law("aten.softshrink", "aten.hardshrink")
def shrink(x: Arg, width: Arg = 0.5) -> Scale:
    """Shrinkage takes a bounded part off: degree of x in the limit; small elements vanish."""
    x = lift(x)
    span = x.span.hull(intervals.point(0.0))
    g = x.growth
    if not g.depends:
        return algebra.independent(span, learned=x.learned)
    if g.hi > ZERO:
        below = growth.fresh_pattern() if g.lo <= ZERO or g.sparse else frozenset()
        g = replace(growth.limit(g, Precision.ASYMPTOTIC), sparse=below)
    elif g.hi == ZERO and growth.is_homogeneous(g):
        g = Growth(sparse=growth.fresh_pattern(), precision=g.precision, normed=g.normed)
    else:
        g = Growth(VANISHING, g.hi, attained=False, precision=Precision.SATURATING)
    off = abs(lift(width).span.high)
    result = algebra.derived(x, g, span, slope=g.slope)
    return bent(x, result, intervals.point(1.0), Interval(-off, off))


@TABLE.law("aten.logit")
def logit(x: Arg, eps: Arg = None) -> Scale:
    """logit(x) = log(x) - log(1 - x), of a value kept eps away from 0 and 1 where asked."""
    x = lift(x)
    if eps is None:
        rest = algebra.plus(algebra.number(1.0), x, -1.0)
        return _through_zero(algebra.plus(algebra.log(x), algebra.log(rest), -1.0))
    near = lift(eps).span.low
    inside = clamp(x, near, 1.0 - near)
    span = intervals.monotone(inside.span, _logit)
    return _through_zero(algebra.derived(inside, growth.smooth(inside.growth), span))


def _through_zero(x: Scale) -> Scale:
    """What converges may converge to 0: a logit of what tends to a half."""
    g = x.growth
    if g.hi != ZERO or g.precision is not Precision.ASYMPTOTIC:
        return x
    return replace(x, growth=replace(g, lo=VANISHING, attained=False), given=None)


def _logit(value: float) -> float:
    if value <= 0:
        return -math.inf
    return math.log(value / (1 - value)) if value < 1 else math.inf


@TABLE.law("aten.tanh")
def tanh(x: Arg) -> Scale:
    """tanh saturates at ±1: degree 0 for a growing argument, bounded."""
    x = lift(x)
    return _saturated(x, intervals.monotone(x.span, math.tanh), odd=True)


@TABLE.law("aten.tanh_backward")
def tanh_gradient(gradient: Arg, y: Arg) -> Scale:
    """The gradient of tanh is 1 - tanh², which dies where tanh saturates."""
    slope = algebra.plus(algebra.number(1.0), algebra.squared(lift(y)), -1.0)
    return algebra.times(lift(gradient), slope)


@TABLE.law("aten.erf")
def erf(x: Arg) -> Scale:
    """erf saturates at ±1."""
    x = lift(x)
    return _saturated(x, intervals.monotone(x.span, math.erf), odd=True)


@TABLE.law("aten.atan", "aten.arctan")
def arctan(x: Arg) -> Scale:
    """arctan saturates at ±π/2."""
    x = lift(x)
    return _saturated(x, intervals.monotone(x.span, math.atan), odd=True)


def _saturated(
    x: Scale,
    span: Interval,
    *,
    odd: bool = False,
    vanish: frozenset[tuple[Atom, int]] = frozenset(),
) -> Scale:
    if not x.depends:
        return algebra.independent(span, learned=x.learned)
    g = growth.saturate(x.growth, vanish=vanish, odd=odd)
    return algebra.derived(x, algebra.within(x, g), span)


@TABLE.law("aten.sigmoid")
def sigmoid(x: Arg) -> Scale:
    """sigmoid saturates at 0 and 1, which it never reaches."""
    x = lift(x)
    return _gated(x, intervals.monotone(x.span, _sigmoid), below=None)


@TABLE.law("aten.hardsigmoid")
def hard_sigmoid(x: Arg) -> Scale:
    """hardsigmoid saturates at 0 and 1, and reaches them."""
    x = lift(x)
    span = intervals.clamp(intervals.monotone(x.span, lambda v: v / 6 + 0.5), 0.0, 1.0)
    return _gated(x, span.closed(), below=VANISHING)


def _gated(x: Scale, span: Interval, *, below: Degree | None) -> Scale:
    """A step from 0 to 1, where x is positive."""
    g = x.growth
    if g.depends and g.hi > ZERO and growth.is_logarithmic(g):
        if g.slope is not None and g.slope > 0:
            g = Growth(precision=Precision.SATURATING)
        else:
            known = g.slope is not None
            g = _of_logarithm(g, below=below)
            g = replace(g, hi=min(g.hi, ZERO))
            g = g if known else replace(g, precision=Precision.SATURATING)
        return algebra.derived(x, g, span)
    if x.span.high <= 0 and g.depends and g.hi > ZERO and g.is_pure:
        dead = Growth(VANISHING, VANISHING, precision=Precision.SATURATING, rate=g.hi)
        return algebra.derived(x, dead, span)
    vanish = sign_pattern(x) if x.span.low < 0 else frozenset[tuple[Atom, int]]()
    return _saturated(x, span, vanish=vanish)


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0


@TABLE.law("aten.sin")
def sine(x: Arg) -> Scale:
    """sin is bounded by 1, whatever its argument, and keeps small values."""
    return _saturated(lift(x), Interval(-1.0, 1.0), odd=True)


@TABLE.law("aten.cos")
def cosine(x: Arg) -> Scale:
    """cos is bounded by 1, whatever its argument; of what tends to π/2 it may vanish."""
    x = lift(x)
    result = _saturated(x, Interval(-1.0, 1.0))
    g = x.growth
    if g.depends and g.hi == ZERO and g.precision is Precision.SATURATING:
        g = replace(result.growth, lo=VANISHING, attained=False)
        return replace(result, growth=g)
    return result


@TABLE.law("aten.exp")
def exp(x: Arg) -> Scale:
    """exp outgrows every power of a growing argument, and is bounded below 0."""
    return algebra.exp(lift(x))


@TABLE.law("aten.exp2")
def exp2(x: Arg) -> Scale:
    """2 ** x = exp(x log 2)."""
    return algebra.exp(algebra.times(lift(x), algebra.number(math.log(2.0))))


@TABLE.law("aten.expm1")
def expm1(x: Arg) -> Scale:
    """exp(x) - 1, which is x for small ones."""
    x = lift(x)
    span = intervals.monotone(x.span, _expm1)
    if x.depends and x.growth.hi <= ZERO:
        return algebra.derived(x, growth.smooth(x.growth, odd=True), span)
    result = algebra.plus(algebra.exp(x), algebra.number(-1.0))
    return algebra.derived(x, replace(result.growth, lo=min(result.growth.lo, ZERO)), span)


def _expm1(value: float) -> float:
    return math.expm1(value) if value < 700 else math.inf


@TABLE.law("aten.log")
def log(x: Arg) -> Scale:
    """log of a value of degree c grows like c log a."""
    return algebra.log(lift(x))


@TABLE.law("aten.log2")
def log2(x: Arg) -> Scale:
    """log x / log 2."""
    return algebra.times(algebra.log(lift(x)), algebra.number(1 / math.log(2.0)))


@TABLE.law("aten.log10")
def log10(x: Arg) -> Scale:
    """log x / log 10."""
    return algebra.times(algebra.log(lift(x)), algebra.number(1 / math.log(10.0)))


@TABLE.law("aten.asinh", "aten.arcsinh")
def area_sine(x: Arg) -> Scale:
    """asinh(x) is x for small x, and grows like the logarithm of its size."""
    x = lift(x)
    span = intervals.monotone(x.span, math.asinh)
    if not x.depends:
        return algebra.independent(span, learned=x.learned)
    size = lift(log1p(absolute(x)))
    return algebra.derived(x, size.growth, span)


@TABLE.law("aten.log1p")
def log1p(x: Arg) -> Scale:
    """log(1 + x)."""
    x = lift(x)
    span = intervals.monotone(x.span, lambda v: math.log1p(v) if v > -1 else -math.inf)
    if x.depends and x.growth.hi <= ZERO:
        return algebra.derived(x, growth.smooth(x.growth, odd=True), span)
    g = algebra.log(algebra.plus(x, algebra.number(1.0))).growth
    lo = min(g.lo, ZERO) if x.growth.sparse else g.lo
    slope = None if x.growth.sparse else g.slope
    return algebra.derived(x, replace(g, lo=lo), span, slope=slope)


@TABLE.law("aten._softmax", "aten.softmax", "aten._safe_softmax")
def softmax(x: Arg, dim: Arg, *_: Arg) -> Scale:
    """softmax of degree 0 stays; of a growing argument it saturates at a choice."""
    x = lift(x)
    span = Interval(0.0, 1.0, low_open=True, high_open=True)
    if _shifts_only(x.growth):
        return _mixed_along(algebra.derived(x, Growth(precision=x.growth.precision), span), dim)
    vanish = growth.fresh_pattern() if x.growth.hi > ZERO else frozenset()
    result = _saturated(x, span, vanish=vanish)
    return _mixed_along(result, dim)


def _shifts_only(g: Growth) -> bool:
    """Whether scaling adds one number to all elements: log h, with a factor known."""
    return g.depends and g.slope is not None and g.lo == g.hi == Degree(0, 1) and not g.sparse


@TABLE.law("aten._log_softmax", "aten.log_softmax")
def log_softmax(x: Arg, dim: Arg, *_: Arg) -> Scale:
    """log_softmax keeps a positive degree (asymptotically) and degree 0; the largest dies."""
    x = lift(x)
    g = x.growth
    if _shifts_only(g):
        g = Growth(precision=g.precision)
    elif g.depends and g.hi <= ZERO:
        g = growth.smooth(g)
    elif g.depends:
        lo = g.hi if g.lo == g.hi and not g.sparse else min(g.lo, ZERO)
        g = replace(g, lo=lo, precision=max(g.precision, Precision.ASYMPTOTIC))
        g = replace(g, sparse=growth.fresh_pattern())
    result = algebra.derived(x, g, Interval(-math.inf, 0.0))
    return _mixed_along(result, dim)


def _mixed_along(x: Scale, dim: Arg) -> Scale:
    """Every element along the dim now depends on all others there."""
    if x.support is None or not isinstance(dim, int) or not x.support.axes:
        return x
    axes = list(x.support.axes)
    axes[dim] = None
    return replace(x, support=replace(x.support, axes=tuple(axes)))


@TABLE.law("aten.glu")
def glu(x: Arg, dim: Arg = -1) -> Scale:
    """glu(x) = u * sigmoid(v) for the two halves of x."""
    x = lift(x)
    half = algebra.derived(x, x.growth)
    gate = sigmoid(algebra.derived(x, x.growth))
    assert isinstance(gate, Scale)
    return _mixed_along(algebra.times(half, gate), dim)
