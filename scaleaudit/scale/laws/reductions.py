"""Laws of sums, means, norms, extremes and orderings."""

from __future__ import annotations

import math
from functools import reduce
from typing import Protocol

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
    Rational,
    Scale,
    Size,
    Support,
)
from scaleaudit.scale import algebra, growth, intervals
from scaleaudit.scale.algebra import Arg, lift
from scaleaudit.scale.centring import without_centred
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.table import LawTable
from scaleaudit.scale.mixing import stretched

TABLE = LawTable()


class Reducer(Protocol):
    """How degrees along dims become one."""

    def __call__(self, g: Growth, dims: frozenset[int] | None, /, *, count: int) -> Growth:
        """Return the growth of what is left of count elements."""


def dims_of(x: Scale, dim: Arg) -> frozenset[int] | None:
    """Return reduced dims from the end; None for all of them."""
    rank = len(x.shape)
    if dim is None or dim == () or isinstance(dim, (str, float, complex, Scale)):
        return None
    chosen = dim if isinstance(dim, tuple) else (dim,)
    return frozenset(d - rank if d >= 0 else d for d in chosen if isinstance(d, int))


def collapsed(
    x: Scale,
    dim: Arg,
    keepdim: Arg,
    span: Interval,
    exponent: Rational = 1,
    growth_of: Reducer = growth.reduce,
    slope: Rational | None = None,
) -> Scale:
    """Reduce a value over dims: the largest degree among its elements, to some power.

    Args:
        growth_of: How degrees along dims become one.
        slope: The factor of log a that is left.
    """
    dims = dims_of(x, dim)
    count = _count(x, dims)
    g = x.growth if count == 1 else growth_of(x.growth, dims, count=count)
    if exponent != 1:
        g = growth.power(g, exponent)
    if g.mix and not keepdim and dims:
        g = replace(g, mix=frozenset(_moved(d, dims) for d in g.mix))
    result = algebra.derived(x, g, span, slope=slope if g.hi == x.growth.hi else None)
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


def _summed(x: Scale, dim: Arg, keepdim: Arg) -> Scale:
    dims = dims_of(x, dim)
    x = without_centred(x, dims)
    slope = x.growth.slope
    slope = None if slope is None else slope * max(_count(x, dims), 1)
    result = collapsed(x, dim, keepdim, _sum_span(x, dims), slope=slope)
    result = _cancelling(x, replace(result, size=_length(_sized(x), dim, keepdim)))
    if x.stacked is not None and x.stacked.width == 1 and dims == frozenset({x.stacked.dim}):
        return _added(x.stacked.values, result)
    weighted = x.weighted
    if weighted is None or dims != frozenset({weighted.dim}):
        return result
    dim = weighted.dim
    return stretched(weighted.value, result, weighted.shares, dim, dim) or result


def _added(values: tuple[Scale, ...], result: Scale, factor: float = 1.0) -> Scale:
    """The sum over the dim along which values were stacked is the sum of the values."""
    total = algebra.times(reduce(algebra.plus, values), algebra.number(factor))
    shape = result.shape
    return algebra.same_value(total, shape, algebra.realigned(total.support, len(shape)))


def _sized(x: Scale) -> Scale:
    """What is never negative is its own size: none of its elements exceeds their sum."""
    if x.size is not None or x.opaque or x.span.low < 0:
        return x
    return replace(x, given=x.form, size=Size(x.form, 1))


def _length(x: Scale, dim: Arg, keepdim: Arg, share: int = 1) -> Size | None:
    """The size that a sum (a mean: a share) of squares over dims is, where it broadcasts."""
    dims = dims_of(x, dim)
    size = x.size
    flat = not keepdim and dims is not None
    if size is None or size.power < 0 or size.flat or (flat and dims != frozenset({-1})):
        return None
    return Size(size.of, size.power, size.bound * share ** float(1 / size.power), flat)


def _cancelling(x: Scale, result: Scale) -> Scale:
    """Limits of both signs, as those of tanh, may add up to 0."""
    g = result.growth
    if g.hi == ZERO and g.precision is Precision.SATURATING and x.span.low < 0 < x.span.high:
        return replace(result, growth=replace(g, lo=VANISHING, attained=False))
    return result


@TABLE.law("aten.sum", "aten.nansum")
def total(x: Arg, dim: Arg = None, keepdim: Arg = False, *_: Arg) -> Scale:
    """A sum has the largest degree among its elements."""
    return _summed(lift(x), dim, keepdim)


@TABLE.law("aten.sum.default")
def total_all(x: Arg, *_: Arg) -> Scale:
    """A sum has the largest degree among its elements."""
    return _summed(lift(x), None, False)


@TABLE.law("aten.trace")
def trace(x: Arg) -> Scale:
    """A sum over the diagonal has the largest degree among its elements."""
    x = lift(x)
    length = min(x.shape)
    slope = None if x.growth.slope is None else x.growth.slope * length
    span = intervals.multiply(x.span, intervals.point(float(length)))
    return collapsed(x, None, False, span, slope=slope, growth_of=_any_of)


def _any_of(g: Growth, _: frozenset[int] | None, /, *, count: int) -> Growth:
    return growth.blend(g) if g.mix else growth.reduce(g, count=count)


@TABLE.law("aten.mean", "aten.nanmean")
def mean(x: Arg, dim: Arg = None, keepdim: Arg = False, *_: Arg) -> Scale:
    """A mean has the largest degree among its elements, within their range."""
    return _averaged(lift(x), dim, keepdim)


@TABLE.law("aten.mean.default")
def mean_all(x: Arg, *_: Arg) -> Scale:
    """A mean has the largest degree among its elements, within their range."""
    return _averaged(lift(x), None, keepdim=False)


def _averaged(x: Scale, dim: Arg, keepdim: Arg) -> Scale:
    x = without_centred(x, dims_of(x, dim))
    result = collapsed(x, dim, keepdim, x.span, slope=x.growth.slope)
    share = _count(x, dims_of(x, dim))
    result = _cancelling(x, replace(result, size=_length(_sized(x), dim, keepdim, share)))
    if x.stacked is None or x.stacked.width > 1 or dims_of(x, dim) != frozenset({x.stacked.dim}):
        return result
    return _added(x.stacked.values, result, 1.0 / share)


def _largest(x: Scale, dim: Arg, keepdim: Arg) -> Scale:
    def growth_of(g: Growth, dims: frozenset[int] | None, /, *, count: int) -> Growth:
        return growth.largest(g, dims, x.span, count=count)

    result = collapsed(x, dim, keepdim, x.span, growth_of=growth_of, slope=x.growth.slope)
    return replace(result, peak_of=x.form) if keepdim and not x.opaque else result


def _smallest(x: Scale, dim: Arg, keepdim: Arg) -> Scale:
    return algebra.negate(_largest(algebra.negate(x), dim, keepdim))


@TABLE.law("aten.amax")
def amax(x: Arg, dim: Arg = (), keepdim: Arg = False) -> Scale:
    """The largest element has the largest degree where elements are positive."""
    return _largest(lift(x), dim, keepdim)


@TABLE.law("aten.amin")
def amin(x: Arg, dim: Arg = (), keepdim: Arg = False) -> Scale:
    """min(x) = -max(-x)."""
    return _smallest(lift(x), dim, keepdim)


@TABLE.law("aten.aminmax")
def both_extremes(x: Arg, dim: Arg = None, keepdim: Arg = False) -> tuple[Scale, Scale]:
    """The smallest and the largest element."""
    return _smallest(lift(x), dim, keepdim), _largest(lift(x), dim, keepdim)


@TABLE.law("aten.max.default")
def max_all(x: Arg) -> Scale:
    """The largest element has the largest degree where elements are positive."""
    return _largest(lift(x), None, False)


@TABLE.law("aten.min.default")
def min_all(x: Arg) -> Scale:
    """min(x) = -max(-x)."""
    return _smallest(lift(x), None, False)


@TABLE.law("aten.max.dim")
def max_along(x: Arg, dim: Arg = -1, keepdim: Arg = False) -> tuple[Scale, Scale]:
    """The largest element and its index."""
    return _largest(lift(x), dim, keepdim), index_of(lift(x))


@TABLE.law("aten.min.dim")
def min_along(x: Arg, dim: Arg = -1, keepdim: Arg = False) -> tuple[Scale, Scale]:
    """The smallest element and its index."""
    return _smallest(lift(x), dim, keepdim), index_of(lift(x))


@TABLE.law("aten.mode", "aten.median.dim")
def middle_along(x: Arg, dim: Arg = -1, keepdim: Arg = False) -> tuple[Scale, Scale]:
    """The middle element has a degree among those of the elements."""
    x = lift(x)

    def growth_of(g: Growth, _: frozenset[int] | None, /, *, count: int) -> Growth:
        return reordered(g)

    value = collapsed(x, dim, keepdim, x.span, growth_of=growth_of, slope=x.growth.slope)
    return value, index_of(x)


@TABLE.law("aten.cummax", "aten.cummin")
def running_extreme(x: Arg, *_: Arg) -> tuple[Scale, Scale]:
    """The largest element so far has a degree among those of the elements."""
    x = lift(x)
    g = reordered(x.growth)
    return blurred(algebra.derived(x, g, x.span, slope=g.slope)), index_of(x)


def reordered(g: Growth) -> Growth:
    """Elements chosen by their order: any of the degrees may be among them."""
    if not g.depends or g.is_pure:
        return replace(g, mix=frozenset())
    sparse = growth.fresh_pattern() if g.sparse else frozenset[tuple[Atom, int]]()
    loose = growth.limit(g, Precision.EXACT if g.lo == g.hi else Precision.ASYMPTOTIC)
    return replace(loose, attained=False, sparse=sparse, mix=frozenset())


def index_of(x: Scale) -> Scale:
    """The order of values of one degree is invariant, else it settles in the limit."""
    g = x.growth
    if not g.depends:
        return algebra.independent(NONNEGATIVE)
    if growth.is_homogeneous(g) or (g.is_pure and g.slope is not None):
        g = Growth(precision=g.precision)
    else:
        g = Growth(sparse=growth.fresh_pattern(), precision=Precision.SATURATING)
    return algebra.derived(x, g, NONNEGATIVE)


@TABLE.law("aten.argmax", "aten.argmin", "aten.argsort")
def arg_extreme(x: Arg, *_: Arg) -> Scale:
    """The order of values of one degree is invariant."""
    return index_of(lift(x))


@TABLE.law("aten.searchsorted")
def searched(edges: Arg, x: Arg, *_: Arg) -> Scale:
    """The place among sorted numbers is as invariant as a comparison with them."""
    return index_of(algebra.plus(lift(x), replace(lift(edges), shape=()), -1.0))


@TABLE.law("aten.bucketize")
def bucketized(x: Arg, edges: Arg, *_: Arg) -> Scale:
    """The place among sorted numbers is as invariant as a comparison with them."""
    return index_of(algebra.plus(lift(x), replace(lift(edges), shape=()), -1.0))


@TABLE.law("aten.topk", "aten.sort", "aten.kthvalue")
def topk(x: Arg, *_: Arg) -> tuple[Scale, Scale]:
    """Ordered values keep the degree; their indices are invariant."""
    x = lift(x)
    g = reordered(x.growth)
    return blurred(algebra.derived(x, g, x.span, slope=g.slope)), blurred(index_of(x))


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
    result = collapsed(x, dim, keepdim, NONNEGATIVE)
    if not x.depends or x.opaque or not isinstance(ord, (int, float)) or ord < 1:
        return result
    return replace(result, size=_length(replace(x, size=Size(x.form, 1)), dim, keepdim))


@TABLE.law("aten.var", "aten.var.correction")
def variance(x: Arg, dim: Arg = None, correction: Arg = None, keepdim: Arg = False) -> Scale:
    """var(a x) = a² var(x)."""
    return _spread(lift(x), dim, keepdim, 2)


def centred(g: Growth) -> Growth:
    """What is left of a value without its mean: of a logarithm its offsets."""
    shifts = g.depends and g.slope is not None and g.lo == g.hi == Degree(0, 1) and not g.sparse
    if shifts:
        return Growth(precision=g.precision)
    if g.hi == ZERO and g.precision is Precision.SATURATING:
        return replace(g, lo=VANISHING, attained=False)  # all may saturate at one value
    return replace(g, slope=None)


def _spread(x: Scale, dim: Arg, keepdim: Arg, exponent: int) -> Scale:
    x = replace(x, growth=centred(x.growth))
    return collapsed(x, dim, keepdim, NONNEGATIVE, exponent=exponent)


@TABLE.law("aten.std", "aten.std.correction")
def deviation(x: Arg, dim: Arg = None, correction: Arg = None, keepdim: Arg = False) -> Scale:
    """std(a x) = a std(x)."""
    return _spread(lift(x), dim, keepdim, 1)


@TABLE.law("aten.var_mean")
def variance_mean(
    x: Arg, dim: Arg = None, correction: Arg = None, keepdim: Arg = False
) -> tuple[Scale, Scale]:
    """Variance has twice the degree, the mean the degree itself."""
    x = lift(x)
    average = _averaged(x, dim, keepdim)
    return _spread(x, dim, keepdim, 2), average


@TABLE.law("aten.std_mean")
def deviation_mean(
    x: Arg, dim: Arg = None, correction: Arg = None, keepdim: Arg = False
) -> tuple[Scale, Scale]:
    """Deviation and mean keep the degree."""
    x = lift(x)
    average = _averaged(x, dim, keepdim)
    return _spread(x, dim, keepdim, 1), average


@TABLE.law("aten.cumsum")
def cumulative(x: Arg, dim: Arg, *_: Arg) -> Scale:
    """A running sum keeps the degree."""
    x = lift(x)
    span = x.span if x.span.low >= 0 and x.span.high == math.inf else REALS
    return blurred(algebra.derived(x, growth.blend(x.growth), span))


@TABLE.law("aten.logcumsumexp")
def running_log_sum_exp(x: Arg, *_: Arg) -> Scale:
    """A running logsumexp is asymptotically the maximum so far."""
    x = lift(x)
    g = _soft_largest(reordered(x.growth))
    g = replace(g, lo=min(g.lo, x.growth.lo))  # the first ones are a sum of one element
    return blurred(algebra.derived(x, g, slope=g.slope))


@TABLE.law("aten.logsumexp")
def log_sum_exp(x: Arg, dim: Arg, keepdim: Arg = False) -> Scale:
    """logsumexp is asymptotically the maximum; of what lies below its own it is log(1 + ...)."""
    x = lift(x)
    if x.peak_of is not None:
        return algebra.log(_summed(algebra.exp(x), dim, keepdim))

    def growth_of(g: Growth, dims: frozenset[int] | None, /, *, count: int) -> Growth:
        return _soft_largest(growth.largest(g, dims, x.span, count=count))

    return collapsed(x, dim, keepdim, REALS, growth_of=growth_of, slope=x.growth.slope)


def _soft_largest(g: Growth) -> Growth:
    """Of one element among several, smoothly: where all vanish the logarithm of their number."""
    if not g.depends or (g.is_pure and g.slope is not None):
        return g
    if g.hi <= ZERO:
        return growth.smooth(g)
    lo = g.lo if g.is_pure else min(g.lo, ZERO)
    return replace(growth.limit(g, Precision.ASYMPTOTIC), lo=lo, sparse=frozenset())


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
    g = Growth(precision=x.growth.precision)
    if not x.depends:
        return algebra.independent(NONNEGATIVE)
    if not growth.is_homogeneous(x.growth):
        exact = x.growth.precision <= Precision.EPS and not growth.is_logarithmic(x.growth)
        least = x.growth.precision if exact else Precision.SATURATING
        g = Growth(sparse=growth.fresh_pattern(), precision=least)
    return blurred(algebra.derived(x, g, NONNEGATIVE))
