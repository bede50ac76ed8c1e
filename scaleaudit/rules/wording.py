"""Phrases for messages, with the derived numbers in them."""

from __future__ import annotations

from scaleaudit.domain.diagnostics import StateDiagnostics
from scaleaudit.domain.facts import (
    Penalty,
    PenaltyFlaw,
    Readout,
    StateFacts,
    StateProbe,
    Transition,
    Visibility,
)

_GROWTH = {
    Transition.CARRIED: "keeps its length from turn to turn and is only added to",
    Transition.EXPANDING: "multiplies its length every turn",
    Transition.DAMPED: "is damped by a factor below 1 every turn",
    Transition.LINEAR: "is carried by a learned linear map",
    Transition.REMOVED: "loses its length every turn",
    Transition.BOUNDED: "stays within fixed bounds",
    Transition.UNKNOWN: "does something every turn that is not understood",
}
_ANSWERS = {
    Visibility.INVARIANT: "invariant to its length",
    Visibility.ASYMPTOTIC: "fading in its length, with a response that vanishes as the norm grows",
    Visibility.SATURATING: "saturating in its length, bounded and flat at large norms",
    Visibility.VISIBLE: "sensitive to its length",
    Visibility.UNKNOWN: "not understood",
}
_FLAWS = {
    PenaltyFlaw.DETACHED: "is detached, so no gradient reaches the state",
    PenaltyFlaw.NO_GRAD: "is computed under no_grad, so no gradient reaches the state",
    PenaltyFlaw.ZERO_WEIGHT: "has weight zero",
    PenaltyFlaw.NEGATIVE_WEIGHT: "has a negative weight, so it rewards length",
    PenaltyFlaw.REWARDING: "falls as the length grows, so it rewards length",
    PenaltyFlaw.SCALE_FREE: "is scale-free, as the norm of an already normed copy is",
    PenaltyFlaw.SATURATING: "saturates, so its gradient dies at large norms",
    PenaltyFlaw.PARTIAL: "covers only a part of the state",
    PenaltyFlaw.UNKNOWN: "is not understood",
}
_NAMES_SHOWN = 3  # a message is one sentence


def growth(state: StateFacts, measured: str = "") -> str:
    """Say what a turn does to the length, to follow the word "state".

    Args:
        measured: What the weights say of it, in words.
    """
    if state.transition is Transition.UNKNOWN:
        return _GROWTH[state.transition]
    gain = "" if state.gain is None else f"gain {state.gain}"
    if state.transition is Transition.LINEAR and state.gain is None:
        gain = "its gain has no bound"
    degree = ""
    if state.transition is Transition.EXPANDING and state.branch_degree:
        degree = f"a branch of degree {state.branch_degree:g}"
    return _with(_GROWTH[state.transition], gain, degree, measured)


def radius(found: StateDiagnostics, weights: str) -> str:
    """Say what the weights at hand multiply a long state by."""
    if found.radius is None:
        return ""
    return (
        f"spectral radius {found.radius:.4g} {f'in {weights}' if weights else 'at initialisation'}"
    )


def answer(state: StateFacts, deciding: tuple[Readout, ...]) -> str:
    """Say how the supervised readouts answer to the length, to follow "every one is"."""
    names = list(dict.fromkeys(f"`{readout.name}`" for readout in deciding))
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
    degree = next((r.degree for r in deciding if r.visibility is state.visibility), None)
    number = "" if degree is None else f"degree {degree:g}"
    phrase = _ANSWERS[state.visibility]
    if state.visibility is Visibility.INVARIANT and any(r.up_to_eps for r in deciding):
        phrase = f"{phrase} up to a norm's eps"
    return _with(phrase, shown, number)


def flaw(penalty: Penalty) -> str:
    """Say why a penalty restrains nothing, to follow its name."""
    return "restrains the state" if penalty.flaw is None else _FLAWS[penalty.flaw]


def measured(probe: StateProbe) -> str:
    """Give the numbers of a training run, to follow "trained"."""
    said = []
    if probe.norm is not None:
        after = f" after {probe.steps} steps" if probe.steps else ""
        said.append(f"its norm ends at {_length(probe.norm)}{after}")
    if probe.twin_norm is not None:
        twin = f" ({probe.twin})" if probe.twin else ""
        said.append(f"that of its twin{twin} at {_length(probe.twin_norm)}")
    if probe.deeper is not None:
        said.append(f"four times the turns multiply it by {probe.deeper:.2g}")
    if probe.response is not None:
        moves = "falls" if probe.response < 0 else "changes"
        said.append(f"the objective {moves} by {abs(probe.response):.1%} from scale 1e2 to 1e4")
    return ", ".join(said) or "nothing was measured"


def _with(phrase: str, *numbers: str) -> str:
    given = ", ".join(number for number in numbers if number)
    return f"{phrase} ({given})" if given else phrase


def _length(norm: float) -> str:
    """Write a norm to three digits, without a power of ten where whole numbers say it."""
    return f"{norm:,.0f}" if norm >= 100 else f"{norm:.3g}"  # noqa: PLR2004 - three digits
