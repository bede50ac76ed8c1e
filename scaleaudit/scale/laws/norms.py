"""Laws of normalisation layers: what sends a positive degree to 0."""

from __future__ import annotations

import math

from scaleaudit.domain.scale import NONNEGATIVE, ZERO, Growth, Interval, Precision, Scale
from scaleaudit.scale import algebra, growth
from scaleaudit.scale.algebra import Arg, lift, plus, times
from scaleaudit.scale.centring import without_centred
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.reductions import blurred, centred
from scaleaudit.scale.laws.table import LawTable

TABLE = LawTable()


def normalized(x: Scale, dims: frozenset[int] | None, eps: float) -> Scale:
    """x / (norm of x over dims, plus eps): degree 0, bounded by the square root of the count."""
    count = math.prod(x.shape[d] for d in dims) if dims else math.prod(x.shape)
    bound = math.sqrt(max(count, 1))
    span = Interval(-bound, bound)
    if not x.depends:
        return algebra.independent(span, learned=x.learned)
    result = algebra.derived(x, _quotient(x.growth, dims, eps), span)
    if x.support is None:
        return result
    rank = len(x.support.axes)
    gone = {d + rank for d in dims} if dims is not None else set(range(rank))
    axes = tuple(None if i in gone else axis for i, axis in enumerate(x.support.axes))
    return replace(result, support=replace(x.support, axes=axes))


def _quotient(g: Growth, dims: frozenset[int] | None, eps: float) -> Growth:
    """Elements over the largest beside them: at most of degree 0."""
    size = growth.reduce(g, dims)
    if eps > 0 and size.hi < ZERO:
        return replace(growth.limit(g, Precision.ASYMPTOTIC), slope=None)
    precision = max(g.precision, _least(size, eps))
    loose = g.lo < g.hi or (growth.is_logarithmic(g) and g.depends)
    if loose:
        precision = max(precision, Precision.ASYMPTOTIC)
    lower = growth.add_degrees(g.lo, growth.scale_degree(size.hi, -1), upper=False)
    return Growth(
        lo=min(lower, ZERO) if loose else ZERO,
        attained=size.attained or size.hi == ZERO == size.lo,
        sparse=g.sparse,
        precision=precision,
        mix=g.mix if loose else frozenset(),
        normed=g.normed or g.hi > ZERO,
    )


def _least(size: Growth, eps: float) -> Precision:
    """How literally a norm with an eps removes a length."""
    if eps == 0 or size.hi <= ZERO:
        return Precision.EXACT
    return Precision.EPS if eps <= algebra.EPS_SIZE else Precision.ASYMPTOTIC


def inverse_size(x: Scale, dims: frozenset[int] | None, eps: float) -> Scale:
    """1 / (norm of x over dims, plus eps)."""
    size = growth.reduce(x.growth, dims)
    if eps > 0 and size.depends and size.hi < ZERO:
        return algebra.derived(x, growth.smooth(size), NONNEGATIVE)
    size = growth.limit(size, _least(size, eps))
    return algebra.derived(x, growth.reciprocal(size), NONNEGATIVE)


def _affine(x: Scale, weight: Arg, bias: Arg) -> Scale:
    if weight is not None:
        x = times(x, lift(weight))
    return x if bias is None else plus(x, lift(bias))


def _number(value: Arg, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) else default


def _last(count: int) -> frozenset[int]:
    return frozenset(range(-count, 0))


@TABLE.law("aten.native_layer_norm", "aten.layer_norm")
def layer_norm(
    x: Arg, shape: Arg, weight: Arg = None, bias: Arg = None, eps: Arg = 1e-5, *_: Arg
) -> tuple[Scale, Scale, Scale]:
    """LayerNorm sends a positive degree to 0, up to eps."""
    x = lift(x)
    dims = _last(len(shape) if isinstance(shape, tuple) else 1)
    result = normalized(replace(x, growth=centred(x.growth)), dims, _number(eps, 1e-5))
    left = without_centred(x, dims)
    mean = algebra.derived(left, growth.reduce(left.growth, dims), x.span, slope=left.growth.slope)
    centre = replace(x, growth=centred(x.growth))
    return _affine(result, weight, bias), mean, inverse_size(centre, dims, _number(eps, 1e-5))


@TABLE.law("aten.native_layer_norm_backward")
def layer_norm_gradient(
    gradient: Arg,
    x: Arg,
    shape: Arg,
    mean: Arg,
    inverse: Arg,
    weight: Arg = None,
    bias: Arg = None,
    wanted: Arg = (True, True, True),
) -> tuple[Scale, ...]:
    """The gradient of LayerNorm is divided by the deviation; what is normed itself is taken out."""
    x, gradient, inverse = lift(x), lift(gradient), lift(inverse)
    dims = _last(len(shape) if isinstance(shape, tuple) else 1)
    normed = normalized(replace(x, growth=centred(x.growth)), dims, algebra.EPS_SIZE)
    scaled = gradient if weight is None else times(gradient, lift(weight))
    left = growth.add(
        _without_mean(scaled, dims),
        growth.multiply(normed.growth, _without_mean(times(scaled, normed), dims)),
    )
    to_x = algebra.joined(x, scaled, Scale(growth.multiply(left, inverse.growth)))
    others = frozenset(range(-len(x.shape), -len(dims)))
    to_weight, to_bias = (
        algebra.derived(each, growth.reduce(centred(each.growth), others))
        for each in (times(gradient, normed), gradient)
    )
    asked = wanted if isinstance(wanted, tuple) else (True,) * 3
    results = zip((to_x, to_weight, to_bias), asked, strict=True)
    return tuple(blurred(result) for result, given in results if given)


def _without_mean(x: Scale, dims: frozenset[int]) -> Growth:
    """What is left of elements from each of which the mean of all is taken."""
    g = centred(x.growth)
    return growth.add(g, growth.reduce(g, dims))


@TABLE.law("aten._fused_rms_norm", "aten.rms_norm")
def rms_norm(x: Arg, shape: Arg, weight: Arg = None, eps: Arg = None) -> tuple[Scale, Scale]:
    """RMSNorm sends a positive degree to 0, up to eps."""
    x = lift(x)
    dims = _last(len(shape) if isinstance(shape, tuple) else 1)
    result = normalized(x, dims, _number(eps, 1e-6))
    return _affine(result, weight, None), inverse_size(x, dims, _number(eps, 1e-6))


@TABLE.law("aten.native_group_norm", "aten.group_norm")
def group_norm(
    x: Arg, weight: Arg = None, bias: Arg = None, *rest: Arg
) -> tuple[Scale, Scale, Scale]:
    """GroupNorm sends a positive degree to 0, up to eps."""
    x = lift(x)
    eps = _number(rest[-1] if rest else None, 1e-5)
    dims = _last(max(len(x.shape) - 1, 1))
    centre = replace(x, growth=centred(x.growth))
    mean = algebra.derived(x, growth.reduce(x.growth, dims), x.span, slope=x.growth.slope)
    result = _affine(normalized(centre, dims, eps), weight, bias)
    return result, mean, inverse_size(centre, dims, eps)


@TABLE.law("aten.native_batch_norm", "aten._native_batch_norm_legit_functional",
           "aten._native_batch_norm_legit", "aten.cudnn_batch_norm", "aten.batch_norm")  # fmt: skip
def batch_norm(
    x: Arg,
    weight: Arg = None,
    bias: Arg = None,
    mean: Arg = None,
    variance: Arg = None,
    training: Arg = False,
    momentum: Arg = 0.1,
    eps: Arg = 1e-5,
    *_: Arg,
    out: object = None,
) -> tuple[Scale, ...]:
    """BatchNorm in training divides by the batch's deviation: degree 0; in eval it is affine."""
    x = lift(x)
    if training is True or mean is None:
        rank = len(x.shape)
        dims = frozenset(d for d in range(-rank, 0) if d != 1 - rank)
        centre = replace(x, growth=centred(x.growth))
        result = normalized(centre, dims, _number(eps, 1e-5))
    else:
        scale = algebra.independent(NONNEGATIVE)
        result = times(plus(x, lift(mean), -1.0), scale)
    extra = len(out) - 1 if isinstance(out, tuple) else 2
    return (_affine(result, weight, bias), *(algebra.unknown() for _ in range(extra)))


@TABLE.law("aten._native_batch_norm_legit.no_stats")
def batch_norm_of_batch(
    x: Arg, weight: Arg, bias: Arg, training: Arg, momentum: Arg, eps: Arg, *_: Arg
) -> tuple[Scale, ...]:
    """BatchNorm without running statistics divides by the batch's deviation: degree 0."""
    return batch_norm(x, weight, bias, None, None, True, momentum, eps)


@TABLE.law("aten.renorm")
def renorm(x: Arg, *_: Arg) -> Scale:
    """Clipping a norm leaves no length beyond the limit: saturating."""
    x = lift(x)
    g = growth.saturate(x.growth, odd=True)
    if x.growth.hi > ZERO and x.growth.lo < x.growth.hi:
        away = growth.scale_degree(x.growth.hi, -1)
        g = replace(g, lo=min(growth.add_degrees(x.growth.lo, away, upper=False), ZERO))
    return algebra.derived(x, g)


@TABLE.law("aten._weight_norm_interface", "aten._weight_norm")
def weight_norm(v: Arg, g: Arg, *_: Arg) -> tuple[Scale, Scale]:
    """g v / ‖v‖ has the degree of g."""
    v, g = lift(v), lift(g)
    return times(normalized(v, None, 0.0), g), algebra.derived(v, v.growth)
