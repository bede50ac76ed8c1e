"""Laws of sums, means, norms, extremes and orderings."""

from __future__ import annotations

import math
from dataclasses import replace

from scaleaudit.domain.scale import (
    NONNEGATIVE,
    REALS,
    ZERO,
    Interval,
    Precision,
    Rational,
    Scale,
    Support,
)
from scaleaudit.scale import algebra, growth, intervals
from scaleaudit.scale.algebra import Arg, lift
from scaleaudit.scale.laws.table import LawTable

TABLE = LawTable()


def dims_of(x: Scale, dim: Arg) -> frozenset[int] | None:
    """Return reduced dims from the end; None for all of them."""
    rank = len(x.shape)
    if dim is None or dim == () or isinstance(dim, (str, float, complex, Scale)):
        return None
    chosen = dim if isinstance(dim, tuple) else (dim,)
    return frozenset(d - rank if d >= 0 else d for d in chosen if isinstance(d, int))


def collapsed(x: Scale, dim: Arg, keepdim: Arg, span: Interval, exponent: Rational = 1) -> Scale:
    """Reduce a value over dims: the largest degree among its elements, to some power."""
    dims = dims_of(x, dim)
    count = _count(x, dims)
    g = x.growth if count == 1 else growth.reduce(x.growth, dims)
    if exponent != 1:
        g = growth.power(g, exponent)
    if g.mix and not keepdim and dims:
        g = replace(g, mix=frozenset(_moved(d, dims) for d in g.mix))
    result = algebra.derived(x, g, span)
    return replace(result, support=_reduced(x.support, dims, keepdim=bool(keepdim)))


def _count(x: Scale, dims: frozenset[int] | None) -> int:
    sizes = x.shape if dims is None else [x.shape[d] for d in dims if -d <= len(x.shape)]
    return math.prod(sizes) if x.shape else 1


def _moved(dim: int, removed: frozenset[int]) -> int:
    """Index from the end after dims to its right are gone."""
    return dim + sum(1 for d in removed if d > dim)


def _reduced(
    support: Support | None, dims: frozenset[int] | None, *, keepdim: bool
) -> Support | None:
    if support is None:
        return None
    rank = len(support.axes)
    gone = {d + rank for d in dims} if dims is not None else set(range(rank))
    if keepdim:
        axes = tuple(None if i in gone else axis for i, axis in enumerate(support.axes))
    else:
        axes = tuple(axis for i, axis in enumerate(support.axes) if i not in gone)
    return replace(support, axes=axes)


def _sum_span(x: Scale, dims: frozenset[int] | None) -> Interval:
    return intervals.multiply(x.span, intervals.point(float(max(_count(x, dims), 1))))


@TABLE.law("aten.sum", "aten.nansum")
def total(x: Arg, dim: Arg = None, keepdim: Arg = False, *_: Arg) -> Scale:
    """A sum has the largest degree among its elements."""
    x = lift(x)
    return collapsed(x, dim, keepdim, _sum_span(x, dims_of(x, dim)))


@TABLE.law("aten.sum.default")
def total_all(x: Arg, *_: Arg) -> Scale:
    """A sum has the largest degree among its elements."""
    x = lift(x)
    return collapsed(x, None, False, _sum_span(x, None))  # noqa: FBT003


@TABLE.law("aten.mean", "aten.nanmean")
def mean(x: Arg, dim: Arg = None, keepdim: Arg = False, *_: Arg) -> Scale:
    """A mean has the largest degree among its elements, within their range."""
    x = lift(x)
    return collapsed(x, dim, keepdim, x.span)


@TABLE.law("aten.mean.default")
def mean_all(x: Arg, *_: Arg) -> Scale:
    """A mean has the largest degree among its elements, within their range."""
    x = lift(x)
    return collapsed(x, None, False, x.span)  # noqa: FBT003


@TABLE.law("aten.amax", "aten.amin")
def extreme(x: Arg, dim: Arg = (), keepdim: Arg = False) -> Scale:
    """The largest element has the largest degree among its elements."""
    x = lift(x)
    result = collapsed(x, dim, keepdim, x.span)
    form = x.form
    atoms = list(form.parts)
    if len(atoms) == 1 and not form.rest.terms and form.parts[atoms[0]].constant == 1:
        return replace(result, peak_of=atoms[0])
    return result


@TABLE.law("aten.max.default", "aten.min.default")
def extreme_all(x: Arg) -> Scale:
    """The largest element has the largest degree among its elements."""
    x = lift(x)
    return collapsed(x, None, False, x.span)  # noqa: FBT003


@TABLE.law(
    "aten.max.dim", "aten.min.dim", "aten.mode", "aten.median.dim", "aten.cummax", "aten.cummin"
)
def extreme_along(x: Arg, dim: Arg = -1, keepdim: Arg = False) -> tuple[Scale, Scale]:
    """The largest element has the largest degree; its index is invariant."""
    x = lift(x)
    value = extreme(x, dim, keepdim)
    assert isinstance(value, Scale)
    return value, arg_extreme(x)


@TABLE.law("aten.argmax", "aten.argmin", "aten.argsort", "aten.searchsorted", "aten.bucketize")
def arg_extreme(x: Arg, *_: Arg) -> Scale:
    """The order of values of one degree is invariant."""
    x = lift(x)
    g = x.growth
    if not g.depends:
        return algebra.independent(NONNEGATIVE)
    exact = g.lo == g.hi and g.precision <= Precision.EPS
    least = Precision.EXACT if exact else Precision.SATURATING
    settled = replace(growth.CONSTANT, depends=True, precision=max(g.precision, least))
    return algebra.derived(x, settled, NONNEGATIVE)


@TABLE.law("aten.topk", "aten.sort", "aten.kthvalue")
def topk(x: Arg, *_: Arg) -> tuple[Scale, Scale]:
    """Ordered values keep the degree; their indices are invariant."""
    x = lift(x)
    return blurred(algebra.derived(x, x.growth, x.span)), blurred(arg_extreme(x))


def blurred(x: Scale | tuple[Scale, ...]) -> Scale:
    """Forget along which axes of the state a value runs."""
    assert isinstance(x, Scale)
    if x.support is None:
        return x
    axes: tuple[int | None, ...] = (None,) * len(x.support.axes)
    return replace(x, support=replace(x.support, axes=axes, blurred=True))


@TABLE.law("aten.linalg_vector_norm", "aten.norm", "aten.linalg_norm")
def vector_norm(x: Arg, ord: Arg = 2, dim: Arg = None, keepdim: Arg = False, *_: Arg) -> Scale:  # noqa: A002
    """‖a x‖ = a ‖x‖: a norm keeps the degree and is never negative."""
    x = lift(x)
    return collapsed(x, dim, keepdim, NONNEGATIVE)


@TABLE.law("aten.var", "aten.var.correction")
def variance(x: Arg, dim: Arg = None, correction: Arg = None, keepdim: Arg = False) -> Scale:
    """var(a x) = a² var(x)."""
    x = lift(x)
    return collapsed(x, dim, keepdim, NONNEGATIVE, exponent=2)


@TABLE.law("aten.std", "aten.std.correction")
def deviation(x: Arg, dim: Arg = None, correction: Arg = None, keepdim: Arg = False) -> Scale:
    """std(a x) = a std(x)."""
    x = lift(x)
    return collapsed(x, dim, keepdim, NONNEGATIVE)


@TABLE.law("aten.var_mean")
def variance_mean(
    x: Arg, dim: Arg = None, correction: Arg = None, keepdim: Arg = False
) -> tuple[Scale, Scale]:
    """Variance has twice the degree, the mean the degree itself."""
    x = lift(x)
    return (
        collapsed(x, dim, keepdim, NONNEGATIVE, exponent=2),
        collapsed(x, dim, keepdim, x.span),
    )


@TABLE.law("aten.std_mean")
def deviation_mean(
    x: Arg, dim: Arg = None, correction: Arg = None, keepdim: Arg = False
) -> tuple[Scale, Scale]:
    """Deviation and mean keep the degree."""
    x = lift(x)
    return collapsed(x, dim, keepdim, NONNEGATIVE), collapsed(x, dim, keepdim, x.span)


@TABLE.law("aten.cumsum", "aten.logcumsumexp")
def cumulative(x: Arg, dim: Arg, *_: Arg) -> Scale:
    """A running sum keeps the degree."""
    x = lift(x)
    span = x.span if x.span.low >= 0 and x.span.high == math.inf else REALS
    return algebra.derived(x, x.growth, span)


@TABLE.law("aten.logsumexp")
def log_sum_exp(x: Arg, dim: Arg, keepdim: Arg = False) -> Scale:
    """logsumexp is asymptotically the maximum."""
    x = lift(x)
    result = collapsed(x, dim, keepdim, REALS)
    g = result.growth
    if g.depends and g.hi > ZERO:
        g = replace(g, precision=max(g.precision, Precision.ASYMPTOTIC))
    elif g.depends:
        g = growth.smooth(g)
    return replace(result, growth=g)


@TABLE.law("aten.prod", "aten.cumprod")
def product(x: Arg, *_: Arg) -> Scale:
    """A product of n elements has n times the degree; of degree 0 it stays."""
    x = lift(x)
    count = max(math.prod(x.shape), 1)
    unit = x.span.low >= 0 and x.span.high <= 1
    span = Interval(0.0, 1.0) if unit else (NONNEGATIVE if x.span.low >= 0 else REALS)
    g = x.growth
    if g.depends and g.hi != ZERO:
        ends = (g.lo, g.hi, growth.scale_degree(g.lo, count), growth.scale_degree(g.hi, count))
        g = replace(g, lo=min(ends), hi=max(ends), attained=False)
    return blurred(algebra.derived(x, g, span))


@TABLE.law("aten.dist", "aten.cdist", "aten._cdist_forward", "aten._euclidean_dist")
def distance(x: Arg, y: Arg, *_: Arg) -> Scale:
    """A distance has the larger degree of its two points."""
    difference = algebra.plus(lift(x), lift(y), -1.0)
    return blurred(replace(algebra.derived(difference, difference.growth, NONNEGATIVE)))


@TABLE.law("aten.bincount", "aten.histc", "aten.nonzero", "aten.count_nonzero")
def count(x: Arg, *_: Arg) -> Scale:
    """Counting is as invariant as what is counted."""
    x = lift(x)
    result = arg_extreme(x)
    return blurred(result)
