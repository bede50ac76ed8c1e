"""Laws of views, copies, selections, concatenations and writes."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from scaleaudit.domain.graph import TensorMeta
from scaleaudit.domain.scale import (
    CONSTANT,
    REALS,
    VANISHING,
    ZERO,
    Atom,
    Form,
    Growth,
    Interval,
    Layout,
    LayoutStep,
    Poly,
    Precision,
    Scale,
    Support,
)
from scaleaudit.scale import algebra, forms, growth, intervals
from scaleaudit.scale.algebra import Arg, derived, lift
from scaleaudit.scale.laws.arithmetic import choice
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
    if not x.depends:
        return replace(x, given=None, size=None)

    def view(atom: Atom) -> Atom:
        return atom.viewed(composed(atom.layout, step))

    return replace(x, given=forms.map_atoms(x.form, view), size=None)


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
    return (*layout, step)


@TABLE.law("aten.view.default", "aten._unsafe_view", "aten.reshape", "aten.unsqueeze",
           "aten.squeeze", "aten.flatten", "aten.unflatten", "aten._reshape_alias",
           "aten.view_copy", "aten.atleast_1d")  # fmt: skip
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


def _groups(before: tuple[int, ...], after: tuple[int, ...]) -> dict[int, int]:
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
    pairs = _groups(before, after)
    moved = {pairs.get(d + len(before)) for d in mix}
    if None in moved:
        return frozenset(range(-len(after), 0)) or frozenset({-1})
    return frozenset(d - len(after) for d in moved if d is not None)


def _reshaped(
    support: Support | None, before: tuple[int, ...], after: tuple[int, ...]
) -> Support | None:
    if support is None:
        return None
    pairs = _groups(before, after)
    axes: list[int | None] = [None] * len(after)
    for old, new in pairs.items():
        if old < len(support.axes):
            axes[new] = support.axes[old]
    kept = {axis for axis in axes if axis is not None}
    lost = any(axis is not None and axis not in kept for axis in support.axes)
    return replace(support, axes=tuple(axes), blurred=support.blurred or lost)


@TABLE.law("aten.permute", "aten.transpose", "aten.t", "aten.swapaxes", "aten.movedim", "aten.mT",
           "aten.numpy_T", "aten.adjoint", "aten.permute_copy", "aten.t_copy",
           "aten.transpose_copy", "aten.transpose_", "aten.t_", "aten.swapaxes_")  # fmt: skip
def permute(x: Arg, *dims: Arg, out: Out) -> Scale:
    """A transposition keeps every element, elsewhere."""
    x = lift(x)
    rank = len(x.shape)
    order = _order(dims, rank)
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


def _order(dims: tuple[Arg, ...], rank: int) -> tuple[int, ...]:
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
    numbers = tuple(place for place in _flat(places) if isinstance(place, int))
    result = rearranged(x, (kind, numbers, x.shape, out[0].shape))
    return blurred_to(replace(result, growth=spread(x.growth, len(out[0].shape))), out)


@TABLE.law("aten.repeat", "aten.repeat_interleave", "aten.tile", "aten.unfold", "aten.as_strided",
           "aten.diagonal", "aten.pixel_shuffle", "aten.pixel_unshuffle", "aten.channel_shuffle",
           "aten.rot90", "aten.native_channel_shuffle")  # fmt: skip
def moved(x: Arg, *_: Arg, out: Out) -> Scale:
    """Repeating, shuffling or picking elements keeps the degree."""
    x = lift(x)
    g = spread(x.growth, len(out[0].shape))
    if g.mix and _size(out[0].shape) < _size(x.shape):
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
           "aten.upsample_bicubic2d", "aten.grid_sampler_2d")  # fmt: skip
def collected(x: Arg, *_: Arg, out: Out) -> Scale:
    """Weighted sums of elements keep the degree."""
    x = lift(x)
    g = spread(growth.blend(x.growth), len(out[0].shape))
    return blurred_to(derived(x, replace(g, attained=g.attained and not g.mix)), out)


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
    if g.mix and _size(out[0].shape) < _size(x.shape):
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
    g = _in_places(result.growth, len(x.shape)) if filler.is_zero else result.growth
    return blurred(derived(result, g, x.span.hull(filler.span)))


def _in_places(g: Growth, rank: int) -> Growth:
    """A value that stands in some places of many: a part may hold nothing of it."""
    return replace(g, mix=frozenset(range(-rank, 0)))


@TABLE.law("aten.pad")
def pad_in_mode(x: Arg, widths: Arg, mode: Arg = "constant", value: Arg = None) -> Scale:
    """Padding puts constants, or copies of elements, beside the elements."""
    filler: Arg = 0.0 if value is None or mode != "constant" else value
    return pad(x, widths, filler)


# Selections.


def _pick(support: Support | None, dim: int, chosen: list[int], *, drop: bool) -> Support | None:
    """Restrict a support to the chosen indices of one dim of the value."""
    if support is None:
        return None
    axes = list(support.axes)
    axis = axes[dim] if dim < len(axes) else None
    reads, exact = list(support.reads), support.exact
    if axis is not None:
        present = [i for i in range(reads[axis].bit_length()) if reads[axis] >> i & 1]
        reads[axis] = sum(1 << present[i] for i in chosen if i < len(present))
    elif support.blurred:
        exact = False
    if drop and dim < len(axes):
        del axes[dim]
    return Support(tuple(axes), tuple(reads), exact, support.blurred)


def _chosen(
    x: Scale, dim: int, start: int, stop: int, step: int, shape: tuple[int, ...], *, drop: bool
) -> Scale:
    """Return the elements start:stop:step of one dim."""
    size = x.shape[dim] if x.shape else 1
    indices = list(range(size))[start:stop:step]
    if len(indices) == size and not drop:
        return x
    layout: LayoutStep = ("slice", (dim, start, stop, step, int(drop)), x.shape, shape)
    result = rearranged(x, layout)
    g = result.growth
    if g.mix and (dim - len(x.shape)) in g.mix:
        g = replace(g, attained=False)
    elif g.mix and drop:
        g = replace(g, mix=frozenset(d + (d < dim - len(x.shape)) for d in g.mix))
    return replace(result, growth=g, support=_pick(x.support, dim, indices, drop=drop))


@TABLE.law("aten.narrow")
def narrowed(x: Arg, dim: Arg, start: Arg, length: Arg, *, out: Out) -> Scale:
    """A slice of some length reads a part of the positions."""
    return sliced(x, dim, start, _int(start, 0) + _int(length, 0), out=out)


@TABLE.law("aten.slice", "aten.slice_copy")
def sliced(
    x: Arg, dim: Arg = 0, start: Arg = None, stop: Arg = None, step: Arg = 1, *, out: Out
) -> Scale:
    """A slice reads a part of the positions."""
    x = lift(x)
    axis = _int(dim, 0) % max(len(x.shape), 1)
    size = x.shape[axis]
    first = min(max(_from_end(_int(start, 0), size), 0), size)
    last = min(max(_from_end(_int(stop, size), size), 0), size)
    return _chosen(x, axis, first, last, _int(step, 1), out[0].shape, drop=False)


def _int(value: Arg, default: int) -> int:
    return int(value) if isinstance(value, (int, float)) else default


def _from_end(index: int, size: int) -> int:
    return index + size if index < 0 else index


@TABLE.law("aten.select", "aten.select_copy")
def select(x: Arg, dim: Arg, index: Arg, *, out: Out) -> Scale:
    """One index of a dim reads that position alone."""
    x = lift(x)
    axis = _int(dim, 0) % max(len(x.shape), 1)
    first = _from_end(_int(index, 0), x.shape[axis])
    return _chosen(x, axis, first, first + 1, 1, out[0].shape, drop=True)


@TABLE.law("aten.split", "aten.split_with_sizes", "aten.chunk", "aten.unsafe_split",
           "aten.unsafe_chunk", "aten.split_with_sizes_copy", "aten.tensor_split",
           "aten.split_copy")  # fmt: skip
def split(x: Arg, sizes: Arg, dim: Arg = 0, *, out: Out) -> tuple[Scale, ...]:
    """Every piece of a split reads its own part."""
    x = lift(x)
    axis = _int(dim, 0) % max(len(x.shape), 1)
    pieces, start = [], 0
    for meta in out:
        stop = start + meta.shape[axis]
        pieces.append(_chosen(x, axis, start, stop, 1, meta.shape, drop=False))
        start = stop
    return tuple(pieces)


@TABLE.law("aten.unbind", "aten.unbind_copy")
def unbind(x: Arg, dim: Arg = 0, *, out: Out) -> tuple[Scale, ...]:
    """Every piece reads one index of the dim."""
    x = lift(x)
    axis = _int(dim, 0) % max(len(x.shape), 1)
    return tuple(_chosen(x, axis, i, i + 1, 1, meta.shape, drop=True) for i, meta in enumerate(out))


@TABLE.law("aten.index_select", "aten.gather", "aten.take_along_dim", "aten.take", "aten.index",
           "aten._unsafe_index", "aten.masked_select")  # fmt: skip
def gathered(x: Arg, *arguments: Arg, out: Out) -> Scale:
    """Picking elements by an index keeps their degree; which ones is not known."""
    x = lift(x)
    scales = [lift(a) for a in _flat(arguments) if isinstance(a, Scale)]
    rank = len(out[0].shape)
    g = x.growth
    if g.mix:
        g = replace(spread(g, rank), attained=False)
    form = rearranged(x, _picking(arguments, x.shape, out[0].shape)).given
    result = replace(derived(x, g, x.span, slope=g.slope), given=form)
    for index in scales:
        if index.depends:
            g = growth.multiply(result.growth, replace(index.growth, sparse=frozenset()))
            result = algebra.joined(result, index, replace(result, growth=g))
    support = result.support
    if support is not None:
        fewer = _size(out[0].shape) < _size(x.shape)
        axes: tuple[int | None, ...] = (None,) * len(out[0].shape)
        support = Support(axes, support.reads, support.exact and not fewer, blurred=True)
    return replace(result, support=support)


def _picking(
    arguments: tuple[Arg, ...], before: tuple[int, ...], after: tuple[int, ...]
) -> LayoutStep:
    """The elements at an index as an arrangement: the same index picks the same elements."""
    places = (id(a) if isinstance(a, Scale) else a for a in _flat(arguments))
    numbers = tuple(p for p in places if isinstance(p, int) and not isinstance(p, bool))
    return "index", numbers, before, after


def _size(shape: tuple[int, ...]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total


def _flat(arguments: tuple[Arg, ...]) -> list[Arg]:
    flat: list[Arg] = []
    for argument in arguments:
        flat.extend(_flat(argument) if isinstance(argument, tuple) else [argument])
    return flat


# Concatenations and writes.


@TABLE.law("aten.cat", "aten.concat")
def cat(values: Arg, dim: Arg = 0, *, out: Out) -> Scale:
    """Concatenation puts values side by side along one dim."""
    assert isinstance(values, tuple)
    pieces = [lift(v) for v in values if not (isinstance(v, Scale) and v.shape == (0,))]
    rank = len(out[0].shape)
    axis = _int(dim, 0) % max(rank, 1)
    result = algebra.mixture(*pieces, dims=frozenset({axis - rank}))
    whole = _reassembled(pieces, axis, out[0].shape)
    result = replace(result, given=whole or None)
    if result.support is None:
        return result
    return replace(result, support=_stacked_support(pieces, axis, result.support))


def _stacked_support(pieces: list[Scale], axis: int, merged: Support) -> Support:
    """Pieces along an axis of the state read the union; other axes stay if all agree."""
    supports = [piece.support for piece in pieces if piece.support is not None]
    axes = list(merged.axes)
    for i in range(len(axes)):
        same_axis = {s.axes[i] if i < len(s.axes) else None for s in supports}
        only = next(iter(same_axis)) if len(same_axis) == 1 else None
        full = only is not None and len({s.reads[only] for s in supports}) == 1
        axes[i] = only if full and i != axis else None
    if axis < len(axes) and len(supports) == len(pieces):
        first = supports[0].axes[axis]
        same = first is not None and all(s.axes[axis] == first for s in supports)
        if first is not None and same and _ascending([s.reads[first] for s in supports]):
            axes[axis] = first
    return replace(merged, axes=tuple(axes))


def _ascending(masks: list[int]) -> bool:
    """Whether every mask reads only indices beyond those of the one before."""
    return all(a.bit_length() < (b & -b).bit_length() for a, b in pairwise(masks))


def _reassembled(pieces: list[Scale], axis: int, shape: tuple[int, ...]) -> Form | None:
    """Where every piece holds its own slice of one atom, the whole holds the atom."""
    if not any(piece.depends for piece in pieces) or any(piece.opaque for piece in pieces):
        return None
    held: list[dict[Atom, tuple[Atom, Poly]]] = []
    start = 0
    for piece in pieces:
        length = piece.shape[axis] if len(piece.shape) > axis else 1
        found: dict[Atom, tuple[Atom, Poly]] = {}
        for atom, poly in piece.form.parts.items():
            whole = _whole(atom, axis, start, start + length, shape)
            if whole is not None:
                found[whole] = (atom, poly)
        held.append(found)
        start += length
    common: set[Atom] = set().union(*held)
    if not common:
        return None
    return _joined_form(pieces, held, common)


def _whole(atom: Atom, axis: int, start: int, stop: int, shape: tuple[int, ...]) -> Atom | None:
    """The atom of which this one is the slice start:stop along the axis."""
    if not atom.layout:
        return None
    kind, parameters, before, _ = atom.layout[-1]
    expected = (axis, start, stop, 1, 0)
    if kind != "slice" or parameters != expected or before != shape:
        return None
    return atom.viewed(atom.layout[:-1])


def _joined_form(
    pieces: list[Scale], held: list[dict[Atom, tuple[Atom, Poly]]], common: set[Atom]
) -> Form:
    parts: dict[Atom, Poly] = {}
    for whole in sorted(common, key=id):
        polys = [found[whole][1] if whole in found else Poly() for found in held]
        parts[whole] = _one_coefficient(polys)
    rest: Scale | None = None
    for piece, found in zip(pieces, held, strict=True):
        taken = {atom for atom, _ in found.values()}
        remaining = {a: p for a, p in piece.form.parts.items() if a not in taken}
        left = algebra.from_form(Form(remaining, piece.form.rest))
        left = replace(left, shape=piece.shape)
        rest = left if rest is None else algebra.mixture(rest, left)
    assert rest is not None
    other = replace(rest, given=None).form
    return Form({**parts, **other.parts}, other.rest)


def _one_coefficient(polys: list[Poly]) -> Poly:
    constants = [poly.constant for poly in polys]
    if all(c is not None and c == constants[0] for c in constants):
        return polys[0]
    if all(dict(poly.terms) == dict(polys[0].terms) for poly in polys):
        return polys[0]
    span = forms.poly_span(polys[0])
    for poly in polys[1:]:
        span = span.hull(forms.poly_span(poly))
    depends = any(atom.growth.depends for poly in polys for atom in poly.atoms())
    learned = any(atom.learned for poly in polys for atom in poly.atoms())
    return Poly({(Atom(Growth() if depends else CONSTANT, span, learned=learned),): 1.0})


@TABLE.law("aten.stack", "aten.hstack", "aten.vstack", "aten.dstack")
def stack(values: Arg, dim: Arg = 0, *, out: Out) -> Scale:
    """Stacking puts values side by side along a new dim."""
    assert isinstance(values, tuple)
    pieces = [lift(v) for v in values]
    rank = len(out[0].shape)
    axis = _int(dim, 0) % max(rank, 1)
    result = algebra.mixture(*pieces, dims=frozenset({axis - rank}))
    result = replace(result, given=None)
    if result.support is None:
        return result
    axes = list(result.support.axes)
    axes.insert(axis, None)
    return replace(result, support=replace(result.support, axes=tuple(axes)))


@TABLE.law("scaleaudit.write_view")
def write_view(base: Arg, value: Arg, steps: Arg = (), *_: Arg) -> Scale:
    """A write through a view replaces a part of the base and leaves the rest."""
    base, value = lift(base), lift(value)
    if _size(value.shape) == _size(base.shape):
        return blurred(derived(value, value.growth, value.span))
    if base.is_zero and not value.opaque:
        g = _in_places(algebra.mixture(value, base).growth, len(base.shape))
        return blurred(derived(value, g, value.span.hull(base.span)))
    mask = algebra.independent(Interval(0.0, 1.0))
    result = blurred(_over(value, base, mask))
    part = _viewed(base, steps)
    kept = None if part is None else _kept(base, part, value)
    return result if kept is None else replace(result, given=kept)


def _viewed(x: Scale, steps: Arg) -> Scale | None:
    """Follow slices and selections to the part that a write goes to."""
    for step in steps if isinstance(steps, tuple) else ():
        if not isinstance(step, tuple) or not isinstance(step[1], tuple):
            return None
        drop = str(step[0]).startswith("aten.select")
        if not drop and not str(step[0]).startswith("aten.slice"):
            return None
        dim, start, stop, by, *_ = (*step[1], *(None,) * 4)
        axis = _int(dim, 0) % max(len(x.shape), 1)
        size = x.shape[axis]
        first = _from_end(_int(start, 0), size)
        last = first + 1 if drop else min(_from_end(_int(stop, size), size), size)
        stride = 1 if drop else _int(by, 1)
        length = () if drop else (len(range(first, last, stride)),)
        shape = (*x.shape[:axis], *length, *x.shape[axis + 1 :])
        x = replace(_chosen(x, axis, first, last, stride, shape, drop=drop), shape=shape)
    return x


def _kept(base: Scale, part: Scale, value: Scale) -> Form | None:
    """The form of a base after a write: what was written may hold the very part it replaces."""
    if base.opaque or value.opaque or not base.depends:
        return None
    parts: dict[Atom, Poly] = {}
    taken: set[Atom] = set()
    pairs = zip(base.form.parts.items(), part.form.parts, strict=True)
    for (whole, coefficient), piece in pairs:
        parts[whole] = _one_coefficient([coefficient, value.form.parts.get(piece, Poly())])
        taken.add(piece)
    remaining = {atom: poly for atom, poly in value.form.parts.items() if atom not in taken}
    written = replace(algebra.from_form(Form(remaining, value.form.rest)), shape=value.shape)
    untouched = replace(algebra.from_form(Form({}, base.form.rest)), shape=base.shape)
    other = replace(algebra.mixture(written, untouched), given=None).form
    return Form({**parts, **other.parts}, other.rest)


@TABLE.law("aten.slice_scatter", "aten.select_scatter", "aten.index_put", "aten.scatter",
           "aten.index_copy", "aten.index_fill", "aten._index_put_impl", "aten.diagonal_scatter",
           "aten.as_strided_scatter", "aten._unsafe_index_put")  # fmt: skip
def scattered(x: Arg, *arguments: Arg) -> Scale:
    """Scattering puts new elements beside the old ones."""
    x, value = lift(x), _written(arguments)
    if arguments[-1] is True:
        return _added_in_places(x, value, Precision.EXACT)
    result = blurred(_over(value, x, algebra.independent(Interval(0.0, 1.0))))
    if len(arguments) < 2 or not x.depends or x.opaque:
        return result
    # index_put(x, indices, values), scatter(x, dim, index, values): what was there before.
    step = _picking(arguments[: 1 if isinstance(arguments[0], tuple) else 2], x.shape, value.shape)
    kept = _kept(x, rearranged(x, step), value)
    return result if kept is None else replace(result, given=kept)


def _over(value: Scale, base: Scale, mask: Scale) -> Scale:
    """Return the base with a part of it replaced, which may be all that was not 0 in it."""
    result = choice(mask, value, base)
    g = result.growth
    if base.growth.sparse and base.growth.hi > value.growth.hi:
        return replace(result, growth=replace(g, attained=False))
    return result


def _written(arguments: tuple[Arg, ...]) -> Scale:
    """The value that a scatter writes: its last operand, or the number that follows the indices."""
    values = [a for a in arguments if isinstance(a, (Scale, float))]
    return lift(values[-1]) if values else algebra.independent()


@TABLE.law("aten.scatter_add", "aten.index_add")
def scatter_added(x: Arg, dim: Arg, index: Arg, source: Arg, *_: Arg) -> Scale:
    """Adding at some indices: there the degree of the sum, elsewhere the old one."""
    return _added_in_places(lift(x), lift(source), Precision.EXACT)


def _added_in_places(x: Scale, source: Scale, least: Precision) -> Scale:
    total = growth.add(x.growth, source.growth)
    total = replace(growth.limit(total, least), slope=None)
    if total.depends:
        total = replace(total, lo=min(x.growth.lo, total.lo), sparse=x.growth.sparse)
    if total.depends and total.lo < total.hi:
        total = growth.limit(total, Precision.ASYMPTOTIC)
    form = None
    if not (x.opaque or source.opaque):
        form, _ = forms.add(x.form, Scale(source.growth, learned=source.learned).form)
    return blurred(algebra.joined(x, source, Scale(total, shape=x.shape, given=form)))


@TABLE.law("aten.scatter_reduce")
def scatter_reduced(x: Arg, dim: Arg, index: Arg, source: Arg, reduce: Arg, *_: Arg) -> Scale:
    """Sums, means and extremes at some indices have a degree of their parts, products the sum."""
    x, source = lift(x), lift(source)
    if reduce != "prod":
        loose = x.growth.hi != source.growth.hi
        least = Precision.ASYMPTOTIC if loose else Precision.EXACT
        total = replace(_added_in_places(x, source, least), given=None)
        lo = min(x.growth.lo, source.growth.lo)
        return replace(total, growth=replace(total.growth, lo=lo)) if total.depends else total
    product = growth.multiply(x.growth, source.growth)
    ends = (x.growth.lo, x.growth.hi, product.lo, product.hi)
    attained = product.attained if product.hi >= x.growth.hi else x.growth.attained
    g = replace(product, lo=min(ends), hi=max(ends), attained=attained)
    if g.depends and g.lo < g.hi:
        g = growth.limit(g, Precision.ASYMPTOTIC)
    return blurred(algebra.joined(x, source, Scale(g, shape=x.shape)))


@TABLE.law("aten.meshgrid", "aten.broadcast_tensors")
def meshed(values: Arg, *_: Arg) -> tuple[Scale, ...]:
    """Broadcasting repeats elements."""
    assert isinstance(values, tuple)
    return tuple(blurred(lift(v)) for v in values)
