"""Laws of views, copies and rearrangements."""

from __future__ import annotations

import math
from functools import cache

from scaleaudit.domain.graph import TensorMeta
from scaleaudit.domain.scale import (
    REALS,
    VANISHING,
    ZERO,
    Atom,
    AxisOf,
    Folded,
    Growth,
    Interval,
    Layout,
    LayoutStep,
    Precision,
    Scale,
    Support,
)
from scaleaudit.scale import algebra, forms, growth, intervals
from scaleaudit.scale.algebra import Arg, derived, lift
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.reductions import blurred, index_of, reordered
from scaleaudit.scale.laws.table import LawTable

TABLE = LawTable()
Out = tuple[TensorMeta, ...]


@TABLE.law("aten.clone", "aten.alias", "aten.contiguous", "aten._to_copy", "aten.to", "aten.detach",
           "aten.lift_fresh", "aten.lift_fresh_copy", "aten.lift", "aten.detach_",
           "aten.resolve_conj", "aten.resolve_neg", "aten._autocast_to_reduced_precision",
           "aten.alias_copy", "aten.positive", "aten._local_scalar_dense", "aten.item",
           "aten.view.dtype")  # fmt: skip
def same(x: Arg, *rest: Arg) -> Scale:
    """A copy, a cast or an alias is the same value."""
    return lift(x)


@TABLE.law("aten.copy")
def copied(x: Arg, source: Arg, *_: Arg) -> Scale:
    """A copy has the values of its source."""
    return lift(source)


@TABLE.law("aten._conj", "aten.conj_physical", "aten._neg_view")
def mirrored(x: Arg) -> Scale:
    """Turning signs keeps the degree."""
    x = lift(x)
    return derived(x, x.growth, x.span.hull(intervals.negate(x.span)))


@TABLE.law("aten.real", "aten.imag", "aten.view_as_real", "aten.view_as_complex")
def component(x: Arg, *, out: Out) -> Scale:
    """Real and imaginary parts have the degree of the whole."""
    x = lift(x)
    return blurred_to(derived(x, spread(growth.blend(x.growth), len(out[0].shape))), out)


@TABLE.law("aten.angle")
def angle(x: Arg) -> Scale:
    """The angle of a homogeneous value is invariant."""
    x = lift(x)
    g = x.growth
    if g.depends and not growth.is_homogeneous(g):
        g = Growth(VANISHING, ZERO, attained=False, precision=Precision.SATURATING)
    elif g.depends:
        g = Growth(precision=g.precision)
    return derived(x, g, Interval(-math.pi, math.pi))


@TABLE.law("aten.polar")
def polar(x: Arg, turn: Arg) -> Scale:
    """r exp(i θ) has the degree of r."""
    x, turn = lift(x), lift(turn)
    if not turn.depends:
        return derived(x, x.growth)
    turned = growth.saturate(turn.growth)
    return algebra.joined(x, turn, Scale(growth.multiply(x.growth, turned)))


@TABLE.law("aten.complex")
def complex_of(x: Arg, y: Arg) -> Scale:
    """Real and imaginary parts side by side."""
    return replace(algebra.mixture(lift(x), lift(y)), span=REALS)


def spread(g: Growth, rank: int) -> Growth:
    """Degrees that differ along some dims, after an operator that moves elements anywhere."""
    return replace(g, mix=frozenset(range(-rank, 0))) if g.mix else g


def blurred_to(x: Scale, out: Out) -> Scale:
    """Forget along which axes of the state a value of a new shape runs."""
    rank = len(out[0].shape)
    x = replace(x, shape=out[0].shape)
    if x.support is None:
        return x
    axes: tuple[int | None, ...] = (None,) * rank
    return replace(x, support=replace(x.support, axes=axes, blurred=True))


def rearranged(x: Scale, step: LayoutStep | None) -> Scale:
    """Push a rearrangement onto every atom of a value."""
    if step is None or x.opaque:
        return x
    if not x.depends or (step[0] not in _WHOLE and _is_mixed(x)):
        return replace(x, given=None, size=None)

    def view(atom: Atom) -> Atom:
        return atom.viewed(composed(atom.layout, step))

    return replace(x, given=forms.map_atoms(x.form, view), size=None)


# Rearrangements that keep every element, and so the length of the whole.
_WHOLE = frozenset({"view", "permute"})


def _is_mixed(x: Scale) -> bool:
    """Whether a matrix has acted on what a value holds: its parts are no parts of that."""
    return any(atom.mixes for poly in x.form.parts.values() for atom in poly.atoms())


def composed(layout: Layout, step: LayoutStep) -> Layout:
    """Append a step; permutations that undo each other and views that return cancel."""
    kind, parameters, before, after = step
    if kind == "view":
        if not layout:
            return layout
        if layout[-1][0] == "view":
            _, _, before, _ = layout[-1]
            layout = layout[:-1]
        return layout if before == after else (*layout, ("view", (), before, after))
    if kind == "permute" and layout and layout[-1][0] == "permute":
        first = layout[-1]
        joint = tuple(first[1][p] for p in parameters)
        layout = layout[:-1]
        if joint == tuple(range(len(joint))):
            return layout
        return (*layout, ("permute", joint, first[2], after))
    if kind == "slice" and layout and layout[-1][0] == "place":
        return _taken_out(layout, step)
    return (*layout, step)


def _taken_out(layout: Layout, step: LayoutStep) -> Layout:
    """A slice of what was put into a larger value: of the very places, what was put there."""
    dim, start, stop = layout[-1][1]
    along, first, last, by, drop = step[1]
    if (along, first, last, by, drop) == (dim, start, stop, 1, 0):
        return layout[:-1]
    return (*layout, step)


@TABLE.law("aten.view.default", "aten._unsafe_view", "aten.reshape", "aten.unsqueeze",
           "aten.squeeze", "aten.flatten", "aten.unflatten", "aten._reshape_alias",
           "aten.view_copy", "aten.atleast_1d",
           "aten.squeeze_", "aten.unsqueeze_")  # fmt: skip
def view(x: Arg, *_: Arg, out: Out) -> Scale:
    """A reshape keeps every element."""
    x = lift(x)
    shape = out[0].shape
    moved = rearranged(x, ("view", (), x.shape, shape))
    if x.size is not None and x.size.flat and shape == (*x.shape, 1):
        moved = replace(moved, size=replace(x.size, flat=False))
    g = moved.growth
    if g.mix:
        g = replace(g, mix=_moved_dims(g.mix, x.shape, shape))
    return replace(moved, growth=g, support=_reshaped(x.support, x.shape, shape))


@cache
def groups(before: tuple[int, ...], after: tuple[int, ...]) -> dict[int, int]:
    """Map dims of the old shape to dims of the new one that hold just the same elements."""
    pairs: dict[int, int] = {}
    i = j = 0
    left = right = 1
    while i < len(before) and j < len(after):
        if left == right and before[i] == after[j]:
            pairs[i] = j
            i, j = i + 1, j + 1
            continue
        if left == right and before[i] == 1:
            i += 1
        elif left == right and after[j] == 1:
            j += 1
        elif left <= right:
            left *= before[i]
            i += 1
        else:
            right *= after[j]
            j += 1
        if left == right:
            left = right = 1
    return pairs


def _moved_dims(
    mix: frozenset[int], before: tuple[int, ...], after: tuple[int, ...]
) -> frozenset[int]:
    pairs = groups(before, after)
    moved = {pairs.get(d + len(before)) for d in mix}
    if None in moved:
        return frozenset(range(-len(after), 0)) or frozenset({-1})
    return frozenset(d - len(after) for d in moved if d is not None)


def _reshaped(
    support: Support | None, before: tuple[int, ...], after: tuple[int, ...]
) -> Support | None:
    if support is None:
        return None
    factors = _factors(support.axes, before)
    axes = _distributed(factors, after)
    kept = {axis for axis, _ in _factors(axes, after)}
    lost = any(axis is not None and axis not in kept for axis, size in factors if size != 1)
    return replace(support, axes=axes, blurred=support.blurred or lost)


def _factors(axes: tuple[AxisOf, ...], shape: tuple[int, ...]) -> Folded:
    """The axes that the dims of a value run along, those that were made one dim apart again."""
    found: list[tuple[int | None, int]] = []
    for axis, size in zip(axes, shape, strict=False):
        found.extend(axis if isinstance(axis, tuple) else [(axis, size)])
    return tuple(found)


def _distributed(factors: Folded, shape: tuple[int, ...]) -> tuple[AxisOf, ...]:
    """Give every dim of a new shape the axes whose sizes make up its own, in their order."""
    left = [factor for factor in factors if factor[1] != 1]
    axes: list[AxisOf] = []
    for size in shape:
        taken: list[tuple[int | None, int]] = []
        while left and math.prod(n for _, n in taken) < size:
            taken.append(left.pop(0))
        rest, over = divmod(math.prod(n for _, n in taken), size) if size else (1, 0)
        if over:
            return (*axes, *(None,) * (len(shape) - len(axes)))
        if rest > 1:  # a dim that is split runs along nothing
            taken, left = [], [(None, rest), *left]
        axes.append(_one_dim(taken))
    return tuple(axes)


def _one_dim(factors: list[tuple[int | None, int]]) -> AxisOf:
    if len(factors) == 1:
        return factors[0][0]
    return tuple(factors) if any(axis is not None for axis, _ in factors) else None


@TABLE.law("aten.permute", "aten.transpose", "aten.t", "aten.swapaxes", "aten.movedim", "aten.mT",
           "aten.numpy_T", "aten.adjoint", "aten.permute_copy", "aten.t_copy",
           "aten.transpose_copy", "aten.transpose_", "aten.t_", "aten.swapaxes_")  # fmt: skip
def permute(x: Arg, *dims: Arg, out: Out) -> Scale:
    """A transposition keeps every element, elsewhere."""
    x = lift(x)
    rank = len(x.shape)
    order = order_of(dims, rank)
    moved = rearranged(x, ("permute", order, x.shape, out[0].shape))
    g = moved.growth
    if g.mix:
        g = replace(
            g, mix=frozenset(order.index(d + rank) - rank for d in g.mix if d + rank in order)
        )
    support = x.support
    if support is not None and len(support.axes) == rank:
        support = replace(support, axes=tuple(support.axes[p] for p in order))
    return replace(moved, growth=g, support=support)


def order_of(dims: tuple[Arg, ...], rank: int) -> tuple[int, ...]:
    """Return for every dim after a transposition the one that it was."""
    order = list(range(rank))
    if len(dims) == 1 and isinstance(dims[0], tuple):
        return tuple(int(d) % rank for d in dims[0] if isinstance(d, int))
    if len(dims) == 2 and isinstance(dims[0], int) and isinstance(dims[1], int):
        a, b = dims[0] % rank, dims[1] % rank
    elif rank >= 2:
        a, b = rank - 2, rank - 1
    else:
        return tuple(order)
    order[a], order[b] = order[b], order[a]
    return tuple(order)


@TABLE.law("aten.expand", "aten.expand_copy", "aten.broadcast_to", "aten.expand_as")
def expand(x: Arg, *_: Arg, out: Out) -> Scale:
    """Broadcasting repeats elements."""
    x = lift(x)
    support = algebra.realigned(x.support, len(out[0].shape))
    return algebra.same_value(x, out[0].shape, support)


@TABLE.law("aten.roll")
def roll(x: Arg, *places: Arg, out: Out) -> Scale:
    """Rolling keeps every element, elsewhere."""
    return _shuffled(lift(x), "roll", places, out)


@TABLE.law("aten.flip")
def flip(x: Arg, *places: Arg, out: Out) -> Scale:
    """Flipping keeps every element, elsewhere."""
    return _shuffled(lift(x), "flip", places, out)


def _shuffled(x: Scale, kind: str, places: tuple[Arg, ...], out: Out) -> Scale:
    numbers = tuple(place for place in flat(places) if isinstance(place, int))
    result = rearranged(x, (kind, numbers, x.shape, out[0].shape))
    return blurred_to(replace(result, growth=spread(x.growth, len(out[0].shape))), out)


@TABLE.law("aten.repeat", "aten.repeat_interleave", "aten.tile", "aten.unfold", "aten.as_strided",
           "aten.as_strided_", "aten.diagonal", "aten.pixel_shuffle", "aten.pixel_unshuffle", "aten.channel_shuffle",
           "aten.rot90", "aten.native_channel_shuffle")  # fmt: skip
def moved(x: Arg, *_: Arg, out: Out) -> Scale:
    """Repeating, shuffling or picking elements keeps the degree."""
    x = lift(x)
    g = spread(x.growth, len(out[0].shape))
    if g.mix and size_of(out[0].shape) < size_of(x.shape):
        g = replace(g, attained=False)
    return blurred_to(derived(x, g, x.span, slope=g.slope), out)


@TABLE.law("aten.tril", "aten.triu", "aten.diag", "aten.diag_embed", "aten.im2col")
def masked(x: Arg, *_: Arg, out: Out) -> Scale:
    """Elements beside zeros keep the degree."""
    x = lift(x)
    g = spread(x.growth, len(out[0].shape))
    if g.depends:
        g = replace(g, attained=g.attained and not g.mix, sparse=growth.fresh_pattern())
    return blurred_to(derived(x, g, x.span.hull(intervals.point(0.0))), out)


@TABLE.law("aten.col2im", "aten.embedding_dense_backward", "aten.segment_reduce",
           "aten.upsample_bicubic2d")  # fmt: skip
def collected(x: Arg, *_: Arg, out: Out) -> Scale:
    """Weighted sums of elements keep the degree."""
    x = lift(x)
    g = spread(growth.blend(x.growth), len(out[0].shape))
    return blurred_to(derived(x, replace(g, attained=g.attained and not g.mix)), out)


@TABLE.law("aten.grid_sampler_2d")
def sampled(x: Arg, grid: Arg, *_: Arg, out: Out) -> Scale:
    """Values looked up at places: of the degree of the values, until the places leave the map."""
    kept = collected(x, out=out)
    places = lift(grid)
    if not places.depends:
        return kept
    g = kept.growth
    if places.growth.hi <= ZERO and not places.growth.sparse and places.growth.lo == ZERO:
        g = replace(g, depends=True, precision=max(g.precision, places.growth.precision))
    else:  # outside the map there are zeros, or its edge
        g = replace(
            g,
            lo=VANISHING,
            depends=True,
            attained=False,
            precision=Precision.SATURATING,
            sparse=growth.fresh_pattern(),
        )
    span = lift(x).span.hull(intervals.point(0.0))
    return blurred_to(algebra.joined(kept, places, derived(kept, g, span)), out)


@TABLE.law("aten.upsample_nearest2d", "aten.upsample_bilinear2d", "aten.upsample_nearest1d",
           "aten.upsample_linear1d", "aten.avg_pool2d", "aten.avg_pool1d",
           "aten.adaptive_avg_pool2d", "aten._adaptive_avg_pool2d", "aten.adaptive_avg_pool1d",
           "aten.avg_pool3d", "aten.reflection_pad1d", "aten.reflection_pad2d",
           "aten.replication_pad2d", "aten.replication_pad1d", "aten.upsample_nearest3d",
           "aten.upsample_trilinear3d")  # fmt: skip
def resampled(x: Arg, *_: Arg, out: Out) -> Scale:
    """Pooling by averages and interpolation keep the degree, and stay within the range."""
    x = lift(x)
    g = spread(growth.blend(x.growth), len(out[0].shape))
    if g.mix and size_of(out[0].shape) < size_of(x.shape):
        g = replace(g, attained=False)
    return blurred_to(derived(x, g, x.span.hull(intervals.point(0.0))), out)


@TABLE.law("aten.max_pool2d_with_indices", "aten.max_pool2d", "aten.max_pool1d", "aten.max_pool3d",
           "aten.adaptive_max_pool2d", "aten.max_pool3d_with_indices", "aten.max_pool1d_with_indices")  # fmt: skip
def max_pooled(x: Arg, *_: Arg) -> tuple[Scale, Scale]:
    """Pooling by maxima keeps the degree; the places of the maxima are invariant."""
    x = lift(x)
    g = reordered(x.growth)
    return blurred(derived(x, g, x.span, slope=g.slope)), blurred(index_of(x))


@TABLE.law("aten.constant_pad_nd")
def pad(x: Arg, widths: Arg, value: Arg = 0.0) -> Scale:
    """Padding puts constants beside the elements."""
    x, filler = lift(x), lift(value)
    result = algebra.mixture(x, filler)
    g = in_places(result.growth, len(x.shape)) if filler.is_zero else result.growth
    return blurred(derived(result, g, x.span.hull(filler.span)))


def in_places(g: Growth, rank: int) -> Growth:
    """A value that stands in some places of many: a part may hold nothing of it."""
    return replace(g, mix=frozenset(range(-rank, 0)))


@TABLE.law("aten.pad")
def pad_in_mode(x: Arg, widths: Arg, mode: Arg = "constant", value: Arg = None) -> Scale:
    """Padding puts constants, or copies of elements, beside the elements."""
    filler: Arg = 0.0 if value is None or mode != "constant" else value
    return pad(x, widths, filler)


@TABLE.law("aten.meshgrid", "aten.broadcast_tensors")
def meshed(values: Arg, *_: Arg) -> tuple[Scale, ...]:
    """Broadcasting repeats elements."""
    assert isinstance(values, tuple)
    return tuple(blurred(lift(v)) for v in values)


def size_of(shape: tuple[int, ...]) -> int:
    """Number of elements of a shape."""
    return math.prod(shape)


def flat(arguments: tuple[Arg, ...]) -> list[Arg]:
    """Return arguments with nested lists opened."""
    opened: list[Arg] = []
    for argument in arguments:
        opened.extend(flat(argument) if isinstance(argument, tuple) else [argument])
    return opened
