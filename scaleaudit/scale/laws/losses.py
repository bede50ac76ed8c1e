"""Laws of loss functions."""

from __future__ import annotations

import math

from scaleaudit.domain.scale import (
    NONNEGATIVE,
    REALS,
    VANISHING,
    ZERO,
    Degree,
    Interval,
    Precision,
    Scale,
    Size,
)
from scaleaudit.scale import algebra, growth
from scaleaudit.scale.algebra import Arg, lift, plus, times
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.activations import log1p, softplus
from scaleaudit.scale.laws.reductions import collapsed
from scaleaudit.scale.laws.table import LawTable

TABLE = LawTable()

# torch clamps the logarithms of a binary cross entropy at -100.
LEAST_LOG = 100.0


def _averaged(x: Scale, reduction: Arg) -> Scale:
    if reduction == 0:
        return x
    span = x.span
    if reduction == 2:
        low, high = (0.0 if x.span.low >= 0 else -math.inf), (0.0 if x.span.high <= 0 else math.inf)
        span = Interval(low, high)
    return collapsed(x, None, False, span)


@TABLE.law("aten.nll_loss_forward", "aten.nll_loss2d_forward", "aten.nll_loss", "aten.nll_loss_nd")
def nll_loss(
    x: Arg, target: Arg, weight: Arg = None, reduction: Arg = 1, *_: Arg
) -> tuple[Scale, Scale]:
    """The negative log likelihood picks elements: it keeps the degree."""
    x = lift(x)
    picked = algebra.negate(x)
    picked = replace(picked, given=None)
    if reduction == 0:
        support = x.support
        if support is not None and len(x.shape) > 1:
            axes = (support.axes[0], *support.axes[2:])
            support = replace(support, axes=axes)
        return replace(picked, support=support), algebra.independent(NONNEGATIVE)
    return _averaged(picked, reduction), algebra.independent(NONNEGATIVE)


@TABLE.law("aten.mse_loss")
def mse_loss(x: Arg, y: Arg, reduction: Arg = 1) -> Scale:
    """The squared error has twice the degree of the difference."""
    difference = plus(lift(x), lift(y), -1.0)
    difference = replace(difference, shape=max(lift(x).shape, lift(y).shape, key=len))
    return _averaged(algebra.squared(difference), reduction)


@TABLE.law("aten.smooth_l1_loss", "aten.huber_loss")
def smooth_l1_loss(x: Arg, y: Arg, reduction: Arg = 1, *_: Arg) -> Scale:
    """The absolute error, asymptotically; small errors are squared."""
    difference = plus(lift(x), lift(y), -1.0)
    difference = replace(difference, shape=max(lift(x).shape, lift(y).shape, key=len))
    g = difference.growth
    if g.depends and g.hi < ZERO:
        g = growth.power(g, 2)
    elif g.depends and g.hi > ZERO:
        g = growth.limit(g, Precision.ASYMPTOTIC)
    if g.depends and g.lo < ZERO:
        g = replace(g, lo=growth.scale_degree(difference.growth.lo, 2))
    return _averaged(algebra.derived(difference, g, NONNEGATIVE), reduction)


@TABLE.law("aten.l1_loss")
def l1_loss(x: Arg, y: Arg, reduction: Arg = 1) -> Scale:
    """The absolute error has the degree of the difference."""
    difference = plus(lift(x), lift(y), -1.0)
    difference = replace(difference, shape=max(lift(x).shape, lift(y).shape, key=len))
    error = algebra.derived(difference, difference.growth, NONNEGATIVE)
    if reduction == 0 and difference.depends and not difference.opaque:
        return replace(error, size=Size(difference.form, 1))
    return _averaged(error, reduction)


@TABLE.law("aten.binary_cross_entropy_with_logits")
def bce_with_logits(
    x: Arg, target: Arg, weight: Arg = None, pos_weight: Arg = None, reduction: Arg = 1
) -> Scale:
    """softplus(x) - x y keeps a positive degree, asymptotically."""
    x, target = lift(x), lift(target)
    product = times(x, replace(target, given=None))
    term = softplus(x)
    assert isinstance(term, Scale)
    total = algebra.joined(term, product, Scale(growth.add(term.growth, product.growth), REALS))
    g = total.growth
    if g.hi > ZERO:
        sparse = growth.fresh_pattern()  # where the answer is right
        g = replace(g, sparse=sparse, precision=max(g.precision, Precision.ASYMPTOTIC))
    total = replace(total, growth=g, span=NONNEGATIVE, shape=x.shape)
    if weight is not None:
        total = replace(times(total, lift(weight)), shape=x.shape)
    return _averaged(total, reduction)


@TABLE.law("aten.binary_cross_entropy")
def bce(x: Arg, target: Arg, weight: Arg = None, reduction: Arg = 1) -> Scale:
    """-y log x - (1 - y) log(1 - x), logarithms clamped at -100."""
    x = lift(x)
    g = growth.smooth(x.growth)
    if g.depends and g.precision is Precision.SATURATING:
        g = replace(g, lo=VANISHING)  # where the answer is right
        if x.growth.rate is None:  # a gate that closes as slowly as a power
            g = replace(g, hi=Degree(0, 1), attained=False)
    total = algebra.joined(x, lift(target), Scale(g, Interval(0.0, LEAST_LOG)))
    return _averaged(replace(total, shape=x.shape), reduction)


@TABLE.law("aten.soft_margin_loss")
def soft_margin(x: Arg, target: Arg, reduction: Arg = 1) -> Scale:
    """softplus(-x y)."""
    term = softplus(algebra.negate(times(lift(x), lift(target))))
    assert isinstance(term, Scale)
    return _averaged(replace(term, shape=lift(x).shape), reduction)


@TABLE.law("aten.special_xlog1py")
def x_log1p_y(x: Arg, y: Arg) -> Scale:
    """x log(1 + y)."""
    return times(lift(x), log1p(y))


@TABLE.law("aten.xlogy")
def x_log_y(x: Arg, y: Arg) -> Scale:
    """x log y, 0 where x is 0."""
    x, y = lift(x), lift(y)
    if x is y:
        return _entropy(x)
    return times(x, algebra.log(y))


@TABLE.law("aten.special_entr")
def entropy(x: Arg) -> Scale:
    """-x log x dies with x: of a bounded x it is bounded."""
    return algebra.negate(_entropy(lift(x)))


def _entropy(x: Scale) -> Scale:
    if x.span.low >= 0 and x.span.is_finite:
        g = replace(x.growth, sparse=frozenset())
        if g.depends and g.precision is Precision.SATURATING:
            g = replace(g, lo=VANISHING, attained=False)
        return algebra.derived(x, g, Interval(-1.0, max(x.span.high, 1.0) ** 2))
    if x.span.low >= 0 and x.growth.hi == ZERO and x.growth.precision > Precision.EPS:
        return algebra.derived(x, replace(x.growth, lo=VANISHING, attained=False))
    return times(x, algebra.log(x))


@TABLE.law("aten._ctc_loss")
def ctc_loss(x: Arg, *_: Arg) -> tuple[Scale, Scale]:
    """The CTC loss sums log probabilities along paths: it keeps their degree, asymptotically."""
    x = lift(x)
    g = growth.reduce(x.growth)
    if g.depends and g.hi > ZERO:
        g = growth.limit(g, Precision.ASYMPTOTIC)
    elif g.depends:
        g = growth.smooth(g)
    return algebra.derived(x, g, NONNEGATIVE), algebra.derived(x, x.growth)
