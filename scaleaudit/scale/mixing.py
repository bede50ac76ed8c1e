"""What bounded matrices make of a state: a factor on it, where it is handed on with others."""

from __future__ import annotations

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


def stretched(x: Scale, product: Scale, matrix: Scale, dim: int) -> Scale | None:
    """Write M x as m x + r where x carries a state and M bounds a length; None where it does not.

    All that has acted on the state before is taken together with M: matrices do not commute.

    Args:
        dim: The dim of M over which is summed, from the end.
    """
    shared = matrix.shares == dim
    norm = None if matrix.depends or shared else matrix.norm
    carries = any(atom.state is not None for atom in x.form.parts)
    if not (shared or norm) or x.opaque or product.opaque or not carries:
        return None
    kind = Mixing.LARGEST if shared else Mixing.EUCLIDEAN
    if forms.mixings_of(x.form.parts.values()) - {kind}:
        return None
    parts: dict[Atom, Poly] = {}
    others: dict[Atom, Poly] = {}
    for atom, poly in x.form.parts.items():
        if atom.state is None:
            others[atom] = poly
            continue
        g = _gate_growth(poly, matrix)
        reach = _sums(poly) if norm is None else _reach(poly, norm)
        parts[atom] = Poly({(Atom(g, reach, learned=_is_learned(poly, matrix), mixes=kind),): 1.0})
    left = algebra.from_form(Form(others, x.form.rest))
    if left.is_zero:
        return replace(product, given=Form(parts, Poly()))
    span = left.span if norm is None else _longest(left.span, norm, x.shape[-1])
    g = growth.multiply(growth.blend(matrix.growth), growth.reduce(left.growth))
    rest = Scale(g, span, learned=True).form
    return replace(product, given=Form({**parts, **rest.parts}, rest.rest))


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
