"""What a value hands on of the scale of a state, and how that is said in two words."""

from __future__ import annotations

import math

from scaleaudit.domain.facts import Penalty, Readout, StateFacts, Transition, Visibility
from scaleaudit.domain.picture import Role
from scaleaudit.domain.scale import VANISHING, ZERO, Precision, Scale

# What a turn does where the length that enters it leaves it again.
HANDING_ON = frozenset({
    Transition.CARRIED,
    Transition.EXPANDING,
    Transition.DAMPED,
    Transition.LINEAR,
})  # fmt: skip


def role_of(scale: Scale) -> Role:
    """Tell whether scale flows here, was lost before, or neither is known for certain."""
    growth = scale.growth
    if scale.opaque or not growth.depends:
        return Role.PLAIN
    if growth.hi > ZERO:
        return Role.CARRIES
    lost = growth.hi == ZERO and growth.precision is not Precision.SATURATING
    return Role.LOST if lost else Role.PLAIN


def degree_of(scale: Scale) -> str:
    """Say how a value grows with the state."""
    growth = scale.growth
    if scale.opaque:
        return "unknown"
    if not growth.depends:
        return "independent"
    if growth.hi == VANISHING:
        return "vanishing"
    if growth.hi <= ZERO and growth.precision is Precision.SATURATING:
        return "saturating"
    if growth.hi.log and not growth.hi.power:
        return "logarithmic"
    return _degree(float(growth.hi.power))


def _degree(power: float) -> str:
    return "exponential" if power == math.inf else f"degree {power:.3g}"


def round_trip(state: StateFacts) -> tuple[str, Role]:
    """Say what comes around of the length that enters a turn."""
    gain = f", gain {_gain(state)}" if state.gain is not None else ""
    match state.transition:
        case Transition.CARRIED | Transition.DAMPED:
            return f"degree 1{gain}", Role.CARRIES
        case Transition.EXPANDING:
            degree = max(1.0, state.branch_degree or 0.0)
            return f"{_degree(degree)}{gain}, grows", Role.CARRIES
        case Transition.LINEAR:
            return f"degree 1, learned{gain}", Role.CARRIES
        case Transition.REMOVED:
            return f"length removed{_often(state)}", Role.LOST
        case Transition.BOUNDED:
            return f"bounded{_often(state)}", Role.PLAIN
        case Transition.UNKNOWN:
            return "unknown", Role.PLAIN


def _often(state: StateFacts) -> str:
    return f" once in {state.period} turns" if state.period > 1 else ""


def _gain(state: StateFacts) -> str:
    gain = state.gain
    assert gain is not None
    return f"{gain.low:g}" if gain.low == gain.high else str(gain)


def term_of(term: Readout | Penalty) -> tuple[str, Role]:
    """Say what a term of the loss sees of the length."""
    if isinstance(term, Penalty):
        return _penalty(term)
    return seen_as(term.visibility, term.degree)


def seen_as(visibility: Visibility, degree: float | None) -> tuple[str, Role]:
    """Say what the loss sees of the length by a way of this visibility."""
    match visibility:
        case Visibility.INVARIANT:
            return "degree 0", Role.LOST
        case Visibility.ASYMPTOTIC:
            return "fading", Role.LOST
        case Visibility.SATURATING:
            return "saturating", Role.PLAIN
        case Visibility.VISIBLE:
            return "visible" if degree is None else _degree(degree), Role.CARRIES
        case Visibility.UNKNOWN:
            return "unknown", Role.PLAIN


def _penalty(term: Penalty) -> tuple[str, Role]:
    degree = "unknown" if term.degree is None else _degree(term.degree)
    if term.flaw is None:
        return degree, Role.CARRIES
    role = Role.LOST if term.degree == 0 else Role.PLAIN
    return degree, role
