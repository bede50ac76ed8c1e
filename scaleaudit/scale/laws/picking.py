"""Laws of selections: slices, pieces of a split, elements at an index."""

from __future__ import annotations

from scaleaudit.domain.graph import TensorMeta
from scaleaudit.domain.scale import (
    Form,
    Layout,
    LayoutStep,
    Scale,
    Support,
)
from scaleaudit.scale import algebra, growth
from scaleaudit.scale.algebra import Arg, derived, lift
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.shapes import flat, rearranged, size_of, spread
from scaleaudit.scale.laws.table import LawTable

TABLE = LawTable()
Out = tuple[TensorMeta, ...]


def picked(support: Support | None, dim: int, chosen: list[int], *, drop: bool) -> Support | None:
    """Restrict a support to the chosen indices of one dim of the value."""
    if support is None:
        return None
    axes = list(support.axes)
    axis = axes[dim] if dim < len(axes) else None
    reads, exact = list(support.reads), support.exact
    if isinstance(axis, int):
        present = [i for i in range(reads[axis].bit_length()) if reads[axis] >> i & 1]
        reads[axis] = sum(1 << present[i] for i in chosen if i < len(present))
    elif support.blurred or axis is not None:
        exact, axes[dim] = False, None  # a part of axes that were made one is neither
    if drop and dim < len(axes):
        del axes[dim]
    return Support(tuple(axes), tuple(reads), exact, support.blurred)


def part_of(
    x: Scale, dim: int, start: int, stop: int, step: int, shape: tuple[int, ...], *, drop: bool
) -> Scale:
    """Return the elements start:stop:step of one dim."""
    size = x.shape[dim] if x.shape else 1
    indices = list(range(size))[start:stop:step]
    if len(indices) == size and not drop:
        return x
    layout: LayoutStep = ("slice", (dim, start, stop, step, int(drop)), x.shape, shape)
    result = _without_missed(rearranged(x, layout), dim, start, stop)
    g = result.growth
    if g.mix and (dim - len(x.shape)) in g.mix:
        g = replace(g, attained=False)
    elif g.mix and drop:
        g = replace(g, mix=frozenset(d + (d < dim - len(x.shape)) for d in g.mix))
    return replace(result, growth=g, support=picked(x.support, dim, indices, drop=drop))


def _without_missed(x: Scale, dim: int, start: int, stop: int) -> Scale:
    """Drop of a slice what its whole holds in other places."""
    if x.given is None:
        return x
    parts = {a: p for a, p in x.form.parts.items() if not _misses(a.layout, dim, start, stop)}
    if len(parts) == len(x.form.parts):
        return x
    left = algebra.from_form(Form(parts, x.form.rest))
    return replace(x, growth=left.growth, given=left.given)


def _misses(layout: Layout, dim: int, start: int, stop: int) -> bool:
    """Whether the last step slices other places than those that the step before has filled."""
    if len(layout) < 2 or layout[-1][0] != "slice" or layout[-2][0] != "place":
        return False
    along, first, last = layout[-2][1]
    return along == dim and (stop <= first or last <= start)


@TABLE.law("aten.narrow")
def narrowed(x: Arg, dim: Arg, start: Arg, length: Arg, *, out: Out) -> Scale:
    """A slice of some length reads a part of the positions."""
    return sliced(x, dim, start, integer(start, 0) + integer(length, 0), out=out)


@TABLE.law("aten.slice", "aten.slice_copy")
def sliced(
    x: Arg, dim: Arg = 0, start: Arg = None, stop: Arg = None, step: Arg = 1, *, out: Out
) -> Scale:
    """A slice reads a part of the positions."""
    x = lift(x)
    axis = integer(dim, 0) % max(len(x.shape), 1)
    size = x.shape[axis]
    first = min(max(from_end(integer(start, 0), size), 0), size)
    last = min(max(from_end(integer(stop, size), size), 0), size)
    return part_of(x, axis, first, last, integer(step, 1), out[0].shape, drop=False)


def integer(value: Arg, default: int) -> int:
    """Return a number of the program, or the default where there is none."""
    return int(value) if isinstance(value, (int, float)) else default


def from_end(index: int, size: int) -> int:
    """Return an index from the start; negative ones count from the end."""
    return index + size if index < 0 else index


@TABLE.law("aten.select", "aten.select_copy")
def select(x: Arg, dim: Arg, index: Arg, *, out: Out) -> Scale:
    """One index of a dim reads that position alone."""
    x = lift(x)
    axis = integer(dim, 0) % max(len(x.shape), 1)
    first = from_end(integer(index, 0), x.shape[axis])
    return part_of(x, axis, first, first + 1, 1, out[0].shape, drop=True)


@TABLE.law("aten.split", "aten.split_with_sizes", "aten.chunk", "aten.unsafe_split",
           "aten.unsafe_chunk", "aten.split_with_sizes_copy", "aten.tensor_split",
           "aten.split_copy")  # fmt: skip
def split(x: Arg, sizes: Arg, dim: Arg = 0, *, out: Out) -> tuple[Scale, ...]:
    """Every piece of a split reads its own part."""
    x = lift(x)
    axis = integer(dim, 0) % max(len(x.shape), 1)
    pieces, start = [], 0
    for meta in out:
        stop = start + meta.shape[axis]
        pieces.append(part_of(x, axis, start, stop, 1, meta.shape, drop=False))
        start = stop
    return tuple(pieces)


@TABLE.law("aten.unbind", "aten.unbind_copy")
def unbind(x: Arg, dim: Arg = 0, *, out: Out) -> tuple[Scale, ...]:
    """Every piece reads one index of the dim."""
    x = lift(x)
    axis = integer(dim, 0) % max(len(x.shape), 1)
    return tuple(part_of(x, axis, i, i + 1, 1, meta.shape, drop=True) for i, meta in enumerate(out))


@TABLE.law("aten.index_select", "aten.gather", "aten.take_along_dim", "aten.take", "aten.index",
           "aten._unsafe_index", "aten.masked_select")  # fmt: skip
def gathered(x: Arg, *arguments: Arg, out: Out) -> Scale:
    """Picking elements by an index keeps their degree; which ones is not known."""
    x = lift(x)
    scales = [lift(a) for a in flat(arguments) if isinstance(a, Scale)]
    rank = len(out[0].shape)
    g = x.growth
    if g.mix:
        g = replace(spread(g, rank), attained=False)
    form = rearranged(x, picking(arguments, x.shape, out[0].shape)).given
    result = replace(derived(x, g, x.span, slope=g.slope), given=form)
    for index in scales:
        if index.depends:
            g = growth.multiply(result.growth, replace(index.growth, sparse=frozenset()))
            result = algebra.joined(result, index, replace(result, growth=g))
    support = result.support
    if support is not None:
        fewer = size_of(out[0].shape) < size_of(x.shape)
        axes: tuple[int | None, ...] = (None,) * len(out[0].shape)
        support = Support(axes, support.reads, support.exact and not fewer, blurred=True)
    return replace(result, support=support)


def picking(
    arguments: tuple[Arg, ...], before: tuple[int, ...], after: tuple[int, ...]
) -> LayoutStep:
    """The elements at an index as an arrangement: the same index picks the same elements.

    Rows at a dim are named alike, whether by ``x[:, rows]`` or ``index_select(x, 1, rows)``.
    """
    first, second = (*arguments, None, None)[:2]
    if isinstance(first, tuple):
        named = [(dim, index) for dim, index in enumerate(first) if isinstance(index, Scale)]
        kind = "index"
    else:
        dim, index = (second, first) if isinstance(first, Scale) else (first, second)
        named = [(integer(dim, 0) % max(len(before), 1), lift(index))]
        each = isinstance(dim, int) and len(named[0][1].shape) > 1
        kind = "gather" if each else "index"
    return kind, tuple(n for dim, index in named for n in (dim, id(index))), before, after
