"""Laws of matrix products, convolutions, attention and embeddings."""

from __future__ import annotations

import math

from scaleaudit.domain.scale import (
    VANISHING,
    ZERO,
    Growth,
    Interval,
    Precision,
    Scale,
    Support,
)
from scaleaudit.scale import algebra, growth
from scaleaudit.scale.algebra import Arg, lift, plus, times
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.activations import softmax
from scaleaudit.scale.laws.norms import normalized
from scaleaudit.scale.laws.reductions import blurred, collapsed, dims_of
from scaleaudit.scale.laws.table import LawTable
from scaleaudit.scale.mixing import stretched

TABLE = LawTable()


def contract(x: Scale, y: Scale, dims_x: frozenset[int], dims_y: frozenset[int]) -> Scale:
    """A sum of products over shared dims: degrees add."""
    a = growth.reduce(x.growth, dims_x, count=_size(x, dims_x))
    b = growth.reduce(y.growth, dims_y, count=_size(y, dims_y))
    g = growth.multiply(a, b)
    if g.sparse:
        g = replace(g, sparse=growth.fresh_pattern())
    if x.is_zero or y.is_zero:
        return algebra.number(0.0)
    if _may_cancel(x) and _may_cancel(y):
        g = replace(g, lo=VANISHING, attained=False)
    return algebra.joined(x, y, Scale(g))


def _may_cancel(x: Scale) -> bool:
    """Whether it tends to few numbers of both signs, whose products may add up to 0."""
    g = x.growth
    saturates = g.depends and g.hi == ZERO and g.precision is Precision.SATURATING
    return saturates and x.span.low < 0 < x.span.high


def _size(x: Scale, dims: frozenset[int]) -> int:
    return math.prod(x.shape[d] for d in dims if -d <= len(x.shape))


@TABLE.law("aten.mm", "aten.bmm", "aten.matmul", "aten.mv", "aten.dot", "aten.vdot", "aten.inner",
           "aten._grouped_mm")  # fmt: skip
def matmul(x: Arg, y: Arg, *_: Arg) -> Scale:
    """A linear map keeps the degree; a product of two growing values adds them."""
    x, y = lift(x), lift(y)
    right = frozenset({-2}) if len(y.shape) > 1 else frozenset({-1})
    result = contract(x, y, frozenset({-1}), right)
    result = replace(result, support=_rows(x, y))
    (dim,) = right
    return stretched(x, result, y, dim, -1) or stretched(y, result, x, -1, dim) or result


def _rows(x: Scale, y: Scale) -> Support | None:
    """Rows of x stay along their axes where only x reads the state; columns mix."""
    if y.support is None and x.support is not None:
        kept = x.support.axes[:-1]
        axes = (*kept, None) if len(y.shape) > 1 else kept
        return replace(x.support, axes=axes)
    merged = algebra.merge_support(x, y)
    if merged is None:
        return None
    if x.support is None:
        return replace(merged, axes=(*(None,) * (len(merged.axes) - 1), merged.axes[-1]))
    return replace(merged, axes=(None,) * len(merged.axes))


@TABLE.law("aten.einsum")
def einsum(_: Arg, operands: Arg, *__: Arg) -> Scale:
    """A sum of products over shared dims: degrees add."""
    assert isinstance(operands, tuple)
    first, *others = (lift(x) for x in operands)
    result = algebra.derived(first, growth.blend(first.growth))
    for other in others:
        blended = algebra.derived(other, growth.blend(other.growth))
        result = contract(result, blended, frozenset(), frozenset())
    support = result.support
    if support is not None:
        support = replace(support, axes=(None,) * len(support.axes), blurred=True)
    return replace(result, support=support)


@TABLE.law("aten.linear")
def linear(x: Arg, weight: Arg, bias: Arg = None) -> Scale:
    """A linear map keeps the degree; a bias beside a positive degree fades."""
    x, weight = lift(x), lift(weight)
    product = contract(x, weight, frozenset({-1}), frozenset({-1}))
    product = replace(product, support=_rows(x, replace(weight, shape=(1, 1))))
    product = replace(product, shape=x.shape)
    product = stretched(x, product, weight, -1, -1) or product
    return product if bias is None else plus(product, lift(bias))


@TABLE.law("aten.addmm", "aten.addmv", "aten.baddbmm", "aten.addbmm")
def add_matmul(bias: Arg, x: Arg, y: Arg, beta: Arg = 1, alpha: Arg = 1) -> Scale:
    """bias + x W: degree of x W beside that of the bias."""
    product = matmul(x, y)
    assert isinstance(product, Scale)
    product = replace(product, shape=lift(x).shape)
    return plus(times(product, lift(alpha)), times(lift(bias), lift(beta)))


@TABLE.law("aten.addr")
def add_outer(bias: Arg, x: Arg, y: Arg, beta: Arg = 1, alpha: Arg = 1) -> Scale:
    """bias + x yᵀ."""
    return plus(times(lift(x), lift(y)), times(lift(bias), lift(beta)))


@TABLE.law("aten.outer", "aten.ger", "aten.kron")
def outer(x: Arg, y: Arg) -> Scale:
    """deg(x yᵀ) = deg(x) + deg(y)."""
    x, y = lift(x), lift(y)
    result = times(x, y)
    support = result.support
    if support is not None:
        support = replace(support, axes=(None, None), blurred=True)
    return replace(result, given=None, support=support)


@TABLE.law("aten.convolution", "aten.conv1d", "aten.conv2d", "aten.conv3d", "aten._convolution",
           "aten.mkldnn_convolution")  # fmt: skip
def convolution(x: Arg, weight: Arg, bias: Arg = None, *rest: Arg) -> Scale:
    """A convolution is linear: it keeps the degree."""
    x, weight = lift(x), lift(weight)
    rank = len(x.shape)
    x = replace(x, growth=_windowed(x, weight, transposed=rest[3:4] == (True,)), given=None)
    product = contract(x, weight, frozenset(), frozenset(range(1 - rank, 0)))
    if product.support is not None:
        axes = (product.support.axes[0], *(None,) * (rank - 1))
        product = replace(product, support=replace(product.support, axes=axes))
    product = replace(product, shape=x.shape)
    return product if bias is None else plus(product, lift(bias))


def _windowed(x: Scale, weight: Scale, *, transposed: bool) -> Growth:
    """Sums over channels and windows: many elements together do not all vanish."""
    if x.growth.mix or not x.growth.attained or len(weight.shape) < 3:
        return growth.blend(x.growth)
    # A window at a border sees half of its places, and no more than there are.
    places = zip(weight.shape[2:], x.shape[2 - len(weight.shape) :], strict=True)
    window = 1 if transposed else math.prod(min((k + 1) // 2, size) for k, size in places)
    count = weight.shape[0 if transposed else 1] * window
    if count < growth.MANY:
        return growth.blend(x.growth)
    return growth.reduce(x.growth, count=count)


@TABLE.law("aten._embedding_bag")
def embedding_bag(weight: Arg, *_: Arg) -> Scale:
    """Sums and means of rows of a table keep the degree."""
    weight = lift(weight)
    return algebra.derived(weight, growth.blend(weight.growth))


@TABLE.law("aten.embedding")
def embedding(weight: Arg, indices: Arg, *_: Arg) -> Scale:
    """Rows of a table have its degree; the choice of the rows is as invariant as the indices."""
    weight, indices = lift(weight), lift(indices)
    if not indices.depends:
        return algebra.derived(weight, weight.growth, weight.span)
    g = growth.multiply(weight.growth, indices.growth)
    return algebra.joined(weight, indices, Scale(g, weight.span))


def attend(query: Scale, key: Scale, value: Scale, mask: Arg) -> Scale:
    """softmax(q kᵀ + mask) v: the degree of v; growing scores saturate."""
    scores = contract(query, key, frozenset({-1}), frozenset({-1}))
    scores = replace(scores, shape=(*query.shape[:-1], key.shape[-2]))
    if mask is not None:
        scores = plus(scores, lift(mask))
    weights = softmax(scores, -1)
    assert isinstance(weights, Scale)
    weights = replace(weights, shape=scores.shape)
    # A row may attend to few elements: to one where scores saturate.
    blended = replace(value, growth=growth.blend(value.growth), given=None)
    result = contract(weights, blended, frozenset({-1}), frozenset())
    g = result.growth
    if value.depends and value.growth.hi > ZERO:
        g = replace(g, attained=value.growth.attained)
    support = algebra.merge_support(weights, value)
    if support is not None:
        support = replace(support, axes=(support.axes[0], *(None,) * (len(support.axes) - 1)))
    return replace(result, growth=g, span=value.span, support=support)


@TABLE.law("aten.scaled_dot_product_attention", "aten._scaled_dot_product_flash_attention_for_cpu",
           "aten._scaled_dot_product_flash_attention", "aten._scaled_dot_product_fused_attention_overrideable",
           "aten._scaled_dot_product_cudnn_attention")  # fmt: skip
def attention(
    query: Arg, key: Arg, value: Arg, *rest: Arg, out: object = None
) -> tuple[Scale, ...]:
    """softmax(q kᵀ) v has the degree of v; scores of positive degree saturate."""
    mask = next((argument for argument in rest if isinstance(argument, Scale)), None)
    result = attend(lift(query), lift(key), lift(value), mask)
    extra = len(out) - 1 if isinstance(out, tuple) else 0
    return (result, *(algebra.unknown() for _ in range(extra)))


@TABLE.law("aten._scaled_dot_product_efficient_attention", "aten._scaled_dot_product_attention_math",
           "aten._scaled_dot_product_attention_math_for_mps")  # fmt: skip
def attention_with_mask(
    query: Arg, key: Arg, value: Arg, mask: Arg = None, *_: Arg, out: object = None
) -> tuple[Scale, ...]:
    """softmax(q kᵀ + mask) v has the degree of v; scores of positive degree saturate."""
    result = attend(lift(query), lift(key), lift(value), mask)
    extra = len(out) - 1 if isinstance(out, tuple) else 0
    return (result, *(algebra.unknown() for _ in range(extra)))


@TABLE.law("aten.cosine_similarity")
def cosine(x: Arg, y: Arg, dim: Arg = 1, eps: Arg = 1e-8) -> Scale:
    """A cosine is invariant, up to eps."""
    x, y = lift(x), lift(y)
    size = float(eps) if isinstance(eps, (int, float)) else 1e-8
    a, b = (normalized(v, dims_of(v, dim), size) for v in (x, y))
    product = replace(times(a, b), shape=max(x.shape, y.shape, key=len))
    return collapsed(product, dim, False, Interval(-1.0, 1.0))


@TABLE.law("aten._fft_r2c", "aten._fft_c2c", "aten._fft_c2r")
def fourier(x: Arg, dims: Arg, *_: Arg) -> Scale:
    """A Fourier transform is linear: it keeps the degree."""
    x = lift(x)
    rank = len(x.shape)
    over = (
        frozenset(d % rank - rank for d in dims if isinstance(d, int))
        if isinstance(dims, tuple)
        else None
    )
    return blurred(algebra.derived(x, growth.reduce(x.growth, over)))
