"""Laws of sums, products, quotients, powers, comparisons and choices."""

from __future__ import annotations

from scaleaudit.domain.scale import (
    CONSTANT,
    INFINITY,
    REALS,
    VANISHING,
    ZERO,
    Atom,
    Degree,
    Form,
    Growth,
    Interval,
    Poly,
    Precision,
    Scale,
    Size,
)
from scaleaudit.scale import algebra, forms, growth, intervals
from scaleaudit.scale.algebra import Arg, lift, plus, times
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.table import LawTable

TABLE = LawTable()

# Masks add or fill with such numbers to take an element out of a softmax.
MASKED = 1e4
STEP = Interval(0.0, 1.0)


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


@TABLE.law("aten.mul")
def multiply(x: Arg, y: Arg) -> Scale:
    """deg(x y) = deg(x) + deg(y)."""
    return times(lift(x), lift(y))


@TABLE.law("aten.div", "aten.true_divide")
def divide(x: Arg, y: Arg, rounding_mode: Arg = None) -> Scale:
    """deg(x / y) = deg(x) - deg(y)."""
    result = algebra.divide(lift(x), lift(y))
    return result if rounding_mode is None else rounded(result)


@TABLE.law("aten.neg")
def negative(x: Arg) -> Scale:
    """deg(-x) = deg(x)."""
    return algebra.negate(lift(x))


@TABLE.law("aten.reciprocal")
def reciprocal(x: Arg) -> Scale:
    """deg(1 / x) = -deg(x)."""
    return algebra.reciprocal(lift(x))


@TABLE.law("aten.pow")
def power(x: Arg, exponent: Arg) -> Scale:
    """deg(x ** c) = c deg(x)."""
    return algebra.power(lift(x), lift(exponent))


@TABLE.law("aten.square")
def square(x: Arg) -> Scale:
    """deg(x²) = 2 deg(x)."""
    return algebra.squared(lift(x))


@TABLE.law("aten.sqrt")
def square_root(x: Arg) -> Scale:
    """deg(√x) = deg(x) / 2."""
    return algebra.power(lift(x), algebra.number(0.5))


@TABLE.law("aten.rsqrt")
def reciprocal_root(x: Arg) -> Scale:
    """deg(1 / √x) = -deg(x) / 2."""
    return algebra.power(lift(x), algebra.number(-0.5))


@TABLE.law("aten.abs", "aten.absolute")
def absolute(x: Arg) -> Scale:
    """deg(|x|) = deg(x)."""
    x = lift(x)
    if x.span.low >= 0:
        return x
    g = x.growth
    if growth.is_logarithmic(g):
        g = growth.limit(g, Precision.ASYMPTOTIC)
    slope = g.slope if g.slope is None or g.slope >= 0 else -g.slope
    result = algebra.derived(x, g, intervals.even(x.span, abs), slope=slope)
    result = replace(result, size=Size(x.form, 1) if x.depends and not x.opaque else None)
    return bent(x, result, Interval(-1.0, 1.0))


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


@TABLE.law("aten.maximum", "aten.fmax")
def larger(x: Arg, y: Arg) -> Scale:
    """The larger of two values has the larger degree where that one is positive."""
    return maximum(lift(x), lift(y))


@TABLE.law("aten.minimum", "aten.fmin")
def smaller(x: Arg, y: Arg) -> Scale:
    """min(x, y) = -max(-x, -y)."""
    return minimum(lift(x), lift(y))


def minimum(x: Scale, y: Scale) -> Scale:
    """Return the smaller of two values."""
    return algebra.negate(maximum(algebra.negate(x), algebra.negate(y)))


def maximum(x: Scale, y: Scale) -> Scale:
    """Return the larger of two values."""
    if x.opaque or y.opaque:
        return algebra.joined(x, y, x)
    if x.span.low >= y.span.high:
        return x
    if y.span.low >= x.span.high:
        return y
    span = Interval(max(x.span.low, y.span.low), max(x.span.high, y.span.high))
    for value, other in ((x, y), (y, x)):
        if other.is_zero:
            g = value.growth
            mixed_by_sign = g.lo < g.hi and not g.mix and value.span.low < 0
            sure = g.attained and not mixed_by_sign
            if g.hi > ZERO and value.span.high < INFINITY:
                g = growth.cut_off(g)
            else:
                g = replace(g, sparse=growth.fresh_pattern(), slope=None, attained=sure)
            form = _gated_form(x, y) if carries_state(value) else None
            return algebra.joined(x, y, Scale(g if g.depends else CONSTANT, span, given=form))
    form = None
    if carries_state(x) or carries_state(y):
        form = _gated_form(_uncut(x, y), _uncut(y, x))
    result = Scale(_larger(x, y), span, given=form, size=x.size or y.size)
    return algebra.joined(x, y, result)


def bent(x: Scale, result: Scale, gate: Interval = STEP, rest: Interval | None = None) -> Scale:
    """Write f(x) as m x + r where x carries a state, with a gate m and a bounded r.

    Args:
        gate: Range of m, as f(x) / x has it.
        rest: Range of r, where there is one.
    """
    if x.opaque or not result.depends or not carries_state(x):
        return result
    m = Atom(Growth(precision=x.growth.precision, sparse=result.growth.sparse), gate)
    form = forms.gate(x.form, Poly({(m,): 1.0}))
    if form is None:
        return result
    if rest is not None:
        r = Atom(Growth(precision=Precision.SATURATING), rest)
        form = Form(form.parts, forms.poly_add(form.rest, Poly({(r,): 1.0})))
    return replace(result, given=form)


def carries_state(x: Scale) -> bool:
    """Whether a value holds a state itself, with a factor: an identity path."""
    return any(atom.state is not None for atom in x.form.parts)


def _larger(x: Scale, y: Scale) -> Growth:
    a, b = x.growth, y.growth
    if not a.depends and not b.depends:
        return CONSTANT
    least = max(a.precision, b.precision)
    if a.lo == a.hi == b.lo == b.hi:
        sparse = growth.fresh_pattern() if a.sparse or b.sparse else frozenset()
        loose = growth.is_logarithmic(a) or a.sparse or b.sparse
        precision = max(least, Precision.ASYMPTOTIC) if loose else least
        return Growth(a.lo, a.hi, a.attained or b.attained, sparse, precision)
    (fast, f), (slow, s) = sorted(((x, a), (y, b)), key=lambda pair: pair[1].hi, reverse=True)
    if f.lo > s.hi and not f.sparse and not growth.is_logarithmic(f):
        if fast.span.low >= 0:
            tiny = not s.depends and abs(slow.span.high) <= algebra.EPS_SIZE
            least = Precision.EPS if tiny else Precision.ASYMPTOTIC
            fixed = Growth(precision=Precision.SATURATING)
            return growth.limit(f, least) if f.depends else fixed
        if fast.span.high <= 0:
            least = Precision.ASYMPTOTIC if s.depends else Precision.SATURATING
            return growth.limit(replace(s, depends=True), least)
    return Growth(
        lo=min(a.floor, b.floor),
        hi=f.hi,
        attained=f.attained
        and fast.span.high > 0
        and (f.lo == f.hi or bool(f.mix))
        and not growth.is_logarithmic(f),
        precision=max(least, Precision.ASYMPTOTIC),
    )


@TABLE.law("aten.clamp_min")
def clamp_below(x: Arg, low: Arg) -> Scale:
    """A floor leaves growing values; a small one below a norm acts up to eps."""
    return _clamped(lift(x), low, None)


@TABLE.law("aten.clamp_max")
def clamp_above(x: Arg, high: Arg) -> Scale:
    """A ceiling makes growing values saturate."""
    return _clamped(lift(x), None, high)


@TABLE.law("aten.clamp", "aten.hardtanh", "aten.clip")
def clamp(x: Arg, low: Arg = None, high: Arg = None) -> Scale:
    """Clamping to a finite range saturates; a floor alone leaves growing values."""
    return _clamped(lift(x), low, high)


def _clamped(x: Scale, low: Arg, high: Arg) -> Scale:
    """min(max(x, low), high)."""
    bounds = [lift(bound) for bound in (low, high) if bound is not None]
    if (
        x.growth.depends
        and len(bounds) == 2
        and not any(b.depends for b in bounds)
        and not (x.growth.hi < ZERO and not all(b.span.is_point for b in bounds))
    ):
        return _boxed(x, *bounds)
    if len(bounds) == 2:
        between = growth.add(bounds[0].growth, bounds[1].growth)
        if x.growth.lo > between.hi and x.growth.is_pure:
            span = _between(x.span, *bounds)
            total = Scale(growth.limit(between, Precision.ASYMPTOTIC), span)
            return algebra.joined(x, algebra.joined(bounds[0], bounds[1], total), total)
        if x.depends and x.growth.hi < between.lo and x.growth.hi < ZERO:
            g = Growth(x.growth.lo, between.hi, attained=False, precision=Precision.SATURATING)
            total = Scale(g, _between(x.span, *bounds))
            return algebra.joined(x, algebra.joined(bounds[0], bounds[1], total), total)
    if low is not None:
        x = maximum(x, lift(low))
    return x if high is None else minimum(x, lift(high))


def _between(x: Interval, low: Scale, high: Scale) -> Interval:
    """Range of min(max(x, low), high)."""
    return Interval(
        min(max(x.low, low.span.low), high.span.low),
        min(max(x.high, low.span.high), high.span.high),
    )


def _boxed(x: Scale, low: Scale, high: Scale) -> Scale:
    """A value kept between two constants: it goes to one of them, or stays small."""
    span, ends = _between(x.span, low, high), (low.span, high.span)
    g = x.growth
    if x.span.low >= low.span.high and x.span.high <= high.span.low:
        return x
    for bound, beyond in ((high, x.span.low >= high.span.high), (low, x.span.high <= low.span.low)):
        if beyond and bound.span.is_point:
            return bound
    if g.hi > ZERO:
        at_zero = low.is_zero or high.is_zero
        if x.span.low >= 0 and low.is_zero:
            at_zero = False
        sparse = growth.fresh_pattern() if at_zero or g.sparse else frozenset()
        g = _kept_small(g, Growth(sparse=sparse, precision=Precision.SATURATING, mix=g.mix), *ends)
    elif g.hi < ZERO:
        inside = low.span.high < 0 < high.span.low
        at_end = low.is_zero or high.is_zero
        if inside or at_end:
            least = Precision.EXACT if at_end else Precision.ASYMPTOTIC
            sparse = growth.fresh_pattern() if at_end else g.sparse
            g = replace(growth.limit(g, max(least, Precision.ASYMPTOTIC)), sparse=sparse)
        else:
            g = Growth(precision=Precision.SATURATING)
    elif low.is_zero or high.is_zero:
        g = replace(g, sparse=growth.fresh_pattern(), slope=None)
    else:
        g = _kept_small(g, growth.smooth(g), *ends)
    return algebra.derived(x, g, span)


def _kept_small(x: Growth, boxed: Growth, low: Interval, high: Interval) -> Growth:
    """Elements that die stay as they are in a box that may hold 0; the others end in it."""
    if low.low > 0 or high.high < 0:
        return boxed
    alive = x.attained or x.floor >= ZERO
    sparse = boxed.sparse or (growth.fresh_pattern() if x.sparse else frozenset())
    return replace(boxed, lo=min(x.lo, ZERO), attained=alive, sparse=sparse)


@TABLE.law("aten.gt", "aten.ge")
def greater(x: Arg, y: Arg) -> Scale:
    """Comparing values of one degree is invariant; else the larger degree decides in the limit."""
    return _greater(lift(x), lift(y))


@TABLE.law("aten.lt", "aten.le")
def less(x: Arg, y: Arg) -> Scale:
    """x < y is y > x."""
    return _greater(lift(y), lift(x))


@TABLE.law("aten.eq", "aten.ne")
def equal(x: Arg, y: Arg) -> Scale:
    """Equality of values of one degree is invariant; with a constant it settles in the limit."""
    x, y = lift(x), lift(y)
    difference = plus(x, y, -1.0)
    return algebra.joined(x, y, Scale(_settled(difference.growth), Interval(0.0, 1.0)))


def _greater(x: Scale, y: Scale) -> Scale:
    difference = plus(x, y, -1.0)
    g, span = _settled(difference.growth), Interval(0.0, 1.0)
    if g.precision is Precision.SATURATING:
        if _outgrows(x, y):
            g, span = Growth(precision=g.precision), Interval(0.0, 1.0, low_open=True)
        elif _outgrows(y, x):
            g = Growth(VANISHING, VANISHING, precision=g.precision)
    return algebra.joined(x, y, Scale(g, span))


def _outgrows(x: Scale, y: Scale) -> bool:
    """Whether x > y holds everywhere in the limit: x is positive and larger, or y negative."""
    a, b = x.growth, y.growth
    if growth.is_logarithmic(a) or growth.is_logarithmic(b):
        return False
    if any(s.span.is_point and abs(s.span.low) == INFINITY for s in (x, y)):
        return False  # nothing outgrows infinity
    up = x.span.low >= 0 and a.depends and a.is_pure and a.lo > b.hi and a.hi > ZERO
    return up or (y.span.high <= 0 and b.depends and b.is_pure and b.lo > a.hi and b.hi > ZERO)


def _settled(g: Growth) -> Growth:
    """A truth value: it stays where every element keeps its sign, else it may turn false."""
    if not g.depends:
        return CONSTANT
    if growth.is_homogeneous(g):
        return Growth(precision=g.precision)
    return Growth(sparse=growth.fresh_pattern(), precision=Precision.SATURATING)


@TABLE.law("aten.sign", "aten.sgn", "aten.signbit")
def sign(x: Arg) -> Scale:
    """The sign of a homogeneous value is invariant."""
    x = lift(x)
    return algebra.derived(x, _settled(x.growth), Interval(-1.0, 1.0))


@TABLE.law("aten.round", "aten.floor", "aten.ceil", "aten.trunc")
def rounded(x: Arg, *_: Arg) -> Scale:
    """Rounding keeps the degree of a growing value, asymptotically; it has no gradient."""
    return _rounded(lift(x))


def _rounded(x: Scale) -> Scale:
    g = x.growth
    if g.hi > ZERO and not x.opaque:
        g = growth.limit(g, Precision.ASYMPTOTIC)
        # round(x) = x + r with a bounded r: so x - round(x) is bounded.
        rest = Atom(Growth(precision=Precision.SATURATING), Interval(-1.0, 1.0))
        form = Form(x.form.parts, forms.poly_add(x.form.rest, Poly({(rest,): 1.0})))
        return replace(algebra.derived(x, g, _widened(x.span)), given=form)
    if g.depends and g.hi < ZERO:
        g = Growth(lo=VANISHING, attained=False, precision=Precision.SATURATING)
    elif g.depends and not growth.is_homogeneous(g):
        g = Growth(sparse=growth.fresh_pattern(), precision=Precision.SATURATING)
    return algebra.derived(x, g, _widened(x.span))


def _widened(span: Interval) -> Interval:
    return Interval(span.low - 1, span.high + 1) if span.is_finite else REALS


@TABLE.law("aten.floor_divide")
def floor_divide(x: Arg, y: Arg) -> Scale:
    """floor(x / y)."""
    return _rounded(algebra.divide(lift(x), lift(y)))


@TABLE.law("aten.remainder")
def remainder(x: Arg, y: Arg) -> Scale:
    """A remainder is bounded by its divisor; of two values of one degree it has that degree."""
    x, y = lift(x), lift(y)
    return algebra.joined(x, y, Scale(_remaining(x.growth, y.growth, y.growth.hi)))


@TABLE.law("aten.fmod")
def fmod(x: Arg, y: Arg) -> Scale:
    """fmod is bounded by its divisor, and keeps what is smaller than it."""
    x, y = lift(x), lift(y)
    hi = min(x.growth.hi, y.growth.hi)
    return algebra.joined(x, y, Scale(_remaining(x.growth, y.growth, hi)))


@TABLE.law("aten.frac")
def fraction(x: Arg) -> Scale:
    """The part after the point is bounded; small values keep their degree."""
    x = lift(x)
    hi = min(x.growth.hi, ZERO)
    span = Interval(0.0 if x.span.low >= 0 else -1.0, 1.0, high_open=True)
    return algebra.derived(x, _remaining(x.growth, CONSTANT, hi), span)


def _remaining(x: Growth, y: Growth, hi: Degree) -> Growth:
    if not x.depends and not y.depends:
        return CONSTANT
    if x.lo == x.hi == y.lo == y.hi and growth.is_homogeneous(x) and growth.is_homogeneous(y):
        return Growth(hi, hi, precision=max(x.precision, y.precision))
    attained = x.attained and x.hi > y.hi  # then it runs through all of the divisor's range
    return Growth(VANISHING, hi, attained, precision=Precision.SATURATING)


@TABLE.law(
    "aten.logical_and", "aten.logical_or", "aten.logical_xor", "aten.bitwise_and",
    "aten.bitwise_or", "aten.bitwise_xor", "aten.__and__", "aten.__or__", "aten.__xor__",
)  # fmt: skip
def logical(x: Arg, y: Arg) -> Scale:
    """A logical combination is as invariant as its operands."""
    x, y = lift(x), lift(y)
    return algebra.joined(x, y, Scale(_logical(x, y), Interval(0.0, 1.0)))


def _logical(x: Scale, y: Scale) -> Growth:
    if not (x.depends or y.depends):
        return CONSTANT
    precision = max(x.growth.precision, y.growth.precision)
    loose = precision > Precision.EPS or x.growth.sparse or y.growth.sparse
    sparse = growth.fresh_pattern() if loose else frozenset()
    return Growth(sparse=sparse, precision=Precision.SATURATING if loose else precision)


@TABLE.law(
    "aten.logical_not", "aten.bitwise_not", "aten.isnan", "aten.isinf", "aten.isfinite",
    "aten.any", "aten.all", "aten._is_all_true", "aten._is_any_true",
)  # fmt: skip
def logical_one(x: Arg, *_: Arg) -> Scale:
    """A truth value of a value is as invariant as it."""
    x = lift(x)
    return algebra.derived(x, _settled(x.growth), Interval(0.0, 1.0))


@TABLE.law("aten.where")
def where(condition: Arg, x: Arg, y: Arg) -> Scale:
    """A choice m x + (1 - m) y, m in {0, 1}: elements of both, identity kept where both have it."""
    return choice(lift(condition), lift(x), lift(y))


def choice(condition: Scale, x: Scale, y: Scale) -> Scale:
    """Return the elements of x where the condition holds, else those of y."""
    if condition.depends and (settled := _settled_choice(condition, x, y)) is not None:
        return settled
    for kept, filled in ((x, y), (y, x)):
        if _is_mask_value(filled):
            return algebra.same_value(kept, kept.shape, kept.support)
    result = algebra.mixture(x, y)
    if not condition.depends:
        pieces = tuple(replace(v, support=algebra.untold(v.support)) for v in (x, y))
        result = replace(result, pieces=pieces)
    mask = Scale(condition.growth, Interval(0.0, 1.0), learned=condition.learned).form
    one = forms.gate(x.form, mask.rest)
    inverse = forms.poly_add(Poly({(): 1.0}), mask.rest, -1.0)
    other = forms.gate(y.form, inverse)
    if one is None or other is None or result.opaque:
        return algebra.joined(condition, result, result)
    form, cancelled = forms.add(one, other)
    if not cancelled:
        settled = replace(result, given=form)
    else:
        settled = replace(algebra.from_form(form), support=result.support, pieces=result.pieces)
    g = settled.growth
    if condition.depends:
        loose = condition.growth.precision > Precision.EPS
        gone = loose and (x.is_zero or y.is_zero)
        sparse = growth.fresh_pattern() if gone else g.sparse
        least = max(condition.growth.precision, g.precision)
        # In the limit the choice may be the same everywhere, as in clipping by hand.
        sure = not loose or x.growth.hi == y.growth.hi
        g = replace(g, precision=least, depends=True, sparse=sparse, slope=None)
        g = replace(g, attained=g.attained and sure)
    settled = replace(settled, growth=g)
    return algebra.joined(condition, algebra.joined(x, y, settled), settled)


def _settled_choice(condition: Scale, x: Scale, y: Scale) -> Scale | None:
    """A choice that is the same everywhere in the limit: clipping by hand."""
    dead = condition.growth.hi == VANISHING
    if condition.opaque or not (dead or condition.span.low_open):
        return None
    chosen = y if dead else x
    least = Precision.ASYMPTOTIC if chosen.growth.hi != ZERO else Precision.SATURATING
    g = replace(growth.limit(chosen.growth, least), depends=True, slope=None)
    form = algebra.mixture(x, y).form if not (x.depends or y.depends) else _gated_form(x, y)
    scale = Scale(g, x.span.hull(y.span), given=form)
    return algebra.joined(condition, algebra.joined(x, y, scale), scale)


def _gated_form(x: Scale, y: Scale) -> Form | None:
    """m x + (1 - m) y for an m that is 0 or 1."""
    mask = Scale(Growth(precision=Precision.SATURATING), Interval(0.0, 1.0)).form
    one = forms.gate(x.form, mask.rest)
    other = forms.gate(y.form, forms.poly_add(Poly({(): 1.0}), mask.rest, -1.0))
    return None if one is None or other is None else forms.add(one, other)[0]


def _uncut(x: Scale, floor: Scale) -> Scale:
    """The states in a value that is never above them, beside a floor that no state reaches.

    max(h + w, y) for a w <= 0 lies between y and h, as a running maximum with a decay.
    """
    alone = all(atom.state is not None for atom in x.form.parts)
    if floor.depends or not alone or forms.poly_span(x.form.rest).high > 0:
        return x
    return replace(x, given=Form(x.form.parts, Poly()))


def _is_mask_value(x: Scale) -> bool:
    """Whether a value only takes elements out (-inf, or so large that a softmax drops them)."""
    return not x.depends and x.span.is_point and abs(x.span.low) >= MASKED


@TABLE.law("aten.masked_fill")
def masked_fill(x: Arg, mask: Arg, value: Arg) -> Scale:
    """Elements of a constant beside those of x; -inf takes them out."""
    return choice(lift(mask), lift(value), lift(x))
