"""What bounded matrices make of a state: a factor on it, where it is handed on with others."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from scaleaudit.domain.scale import (
    CONSTANT,
    REALS,
    Atom,
    Form,
    Growth,
    Interval,
    Mixing,
    Poly,
    Precision,
    Scale,
)
from scaleaudit.scale import algebra, forms, growth, intervals
from scaleaudit.scale.copying import replace


def stretched(x: Scale, product: Scale, matrix: Scale, dim: int, along: int) -> Scale | None:
    """Write M x as m x + r where x carries a state and M bounds a length; None where it does not.

    All that has acted on the state before is taken together with M: matrices do not commute.

    Args:
        dim: The dim of M over which is summed, from the end.
        along: That of x.
    """
    shared = matrix.shares == dim
    norm = None if matrix.depends or shared else matrix.norm
    if not (shared or norm) or x.opaque or product.opaque:
        return None
    stacked = x.stacked is not None and x.stacked.width == 1 and x.stacked.dim == along and shared
    values = x.stacked.values if stacked and x.stacked is not None else (x,)
    kind = Mixing.LARGEST if shared else Mixing.EUCLIDEAN
    held = [_of_states(value) for value in values]
    if not any(held) or forms.mixings_of(p for own in held for p in own.values()) - {kind}:
        return None
    parts: dict[Atom, Poly] = {}
    whole = Atom(CONSTANT, REALS)
    count = sum(map(len, held))
    for own in held:
        joint = len(values) > 1 or _are_shared(own)
        for atom, poly in own.items():
            reach = _reach(poly, norm) if norm else _sums(poly)
            m = Atom(
                _gate_growth(poly, matrix), reach, learned=_is_learned(poly, matrix), mixes=kind
            )
            if joint and shared:
                most = forms.total_span(own.values())
                m.span = Interval(-most.high if reach.low < 0 else 0.0, most.high)
                m.share_of = (whole, count)
            parts[atom] = forms.poly_add(parts.get(atom, Poly()), Poly({(m,): 1.0}))
    lefts = [_left(value) for value in values]
    if all(left.is_zero for left in lefts):
        return replace(product, given=Form(parts, Poly()))
    g, span = lefts[0].growth, lefts[0].span
    for left in lefts[1:]:
        g, span = growth.add(g, left.growth), span.hull(left.span)
    span = span if norm is None else _longest(span, norm, x.shape[-1])
    g = growth.multiply(growth.blend(matrix.growth), growth.reduce(g))
    rest = Scale(g, span, learned=True).form
    return replace(product, given=Form({**parts, **rest.parts}, rest.rest))


def _of_states(x: Scale) -> dict[Atom, Poly]:
    return {atom: poly for atom, poly in x.form.parts.items() if atom.state is not None}


def _left(x: Scale) -> Scale:
    """What a value is besides the states in it."""
    others = {atom: poly for atom, poly in x.form.parts.items() if atom.state is None}
    return algebra.from_form(Form(others, x.form.rest))


def _are_shared(parts: Mapping[Atom, Poly]) -> bool:
    """Whether shares of one whole stand in several coefficients."""
    wholes = [{a.share_of[0] for a in poly.atoms() if a.share_of} for poly in parts.values()]
    return any(first & second for first, second in combinations(wholes, 2))


def _sums(poly: Poly) -> Interval:
    """Range of the sums of the rows of shares times what has acted before."""
    span = forms.poly_span(poly)
    if span.low >= 0:
        return span
    size = intervals.even(span, abs)
    return Interval(-size.high, size.high, size.high_open, size.high_open)


def _reach(poly: Poly, norm: Interval) -> Interval:
    size = intervals.even(forms.poly_span(poly), abs)
    stretch = intervals.multiply(norm, size)
    return Interval(-stretch.high, stretch.high, stretch.high_open, stretch.high_open)


def _longest(span: Interval, norm: Interval, width: int) -> Interval:
    if not span.is_finite:
        return REALS
    longest = max(abs(span.low), abs(span.high)) * norm.high * width**0.5
    return Interval(-longest, longest)


def _gate_growth(coefficient: Poly, matrix: Scale) -> Growth:
    """How a factor changes with the state: not at all, or as what it is made of does."""
    moving = [atom.growth for atom in coefficient.atoms() if atom.growth.depends]
    if matrix.depends:
        moving.append(matrix.growth)
    if not moving:
        return CONSTANT
    return Growth(precision=max((g.precision for g in moving), default=Precision.EXACT))


def _is_learned(coefficient: Poly, matrix: Scale) -> bool:
    return matrix.learned or any(atom.learned for atom in coefficient.atoms())
