"""From scales to words: visibility of a value, transition of a state, gain on its path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from scaleaudit.domain.facts import Gain, Transition, Visibility
from scaleaudit.domain.scale import (
    VANISHING,
    ZERO,
    Atom,
    Degree,
    Form,
    Growth,
    Interval,
    Mixing,
    Poly,
    Precision,
    Scale,
)
from scaleaudit.scale import forms, growth, intervals
from scaleaudit.scale.cycles import Cycle

ORDER = {
    Visibility.INVARIANT: 0,
    Visibility.ASYMPTOTIC: 1,
    Visibility.SATURATING: 2,
    Visibility.VISIBLE: 3,
}


def visibility(scale: Scale) -> Visibility:
    """How a value answers when the states are scaled (design: the table of visibilities)."""
    if scale.opaque:
        return Visibility.UNKNOWN
    g = scale.growth
    if g.hi > ZERO and scale.span.is_finite:
        return Visibility.SATURATING  # a floor as relu(1 - length): what grows is cut off
    if g.lo > ZERO or (g.attained and g.hi not in (ZERO, VANISHING)):
        return Visibility.VISIBLE
    if g.hi == VANISHING or (g.hi == ZERO and g.precision is Precision.SATURATING):
        return Visibility.SATURATING
    if g.hi == ZERO and (g.lo == ZERO or g.attained):
        exact = g.precision <= Precision.EPS and g.lo == ZERO
        return Visibility.INVARIANT if exact else Visibility.ASYMPTOTIC
    return Visibility.UNKNOWN


def least(x: Visibility, y: Visibility) -> Visibility:
    """The less visible of two answers that must both hold; unknown if that could decide."""
    if Visibility.UNKNOWN in (x, y):
        known = y if x is Visibility.UNKNOWN else x
        return known if known is Visibility.INVARIANT else Visibility.UNKNOWN
    return min(x, y, key=ORDER.__getitem__)


def most(answers: list[Visibility]) -> Visibility:
    """What a sum of terms shows: its most visible term; unknown ones could show anything."""
    if Visibility.VISIBLE in answers:
        return Visibility.VISIBLE
    if Visibility.UNKNOWN in answers:
        return Visibility.UNKNOWN
    return max(answers, key=ORDER.__getitem__, default=Visibility.INVARIANT)


def as_float(degree: Degree) -> float:
    """A degree as the number that reports show (logarithms count as 0)."""
    return float(degree.power)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn does to one state.

    Attributes:
        gain: Factor on the identity path with the limits of saturating gates; None without one.
        learned: Whether parameters alone set the factor.
        branch: Largest degree beside the identity path.
        writes_bounded: Whether what is written is bounded for any weights.
        period: How many turns there are to every one that does this, where it is enough that one
            does.
    """

    transition: Transition
    gain: Interval | None = None
    learned: bool = False
    branch: Degree = ZERO
    writes_bounded: bool = False
    period: int = field(default=1, compare=False)


def judge_turn(scale: Scale, state: int, cycle: Cycle | None = None) -> Turn:
    """Classify the value that one turn computes for a state (design: the table of activity).

    Args:
        cycle: The states that feed each other in a cycle with this one, by default none; a
            state that only feeds this one adds to it, and does not multiply it.
    """
    if scale.opaque:
        return Turn(Transition.UNKNOWN)
    g = scale.growth
    if not g.depends or g.hi < Degree(1):
        return _forgetful(g)
    form = scale.form
    identity = {atom: poly for atom, poly in form.parts.items() if atom.state is not None}
    others = [(a, p) for a, p in form.parts.items() if a.state is None]
    branch = max((_part_degree(a, p) for a, p in others), default=ZERO)
    if not identity:
        linear = g.hi == Degree(1)
        return Turn(Transition.LINEAR if linear else Transition.EXPANDING, branch=branch)
    inside = cycle.states if cycle else frozenset({state})
    own = {atom: poly for atom, poly in identity.items() if atom.state in inside}
    if not own:
        return Turn(Transition.REMOVED if len(inside) == 1 else Transition.LINEAR, branch=branch)
    coupled = cycle is not None and (len(inside) > 1 or cycle.delayed)
    gain = cycle.gain if cycle is not None and coupled else total_gain(own)
    return _with_identity(form, own, identity, branch, gain)


def _forgetful(g: Growth) -> Turn:
    """A turn whose result grows slower than the state."""
    tame = g.hi > ZERO or (g.precision is Precision.SATURATING and not g.normed)
    return Turn(Transition.BOUNDED if tame and g.depends else Transition.REMOVED)


def _part_degree(atom: Atom, poly: Poly) -> Degree:
    degree = atom.growth.hi
    gates = [max((a.growth.hi for a in monomial), default=ZERO) for monomial in poly.terms]
    return growth.add_degrees(degree, max(gates, default=ZERO), upper=True)


def total_gain(parts: dict[Atom, Poly]) -> Interval:
    """Sum of the magnitudes of the coefficients on the identity path."""
    return forms.total_span(parts.values())


def _with_identity(
    form: Form, own: dict[Atom, Poly], identity: dict[Atom, Poly], branch: Degree, gain: Interval
) -> Turn:
    gates = [atom for poly in own.values() for atom in poly.atoms()]
    # Shares stay below 1, however their weights are trained.
    free = [atom for atom in gates if not atom.mixes and (not atom.share_of or gain.high > 1)]
    learned = any(atom.learned for atom in free) and not any(a.growth.depends for a in gates)
    rest = forms.poly_span(form.rest)
    if branch >= Degree(1):
        bounded_below = gain.high < 1
        kind = Transition.LINEAR if bounded_below else Transition.EXPANDING
        if branch > Degree(1):
            kind = Transition.EXPANDING
        return Turn(kind, gain, learned, branch)
    if _is_convex(form, own, identity):
        return Turn(Transition.BOUNDED, gain, learned, branch, writes_bounded=True)
    kind = _by_gain(gain, gates)
    turned = any(atom.mixes is Mixing.EUCLIDEAN for atom in gates)
    if kind in (Transition.LINEAR, Transition.EXPANDING) and turned:
        return _beside_matrix(own, gain, branch)
    return Turn(kind, gain, learned, branch, writes_bounded=rest.is_finite)


def _beside_matrix(own: dict[Atom, Poly], gain: Interval, branch: Degree) -> Turn:
    """A turn in which a matrix, bounded but not below 1, acts on the state beside its skip."""
    plain = {
        atom: Poly({m: f for m, f in poly.terms.items() if not any(gate.mixes for gate in m)})
        for atom, poly in own.items()
    }
    skip = total_gain(plain)
    below = skip.high < 1 or (skip.high == 1 and skip.high_open)
    kind = Transition.LINEAR if below else Transition.EXPANDING
    return Turn(kind, gain if skip.high else None, branch=max(branch, Degree(1)))


def _is_convex(form: Form, own: dict[Atom, Poly], identity: dict[Atom, Poly]) -> bool:
    """Whether the turn mixes the state with a bounded candidate: g h + (1 - g) n.

    A candidate that no state reaches has its bound before the first turn, whatever the gate.
    """
    if len(identity) != 1 or len(own) != 1 or len(form.parts) != len(identity):
        return False
    ((_, coefficient),) = identity.items()
    span = forms.poly_span(coefficient)
    if span.low < 0 or span.high > 1 or not form.rest.terms:
        return False
    candidate = forms.quotient(form.rest, coefficient)
    if candidate is None:
        return False
    if coefficient.constant == 1:
        return False
    gated = coefficient.constant is None
    fixed = gated and not any(atom.growth.depends for atom in candidate.atoms())
    return fixed or forms.poly_span(candidate).is_finite


def _by_gain(gain: Interval, gates: list[Atom]) -> Transition:
    """What a factor does to the length: its supremum over the state decides."""
    if gain.high < 1 or (gain.high == 1 and gain.high_open):
        return Transition.DAMPED
    if gain.high == 1:
        return Transition.CARRIED
    fixed = not any(atom.growth.depends for atom in gates)
    if math.isinf(gain.high) or (gain.low < 1 and fixed):
        return Transition.LINEAR
    if gain.low < 1 and not any(map(forms.saturates, gates)):
        return Transition.LINEAR
    return Transition.EXPANDING


def judge_pile(factors: Sequence[Poly]) -> Turn | None:
    """Classify a sum of what all turns made that is added up anew in each, oldest first.

    Returns:
        None where it keeps nothing: a mean is no longer than the longest, and what fades with age
        is forgotten.
    """
    if not factors:
        return None
    spans = [forms.poly_span(poly) for poly in factors]
    sizes = [intervals.even(span, abs) for span in spans]
    oldest, newest = sizes[0], sizes[-1]
    faded = oldest.high < newest.low or (oldest.high == newest.low and oldest.high_open)
    mean = forms.total_span(factors).high <= 1
    if any(size.low < 1 for size in sizes) and (faded or mean):
        return None
    if all(size.is_finite for size in sizes):
        return Turn(Transition.CARRIED, intervals.point(1.0))
    learned = all(atom.learned for poly in factors for atom in poly.atoms())
    return Turn(Transition.LINEAR, reduce(Interval.hull, spans), learned=learned)


SEVERITY = (
    Transition.DAMPED,
    Transition.CARRIED,
    Transition.LINEAR,
    Transition.EXPANDING,
    Transition.UNKNOWN,
)


def over_period(turns: list[Turn]) -> Turn:
    """What a whole period of turns does: one removal is enough, else the worst turn counts."""
    for kind in (Transition.REMOVED, Transition.BOUNDED):
        those = [turn for turn in turns if turn.transition is kind]
        if those:
            return replace(those[0], period=-(-len(turns) // len(those)))
    return max(turns, key=lambda turn: SEVERITY.index(turn.transition))


def steady(turns: list[Turn]) -> Turn:
    """Judge a run of turns by the pattern that repeats.

    A norm at every second turn is judged over its period; turns that differ at the start (a
    norm before the first one only) or at the very end are no part of the pattern. One that holds
    the length makes up half of the turns at least: where the last two of eight are normed, the six
    others count.
    """
    for ending in (turns, turns[:-1]):
        found = _repeating(ending)
        if found is not None:
            return over_period(found)
    return max(
        turns, key=lambda t: SEVERITY.index(t.transition) if t.transition in SEVERITY else -1
    )


_HOLDING = frozenset({Transition.REMOVED, Transition.BOUNDED})
# Of a short period one and a bit are enough; one norm among many turns is no pattern.
_SHORT = 4


def _repeating(turns: list[Turn]) -> list[Turn] | None:
    count = len(turns)
    if count == 1:
        return turns
    kinds = [turn.transition for turn in turns]
    for extent in range(1, count + 1):
        for period in range(1, extent + 1):
            prefix = extent - period
            tail = kinds[prefix:]
            repeats = all(a == b for a, b in zip(tail, tail[period:], strict=False))
            if prefix > len(tail) and not _HOLDING.isdisjoint(tail):
                continue
            if repeats and len(tail) >= (period + 1 if period <= _SHORT else 2 * period):
                return turns[prefix : prefix + period]
    return None


def as_gain(turn: Turn) -> Gain | None:
    """The factor on the identity path as reports show it."""
    if turn.gain is None:
        return None
    g = turn.gain
    return Gain(g.low, g.high, g.low_open, g.high_open, turn.learned)
