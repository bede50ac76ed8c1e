"""Laws of concatenations and of writes into a part of a value."""

from __future__ import annotations

from itertools import pairwise

from scaleaudit.domain.graph import TensorMeta
from scaleaudit.domain.scale import (
    CONSTANT,
    REALS,
    Atom,
    AxisOf,
    Form,
    Growth,
    Interval,
    Poly,
    Precision,
    Scale,
    Support,
)
from scaleaudit.scale import algebra, forms, growth
from scaleaudit.scale.algebra import Arg, derived, lift, untold
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.arithmetic import STEP, choice
from scaleaudit.scale.laws.picking import from_end, integer, part_of, picked, picking
from scaleaudit.scale.laws.reductions import blurred
from scaleaudit.scale.laws.shapes import flat, in_places, rearranged, size_of
from scaleaudit.scale.laws.table import LawTable

TABLE = LawTable()
Out = tuple[TensorMeta, ...]


@TABLE.law("aten.cat", "aten.concat")
def cat(values: Arg, dim: Arg = 0, *, out: Out) -> Scale:
    """Concatenation puts values side by side along one dim."""
    assert isinstance(values, tuple)
    pieces = [lift(v) for v in values if not (isinstance(v, Scale) and v.shape == (0,))]
    rank = len(out[0].shape)
    axis = integer(dim, 0) % max(rank, 1)
    result = algebra.mixture(*pieces, dims=frozenset({axis - rank}))
    whole = _reassembled(pieces, axis, out[0].shape) or _placed_beside(pieces, axis, out[0].shape)
    result = replace(result, given=whole or None, pieces=tuple(pieces))
    if result.support is None:
        return result
    return replace(result, support=_stacked_support(pieces, axis, result.support))


def _stacked_support(pieces: list[Scale], axis: int, merged: Support) -> Support:
    """Pieces along an axis of the state read the union; other axes stay if all agree."""
    supports = [piece.support for piece in pieces if piece.support is not None]
    axes: list[AxisOf] = [None] * len(merged.axes)
    for i in range(len(axes)):
        found = {s.axes[i] if i < len(s.axes) else None for s in supports}
        if i != axis and len(found) == 1 and _same_reads(supports, next(iter(found))):
            axes[i] = next(iter(found))
    along = {s.axes[axis] if axis < len(s.axes) else None for s in supports}
    first = next(iter(along))
    complete = len(along) == 1 and len(supports) == len(pieces)
    if complete and isinstance(first, int) and _ascending([s.reads[first] for s in supports]):
        axes[axis] = first
    lost = axes[axis] is None and along != {None}
    return replace(merged, axes=tuple(axes), blurred=merged.blurred or lost)


def _same_reads(supports: list[Support], axis: AxisOf) -> bool:
    """Whether all read the same of an axis, or of every axis that a view made one with it."""
    several = [axis] if isinstance(axis, int) else [a for a, _ in axis or () if a is not None]
    return all(len({s.reads[a] for s in supports}) == 1 for a in several)


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


def _placed_beside(pieces: list[Scale], axis: int, shape: tuple[int, ...]) -> Form | None:
    """Pieces that hold states of their own keep them, each in its place of the whole."""
    moving = [piece for piece in pieces if piece.depends]
    if any(piece.opaque for piece in pieces) or not _of_their_own(moving):
        return None
    parts: dict[Atom, Poly] = {}
    rests: list[Scale] = []
    start = 0
    for piece in pieces:
        stop = start + piece.shape[axis]
        held = rearranged(piece, ("place", (axis, start, stop), piece.shape, shape)).form
        parts.update(held.parts)
        rests.append(replace(algebra.from_form(Form({}, piece.form.rest)), shape=piece.shape))
        start = stop
    beside = replace(algebra.mixture(*rests), given=None).form
    return Form(parts, beside.rest)


def _of_their_own(pieces: list[Scale]) -> bool:
    """Whether every piece holds states, and none of another's."""
    held = [[atom for atom in piece.form.parts if atom.state is not None] for piece in pieces]
    states = [{atom.state for atom in found} for found in held]
    return (
        bool(states)
        and all(states)
        and all(len(found) == len(p.form.parts) for found, p in zip(held, pieces, strict=True))
        and len(set().union(*states)) == sum(map(len, states))
    )


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
    for whole in sorted(common, key=forms.SERIAL):
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
    mixings = forms.mixings_of(polys)
    if len(mixings) > 1:
        span = REALS
    mixes = next(iter(mixings), None)
    g = Growth() if depends else CONSTANT
    return Poly({(Atom(g, span, learned=learned, mixes=mixes),): 1.0})


@TABLE.law("aten.stack", "aten.hstack", "aten.vstack", "aten.dstack")
def stack(values: Arg, dim: Arg = 0, *, out: Out) -> Scale:
    """Stacking puts values side by side along a new dim."""
    assert isinstance(values, tuple)
    pieces = [lift(v) for v in values]
    rank = len(out[0].shape)
    axis = integer(dim, 0) % max(rank, 1)
    result = algebra.mixture(*pieces, dims=frozenset({axis - rank}))
    result = replace(result, given=None, pieces=tuple(pieces))
    if result.support is None:
        return result
    axes = list(result.support.axes)
    axes.insert(axis, None)
    return replace(result, support=replace(result.support, axes=tuple(axes)))


@TABLE.law("scaleaudit.write_view")
def write_view(base: Arg, value: Arg, steps: Arg = (), *_: Arg) -> Scale:
    """A write through a view replaces a part of the base and leaves the rest."""
    base, value = lift(base), lift(value)
    if size_of(value.shape) == size_of(base.shape):
        return blurred(derived(value, value.growth, value.span))
    if base.is_zero and not value.opaque:
        g = in_places(algebra.mixture(value, base).growth, len(base.shape))
        return blurred(derived(value, g, value.span.hull(base.span)))
    mask = algebra.independent(Interval(0.0, 1.0))
    result = blurred(_over(value, base, mask))
    part = _viewed(base, steps)
    kept = None if part is None else _kept(base, part, value)
    left = replace(base, support=_left(base, steps))
    return replace(result, given=kept or result.given, pieces=(left, value))


def _viewed(x: Scale, steps: Arg) -> Scale | None:
    """Follow slices and selections to the part that a write goes to."""
    for step in steps if isinstance(steps, tuple) else ():
        found = _places(step, x.shape)
        if found is None:
            return None
        axis, places, drop = found
        length = () if drop else (len(places),)
        shape = (*x.shape[:axis], *length, *x.shape[axis + 1 :])
        cut = (places.start, places.stop, places.step)
        x = replace(part_of(x, axis, *cut, shape, drop=drop), shape=shape)
    return x


def _places(step: Arg, shape: tuple[int, ...]) -> tuple[int, range, bool] | None:
    """The dim and the places that a slice or a selection takes, and whether it drops the dim."""
    if not isinstance(step, tuple) or not isinstance(step[1], tuple):
        return None
    drop = str(step[0]).startswith("aten.select")
    if not drop and not str(step[0]).startswith("aten.slice"):
        return None
    dim, start, stop, by, *_ = (*step[1], *(None,) * 4)
    axis = integer(dim, 0) % max(len(shape), 1)
    size = shape[axis]
    first = from_end(integer(start, 0), size)
    last = first + 1 if drop else min(from_end(integer(stop, size), size), size)
    return axis, range(first, last, 1 if drop else integer(by, 1)), drop


def written_places(steps: Arg, shape: tuple[int, ...]) -> list[tuple[int, range]] | None:
    """Return the dims of a value, and the places there, that slices and selections lead to.

    Dims that are taken in full are left out; None where the places cannot be told.
    """
    dims = list(range(len(shape)))
    found: list[tuple[int, range]] = []
    for step in steps if isinstance(steps, tuple) else ():
        taken = _places(step, shape)
        if taken is None:
            return None
        axis, places, drop = taken
        if len(places) < shape[axis] or drop:
            found.append((dims[axis], places))
        if drop:
            del dims[axis]
        shape = (*shape[:axis], *(() if drop else (len(places),)), *shape[axis + 1 :])
    return found


def _left(base: Scale, steps: Arg) -> Support | None:
    """What is still read of a base after a write, where that goes to places of one dim."""
    written = written_places(steps, base.shape)
    if written is None or len(written) != 1:
        return untold(base.support)
    ((dim, taken),) = written
    others = [index for index in range(base.shape[dim]) if index not in taken]
    return picked(base.support, dim, others, drop=False)


def _kept(base: Scale, part: Scale, value: Scale) -> Form | None:
    """The form of a base after a write: what was written may hold the very part it replaces."""
    if base.opaque or value.opaque or not base.depends:
        return None
    if len(base.form.parts) != len(part.form.parts):
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
    x, (indices, value) = lift(x), _written(arguments)
    if arguments[-1] is True:
        return _added_in_places(x, _placed(value, indices), Precision.EXACT)
    result = blurred(_over(value, x, _mask_of(indices)))
    if len(arguments) < 2 or not x.depends or x.opaque:
        return result
    # index_put(x, indices, values), scatter(x, dim, index, values): what was there before.
    step = picking(arguments[: 1 if isinstance(arguments[0], tuple) else 2], x.shape, value.shape)
    kept = _kept(x, rearranged(x, step), value)
    return result if kept is None else replace(result, given=kept)


@TABLE.law("aten.masked_scatter")
def masked_scattered(x: Arg, mask: Arg, source: Arg) -> Scale:
    """Elements of one value, in order, in the places that a mask leaves open in another."""
    x, mask, source = lift(x), lift(mask), lift(source)
    result = blurred(choice(mask, source, x))
    if not x.depends or result.opaque:
        return result
    row = (size_of(source.shape),)
    part = rearranged(x, picking((mask,), x.shape, row))
    kept = _kept(x, part, rearranged(source, ("view", (), source.shape, row)))
    return result if kept is None else replace(result, given=kept)


def _over(value: Scale, base: Scale, mask: Scale) -> Scale:
    """Return the base with a part of it replaced, which may be all that was not 0, or grew, in it."""
    result = choice(mask, value, base)
    g = result.growth
    may_be_all = not base.growth.is_pure or size_of(value.shape) >= size_of(base.shape)
    grows_as_much = value.growth.attained and value.growth.hi >= base.growth.hi
    if may_be_all and not grows_as_much:
        return replace(result, growth=replace(g, attained=False))
    return result


def _written(arguments: tuple[Arg, ...]) -> tuple[list[Scale], Scale]:
    """The indices of a scatter, where values tell them, and the value or number that it writes."""
    first = arguments[0]
    if isinstance(first, Scale):  # slice_scatter(x, value, dim, start, stop, step)
        return [], first
    named, value = arguments[:2] if isinstance(first, tuple) else arguments[1:3]
    return [a for a in flat((named,)) if isinstance(a, Scale)], lift(value)


def _mask_of(indices: list[Scale]) -> Scale:
    """The places that indices name, as a mask: it is as invariant as they are."""
    mask = algebra.independent(STEP)
    for index in indices:
        if index.depends or index.opaque:
            both = Growth(precision=max(mask.growth.precision, index.growth.precision))
            mask = algebra.joined(mask, index, Scale(both, STEP))
    return mask


def _placed(value: Scale, indices: list[Scale]) -> Scale:
    """A value beside zeros, in places that move with the states if the indices do."""
    mask = _mask_of(indices)
    if not (mask.depends or mask.opaque):
        return value
    placed = choice(mask, value, algebra.number(0.0))
    return replace(placed, given=placed.form, shape=value.shape)


@TABLE.law("aten.scatter_add", "aten.index_add")
def scatter_added(x: Arg, dim: Arg, index: Arg, source: Arg, *_: Arg) -> Scale:
    """Adding at some indices: there the degree of the sum, elsewhere the old one."""
    return _added_in_places(lift(x), _placed(lift(source), [lift(index)]), Precision.EXACT)


def _added_in_places(x: Scale, source: Scale, least: Precision) -> Scale:
    total = growth.add(x.growth, source.growth)
    total = replace(growth.limit(total, least), slope=None)
    if total.depends:
        moved = source.growth.sparse if x.is_zero else frozenset()
        total = replace(total, lo=min(x.growth.lo, total.lo), sparse=x.growth.sparse | moved)
    if total.depends and total.lo < total.hi:
        total = growth.limit(total, Precision.ASYMPTOTIC)
    form = None
    if not (x.opaque or source.opaque):
        form, _ = forms.add(x.form, Scale(source.growth, learned=source.learned).form)
    return blurred(algebra.joined(x, source, Scale(total, shape=x.shape, given=form)))


@TABLE.law("aten.scatter_reduce")
def scatter_reduced(x: Arg, dim: Arg, index: Arg, source: Arg, reduce: Arg, *_: Arg) -> Scale:
    """Sums, means and extremes at some indices have a degree of their parts, products the sum."""
    x, source = lift(x), _placed(lift(source), [lift(index)])
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
