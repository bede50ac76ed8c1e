"""The abstract domain: how a value grows as the carried states are scaled by a > 0."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from fractions import Fraction
from itertools import count
from typing import NamedTuple, TypeAlias

from scaleaudit.domain.facts import Opaque

Rational: TypeAlias = "Fraction | int | float"
INFINITY = math.inf


class Degree(NamedTuple):
    """Growth like a**power * log(a)**log; degrees compare by asymptotic size."""

    power: Rational
    log: Rational = 0


ZERO = Degree(0)
VANISHING = Degree(-INFINITY)
EXPONENTIAL = Degree(INFINITY)


class Precision(IntEnum):
    """How literally a degree holds; the larger one wins where values meet.

    EXACT: v(a h) = a**p v(h). EPS: the same up to a norm's eps. ASYMPTOTIC: in the limit of
    large a, where h competes with a constant. SATURATING: a bounded function flattens.
    """

    EXACT = 0
    EPS = 1
    ASYMPTOTIC = 2
    SATURATING = 3


@dataclass(frozen=True, slots=True)
class Interval:
    """The values that something can take; open ends are never reached."""

    low: float = -INFINITY
    high: float = INFINITY
    low_open: bool = False
    high_open: bool = False

    @property
    def is_point(self) -> bool:
        """Whether it holds a single number."""
        return self.low == self.high

    @property
    def is_finite(self) -> bool:
        """Whether both ends are finite: bounded whatever the weights."""
        return self.low > -INFINITY and self.high < INFINITY

    def __contains__(self, value: float) -> bool:
        above = self.low < value or (self.low == value and not self.low_open)
        below = value < self.high or (value == self.high and not self.high_open)
        return above and below

    def closed(self) -> Interval:
        """The same interval with its ends: the values of its limits."""
        return Interval(self.low, self.high)

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        low, low_open = min((self.low, self.low_open), (other.low, other.low_open))
        high, high_closed = max((self.high, not self.high_open), (other.high, not other.high_open))
        return Interval(low, high, low_open, not high_closed)


REALS = Interval()
NONNEGATIVE = Interval(0.0, INFINITY)


class Mixing(Enum):
    """Which length a matrix bounds that takes part in a coefficient.

    EUCLIDEAN: its norm bounds the root of the sum of squares. LARGEST: its rows are shares, never
    negative and of a bounded sum, which bounds the largest element.
    """

    EUCLIDEAN = "euclidean"
    LARGEST = "largest"


_SERIALS = count()


class Atom:
    """A value that takes part in linear combinations as a whole; compared by identity.

    Attributes:
        growth: How it grows; bounded atoms (degree 0) serve as gates in coefficients.
        span: The values it takes.
        state: Index of the carried state that it is, for boundary values.
        learned: Whether parameters set it, the state apart.
        peak_of: The form of the value whose maximum it is (x - max(x) is never positive).
        mixes: The length that it acts on where it stands for a matrix: its span bounds what that
            does to it, and says nothing of single elements. Of shares it is that of their sums.
        share_of: What it is one of the shares of, and how many there are: where one of them
            reaches the end of its span, the others are 0, and in between they divide it.
        centred: Dims, from the end, over which together it adds up to 0 however it is made; of one
            that stands for a matrix, what that makes does.
        views: The same values in other arrangements, by arrangement.
        serial: When it was made; products of atoms are kept in this order.
    """

    __slots__ = (
        "base",
        "centred",
        "growth",
        "layout",
        "learned",
        "mixes",
        "peak_of",
        "serial",
        "share_of",
        "span",
        "state",
        "views",
    )

    def __init__(
        self,
        growth: Growth,
        span: Interval,
        *,
        state: int | None = None,
        learned: bool = False,
        peak_of: Form | None = None,
        mixes: Mixing | None = None,
        centred: frozenset[int] = frozenset(),
    ) -> None:
        self.growth = growth
        self.span = span
        self.state = state
        self.learned = learned
        self.peak_of = peak_of
        self.mixes = mixes
        self.centred = centred
        self.base: Atom = self
        self.layout: Layout = ()
        self.share_of: tuple[Atom, int] | None = None
        self.serial = next(_SERIALS)
        self.views: dict[Layout, Atom] = {}

    def viewed(self, layout: Layout) -> Atom:
        """Return the same values in another arrangement; equal arrangements are one atom."""
        base = self.base
        if not layout:
            return base
        found = base.views.get(layout)
        if found is None:
            found = Atom(
                base.growth, base.span, state=base.state, learned=base.learned, mixes=base.mixes
            )
            found.base, found.layout = base, layout
            if base.share_of is not None:  # shares of one whole stand in one arrangement
                whole, count = base.share_of
                found.share_of = (whole.viewed(layout), count)
            base.views[layout] = found
        return found

    def __repr__(self) -> str:
        return f"Atom({self.serial}, state={self.state}, {self.growth.hi})"


# A rearrangement: (kind, parameters, shape before, shape after) of each step.
LayoutStep: TypeAlias = tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...]]
Layout: TypeAlias = tuple[LayoutStep, ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """How the elements of a value grow with a.

    Attributes:
        lo: Lower bound of the degrees of the elements that do not vanish.
        hi: Upper bound of the degrees of all elements.
        attained: Whether the norm of the value grows like hi for values in general position.
        sparse: Where elements vanish (by the sign of an atom: relu, a sigmoid's left tail).
        precision: How literally the degree holds.
        depends: Whether the states reach the value at all.
        mix: Dims (from the end, negative) along which the degree differs by construction.
        rate: Where the value grows or dies exponentially, the degree in the exponent.
        slope: For logarithmic growth the factor of log a, where known exactly.
        normed: Whether a quotient has cancelled the length on the way (a norm).
        inner: Whether it stays away from the ends of its range, as a bounded function of a value
            that does not grow.
    """

    lo: Degree = ZERO
    hi: Degree = ZERO
    attained: bool = True
    sparse: frozenset[tuple[Atom, int]] = frozenset()
    precision: Precision = Precision.EXACT
    depends: bool = True
    mix: frozenset[int] = frozenset()
    rate: Degree | None = None
    slope: Rational | None = None
    normed: bool = False
    inner: bool = False

    @property
    def floor(self) -> Degree:
        """Lower bound of the degrees of all elements, vanishing ones included."""
        return VANISHING if self.sparse else self.lo

    @property
    def is_pure(self) -> bool:
        """Whether every element has the same known degree."""
        return self.attained and self.lo == self.hi and not self.sparse


CONSTANT = Growth(depends=False)
LINEAR = Growth(lo=Degree(1), hi=Degree(1))

Monomial: TypeAlias = "tuple[Atom, ...]"


@dataclass(frozen=True, eq=False)
class Poly:
    """A polynomial over gates (atoms of degree 0): the coefficient of an atom."""

    terms: Mapping[Monomial, float] = field(default_factory=dict)

    @property
    def constant(self) -> float | None:
        """Its value where it is a number."""
        if not self.terms:
            return 0.0
        return self.terms.get(()) if len(self.terms) == 1 else None

    def atoms(self) -> Iterator[Atom]:
        """Every gate in it, in order of appearance."""
        seen: dict[Atom, None] = {}
        for monomial in self.terms:
            for atom in monomial:
                seen.setdefault(atom)
        return iter(seen)


@dataclass(frozen=True, eq=False)
class Form:
    """A value as a sum of coefficient times atom, plus a part of degree 0 or independent."""

    parts: Mapping[Atom, Poly]
    rest: Poly


# Dims that a view made one: for each of them the axis that it runs along, and its size.
Folded: TypeAlias = "tuple[tuple[int | None, int], ...]"
AxisOf: TypeAlias = "int | Folded | None"


@dataclass(frozen=True, slots=True)
class Support:
    """Which positions and channels of the state a value reads.

    Attributes:
        axes: For every dim of the value the axis of the state it runs along, several where a view
            made them one dim, or None.
        reads: For every axis of the state, the indices read, as a bit mask.
        exact: False where the positions read could not be told.
        blurred: Whether a rearrangement lost track of the axes.
    """

    axes: tuple[AxisOf, ...]
    reads: tuple[int, ...]
    exact: bool = True
    blurred: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Size:
    """How large another value is beside this one: |x| <= bound * this ** (1 / power).

    Attributes:
        of: The form of x.
        power: 2 for a mean square, 1 for a norm, -1 for what it is multiplied by in a norm.
        flat: Whether the last dim is reduced and missing, so that it does not broadcast yet.
    """

    of: Form
    power: Rational
    bound: float = 1.0
    flat: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Stacked:
    """Values side by side: a mean over the dim is a mean of them.

    Attributes:
        dim: That dim, from the end.
        width: How many places each takes there; 1 where the dim is none of their own.
    """

    values: tuple[Scale, ...]
    dim: int
    width: int = 1


@dataclass(frozen=True, eq=False, slots=True)
class Weighted:
    """A value times shares: its sum over the dim of the shares is a mean of the value.

    Attributes:
        dim: That dim, from the end.
    """

    value: Scale
    shares: Scale
    dim: int


class _Form:
    """The attribute ``form`` of a scale, made when it is first read.

    As ``functools.cached_property`` does it, but without the lock that Python 3.11 takes for it:
    every value of a program is asked for its form.
    """

    def __get__(self, scale: Scale, _: object = None) -> Form:
        form = scale.__dict__["form"] = _form_of(scale)
        return form


@dataclass(frozen=True)
class Scale:
    """What is known of a value as the states are scaled.

    Attributes:
        shape: Shape of the value.
        growth: Its degrees.
        span: The values that its elements take, whatever weights and states.
        given: Its linear form where a law built one, else it is an atom of its own.
        support: The part of the state that it reads; None where it reads none.
        opaque: Operators in the way that are not understood; nothing else holds then.
        learned: Whether parameters take part in it, the state apart.
        peak_of: The form of the value whose maximum it is.
        size: The value whose length it is, to some power.
        pieces: What it has just been joined from, one beside the other.
        norm: Range of the spectral norm of a matrix that no state reaches, where it is bounded.
        shares: The dim, from the end, along which elements are never negative and add up to 1.
        stacked: Values that stand side by side along a dim of their own.
        weighted: A value that it is times shares, before they are added up.
        form: Its linear form, a fresh atom where no law gave one.
    """

    growth: Growth
    span: Interval = REALS
    shape: tuple[int, ...] = ()
    given: Form | None = None
    support: Support | None = None
    opaque: tuple[Opaque, ...] = ()
    learned: bool = False
    peak_of: Form | None = None
    size: Size | None = None
    norm: Interval | None = None
    pieces: tuple[Scale, ...] = ()
    shares: int | None = None
    stacked: Stacked | None = None
    weighted: Weighted | None = None

    form = _Form()

    @property
    def depends(self) -> bool:
        """Whether the states reach it."""
        return self.growth.depends

    @property
    def is_zero(self) -> bool:
        """Whether it is the number 0."""
        return not self.depends and self.span.is_point and self.span.low == 0


def _form_of(x: Scale) -> Form:
    if x.given is not None:
        return x.given
    if not x.growth.depends and x.span.is_point:
        return Form({}, Poly({(): x.span.low} if x.span.low else {}))
    atom = Atom(x.growth, x.span, learned=x.learned, peak_of=x.peak_of)
    if x.growth.depends and x.growth.hi != ZERO:
        return Form({atom: Poly({(): 1.0})}, Poly())
    return Form({}, Poly({(atom,): 1.0}))
