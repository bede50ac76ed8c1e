"""Linear forms: sums of coefficient times atom, where identity paths and gates are seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import reduce
from itertools import product
from operator import attrgetter

from scaleaudit.domain.scale import (
    NONNEGATIVE,
    REALS,
    Atom,
    Form,
    Interval,
    Mixing,
    Monomial,
    Poly,
    Precision,
)
from scaleaudit.scale import intervals

# Products of atoms have one order.
SERIAL = attrgetter("serial")

# Longer sums fold into one atom: identities that matter (gates, convex mixes) are short.
MAX_TERMS = 24
MAX_GATES = 8

# The gates of a number.
_NO_GATE: frozenset[Monomial] = frozenset({()})


def poly_add(x: Poly, y: Poly, sign: float = 1.0) -> Poly:
    """Return x + sign * y, terms that cancel dropped."""
    terms = dict(x.terms)
    for monomial, factor in y.terms.items():
        total = terms.get(monomial, 0.0) + sign * factor
        if total == 0:
            terms.pop(monomial, None)
        else:
            terms[monomial] = total
    return Poly(terms)


def poly_multiply(x: Poly, y: Poly) -> Poly | None:
    """Return x * y, or None where it would grow too long."""
    if len(x.terms) * len(y.terms) > MAX_TERMS:
        return None
    if y.terms.keys() == _NO_GATE:
        factor = y.terms[()]
        return Poly({m: f * factor for m, f in x.terms.items() if f * factor != 0})
    terms: dict[Monomial, float] = {}
    for left, a in x.terms.items():
        for right, b in y.terms.items():
            monomial = tuple(sorted((*left, *right), key=SERIAL))
            if len(monomial) > MAX_GATES:
                return None
            terms[monomial] = terms.get(monomial, 0.0) + a * b
    return Poly({m: f for m, f in terms.items() if f != 0})


def poly_span(poly: Poly, *, limits: bool = True) -> Interval:
    """Return the range of a polynomial of gates.

    Args:
        limits: Whether a saturating gate counts as reaching its ends (its supremum over the
            state); a gate that reads nothing growing never does.
    """
    atoms = list(poly.atoms())
    mixings = mixings_of([poly])
    if len(mixings) > 1:
        return REALS  # what leaves one length as it is may stretch the other
    if Mixing.EUCLIDEAN in mixings:
        return _mixing_span(poly, limits=limits)
    spans = {atom: gate_span(atom, limits=limits) for atom in atoms}
    return reduce(Interval.hull, (_ranged(poly, way) for way in _ways([poly], spans)))


def total_span(polys: Collection[Poly]) -> Interval:
    """Range of the sum of the magnitudes of several coefficients.

    What has shares is shared out between them: the extremes are where one of them has all of it.
    """
    mixings = mixings_of(polys)
    if len(mixings) > 1:
        return NONNEGATIVE  # each bounds another length
    if Mixing.EUCLIDEAN in mixings:
        return _total(intervals.even(poly_span(poly), abs) for poly in polys)
    spans = {atom: gate_span(atom, limits=True) for poly in polys for atom in poly.atoms()}
    totals = (
        _total(intervals.even(_ranged(poly, way), abs) for poly in polys)
        for way in _ways(polys, spans)
    )
    return reduce(Interval.hull, totals)


def _total(spans: Iterable[Interval]) -> Interval:
    return reduce(intervals.add, spans, intervals.point(0.0))


def _ways(polys: Iterable[Poly], spans: dict[Atom, Interval]) -> Iterator[dict[Atom, Interval]]:
    """The ranges of gates while one of the shares at hand may have all, and the others nothing.

    That it reaches all is certain where all shares are at hand. Where two of them are multiplied,
    extremes lie in between: then each is taken by itself.
    """
    groups: dict[Atom, dict[Atom, int]] = {}
    products = [monomial for poly in polys for monomial in poly.terms]
    for atom in spans:
        if atom.share_of is not None:
            whole, count = atom.share_of
            groups.setdefault(whole, {})[atom] = count
    shared = {
        whole: group
        for whole, group in groups.items()
        if len(group) > 1 and all(sum(atom in group for atom in m) <= 1 for m in products)
    }
    if math.prod(map(len, shared.values())) > MAX_TERMS:
        shared = {}
    for chosen in product(*shared.values()):
        way = dict(spans)
        for group, one in zip(shared.values(), chosen, strict=True):
            way.update(dict.fromkeys(group, intervals.point(0.0)))
            way[one] = spans[one].closed() if len(group) == group[one] else spans[one]
        yield way


def _ranged(poly: Poly, spans: dict[Atom, Interval]) -> Interval:
    spans = {atom: spans[atom] for atom in poly.atoms()}
    mixes = any(atom.mixes for atom in spans)
    return _shared_span(poly, spans) if mixes else _span(poly, spans)


def mixings_of(polys: Iterable[Poly]) -> set[Mixing]:
    """Return the lengths on which the matrices in some coefficients act."""
    return {atom.mixes for poly in polys for atom in poly.atoms() if atom.mixes is not None}


def _shared_span(poly: Poly, spans: dict[Atom, Interval]) -> Interval:
    """Range of a sum in which rows of shares take part: what it does to the largest element.

    A gate beside them picks rows, as it picks elements, so that both count as one. Where nothing is
    subtracted, every row is of one sign, and the sums of the rows are what counts: they bound from
    below as well. Else rows count by their magnitudes.
    """
    sums = _span(poly, spans)
    both = {atom: _either_sign(span) if atom.mixes else span for atom, span in spans.items()}
    sizes = _span(poly, both)
    return sums if sums.low >= 0 and sums.high == sizes.high else sizes


def _either_sign(span: Interval) -> Interval:
    size = intervals.even(span, abs)
    return Interval(-size.high, size.high, size.high_open, size.high_open)


def _span(poly: Poly, spans: dict[Atom, Interval]) -> Interval:
    """Range of a polynomial of values in given ranges."""
    multilinear = all(len(set(monomial)) == len(monomial) for monomial in poly.terms)
    finite = all(span.is_finite for span in spans.values())
    if len(spans) <= MAX_GATES and multilinear and finite:
        return _corner_span(poly, list(spans), list(spans.values()))
    total = intervals.point(0.0)
    for monomial, factor in poly.terms.items():
        term = intervals.point(factor)
        for atom in monomial:
            term = intervals.multiply(term, spans[atom])
        total = intervals.add(total, term)
    return total


def _mixing_span(poly: Poly, *, limits: bool) -> Interval:
    """Range of a sum in which matrices take part: lengths of what each makes add up at most.

    Gates pick elements and matrices mix them, so that g x + (1 - g) M x can be longer than both.
    """
    apart: dict[Monomial, dict[Monomial, float]] = {}
    for monomial, factor in poly.terms.items():
        matrices = tuple(atom for atom in monomial if atom.mixes)
        gates = tuple(atom for atom in monomial if not atom.mixes)
        apart.setdefault(matrices, {})[gates] = factor
    total = intervals.point(0.0)
    for matrices, terms in apart.items():
        term = poly_span(Poly(terms), limits=limits)
        for matrix in matrices:
            term = intervals.multiply(term, matrix.span)
        total = intervals.add(total, term)
    return total


def gate_span(atom: Atom, *, limits: bool) -> Interval:
    """Range of a gate; closed where it saturates, since the supremum is approached."""
    return atom.span.closed() if limits and saturates(atom) else atom.span


def saturates(atom: Atom) -> bool:
    """Whether a gate is driven to the ends of its range; one of what is bounded itself is not."""
    growth = atom.growth
    return growth.depends and growth.precision is Precision.SATURATING and not growth.inner


def _corner_span(poly: Poly, atoms: list[Atom], spans: list[Interval]) -> Interval:
    """Range of a multilinear polynomial: its extremes lie at corners of the box."""
    lows: list[tuple[float, bool]] = []
    for corner in product((0, 1), repeat=len(atoms)):
        values = {
            atom: (span.low if end == 0 else span.high)
            for atom, span, end in zip(atoms, spans, corner, strict=True)
        }
        is_open = any(
            (span.low_open if end == 0 else span.high_open) and not span.is_point
            for span, end in zip(spans, corner, strict=True)
        )
        lows.append((_value(poly, values), is_open))
    low, high = min(v for v, _ in lows), max(v for v, _ in lows)
    low_open = all(o for v, o in lows if v == low)
    high_open = all(o for v, o in lows if v == high)
    if low == high:
        low_open = high_open = False
    return Interval(low, high, low_open, high_open)


def _value(poly: Poly, values: dict[Atom, float]) -> float:
    terms = poly.terms.items()
    return sum(factor * math.prod(values[atom] for atom in m) for m, factor in terms)


def add(x: Form, y: Form, sign: float = 1.0) -> tuple[Form, bool]:
    """Return x + sign * y, and whether an atom of positive degree cancelled."""
    parts = dict(x.parts)
    cancelled = False
    for atom, coefficient in y.parts.items():
        total = poly_add(parts.get(atom, Poly()), coefficient, sign)
        if total.terms:
            parts[atom] = total
        else:
            parts.pop(atom, None)
            cancelled = True
    before = len(x.rest.terms) + len(y.rest.terms)
    rest = poly_add(x.rest, y.rest, sign)
    cancelled = cancelled or (not rest.terms and before > 0 and not parts)
    return Form(parts, rest), cancelled


def equal(x: Form, y: Form) -> bool:
    """Whether two forms are the same sum."""
    if x.parts.keys() != y.parts.keys() or dict(x.rest.terms) != dict(y.rest.terms):
        return False
    return all(dict(poly.terms) == dict(y.parts[atom].terms) for atom, poly in x.parts.items())


def scale(x: Form, factor: float) -> Form:
    """Return a number times a form."""
    return map_polys(x, lambda poly: Poly({m: f * factor for m, f in poly.terms.items()}))


def gate(x: Form, coefficient: Poly) -> Form | None:
    """Return a gate times a form, or None where it would grow too long."""
    parts: dict[Atom, Poly] = {}
    for atom, poly in x.parts.items():
        gated = poly_multiply(poly, coefficient)
        if gated is None:
            return None
        parts[atom] = gated
    rest = poly_multiply(x.rest, coefficient)
    return None if rest is None else Form(parts, rest)


def map_polys(x: Form, f: Callable[[Poly], Poly]) -> Form:
    """Apply a function to every coefficient."""
    return Form({atom: f(poly) for atom, poly in x.parts.items()}, f(x.rest))


def map_atoms(x: Form, f: Callable[[Atom], Atom]) -> Form:
    """Replace every atom, gates included."""

    def rename(poly: Poly) -> Poly:
        return Poly(
            {tuple(sorted(map(f, m), key=SERIAL)): factor for m, factor in poly.terms.items()}
        )

    return Form({f(atom): rename(poly) for atom, poly in x.parts.items()}, rename(x.rest))


def quotient(poly: Poly, gain: Poly) -> Poly | None:
    """Return q with poly = q * (1 - gain) where there is one: a convex mix with gain.

    The state's coefficient is ``gain`` and what is written is ``poly``; then the turn maps
    [-M, M] into itself for every M that bounds q.
    """
    complement = poly_add(Poly({(): 1.0}), gain, -1.0)
    gates = set(gain.atoms())
    if not gates:
        factor = complement.constant
        if not factor:
            return None
        return Poly({m: f / factor for m, f in poly.terms.items()})
    for pivot, weight in complement.terms.items():
        candidate: dict[Monomial, float] = {}
        for monomial, factor in poly.terms.items():
            left = Counter(monomial)
            left.subtract(Counter(pivot))
            if min(left.values(), default=0) >= 0 and not gates & set(+left):
                candidate[tuple(left.elements())] = factor / weight
        result = poly_multiply(Poly(candidate), complement)
        if candidate and result is not None and not poly_add(result, poly, -1.0).terms:
            return Poly(candidate)
    return None
