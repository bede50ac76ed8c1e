"""What facts mean, in a line for people."""

from __future__ import annotations

from scaleaudit.domain.facts import (
    Certification,
    Coverage,
    LossSource,
    Outcome,
    Penalty,
    Readout,
    StateFacts,
    Supervision,
    Transition,
    Visibility,
)

# In the order of the words: what a turn does to the length of a state.
_TRANSITIONS = {
    Transition.CARRIED: "carried: an identity path keeps the length, what is added is smaller",
    Transition.EXPANDING: "expanding: what a turn adds grows with the state",
    Transition.DAMPED: "damped: the identity path shrinks the state a little",
    Transition.LINEAR: "linear: a learned map or gain decides",
    Transition.REMOVED: "removed: the length is forgotten at every turn",
    Transition.BOUNDED: "bounded: no turn leaves a fixed bounded set",
    Transition.UNKNOWN: "unknown: an operator is not understood",
}

# The same where it is enough that some turns do it.
_ONCE = {
    Transition.REMOVED: "removed: the length is forgotten",
    Transition.BOUNDED: "bounded: the state is brought back to a fixed bounded set",
}

_VISIBILITIES = {
    Visibility.INVARIANT: "invariant: it does not see the length at all",
    Visibility.ASYMPTOTIC: "fading: it sees less of the length the larger it grows",
    Visibility.SATURATING: "saturating: bounded, and flat for large lengths",
    Visibility.VISIBLE: "visible: it sees the length",
    Visibility.UNKNOWN: "unknown: an operator is not understood",
}


def transition_text(state: StateFacts) -> str:
    """Say what a turn does to the length of a state."""
    gain = f", gain {state.gain}" if state.gain is not None else ""
    if state.period > 1 and state.transition in _ONCE:
        return f"{_ONCE[state.transition]} once in {state.period} turns{gain}"
    return f"{_TRANSITIONS[state.transition]}{gain}"


def readout_text(readout: Readout) -> str:
    """Say what a readout sees of the length, and whether it is in the loss."""
    text = _VISIBILITIES[readout.visibility]
    if readout.visibility is Visibility.VISIBLE and readout.degree is not None:
        text += f", degree {readout.degree:g}"
    if readout.up_to_eps:
        text += " (for lengths above the norm's eps)"
    if readout.coverage is not None and readout.coverage < 1:
        text += f"; reads {readout.coverage:.0%} of the positions"
    return text if readout.supervised else f"{text}; in no loss term"


def penalty_text(penalty: Penalty) -> str:
    """Say whether a penalty restrains the length."""
    return "effective" if penalty.flaw is None else f"ineffective: {penalty.flaw.value}"


def reason(state: StateFacts) -> str:
    """Say in a line why a state is safe, or what is open about it."""
    if not state.weighted_cycle:
        return "not asked: no weights in its cycle"
    match state.transition:
        case Transition.REMOVED if state.period > 1:
            return f"safe: the length is forgotten once in {state.period} turns"
        case Transition.BOUNDED if state.period > 1:
            return f"safe: it comes back to a bounded set once in {state.period} turns"
        case Transition.REMOVED:
            return "safe: every turn forgets the length"
        case Transition.BOUNDED:
            return "safe: no turn can leave a bounded set"
        case _:
            return _by_what_the_loss_sees(state)


def _by_what_the_loss_sees(state: StateFacts) -> str:
    penalty = next((penalty for penalty in state.penalties if penalty.effective), None)
    if penalty is not None:
        return f"safe: {penalty.name} in the loss restrains the length"
    match state.visibility:
        case Visibility.VISIBLE:
            return f"safe: the loss sees the length{_through(state)}"
        case Visibility.SATURATING:
            return f"weak: the loss sees the length until it saturates{_through(state)}"
        case Visibility.UNKNOWN:
            return "open: whether the loss sees the length is not known"
        case Visibility.INVARIANT | Visibility.ASYMPTOTIC:
            supervised = any(readout.supervised for readout in state.readouts)
            unread = not supervised and not state.penalties and not state.seen_through
            return "not asked: no loss term reads it" if unread else _blind(state)


def _blind(state: StateFacts) -> str:
    match state.transition:
        case Transition.UNKNOWN:
            return "open: the loss does not see the length, and what a turn does to it is not known"
        case Transition.DAMPED if state.writes_bounded:
            return "safe: a turn shrinks it, and what it adds is bounded"
        case Transition.DAMPED:
            return "blind: the loss does not see the length; only the gain holds it"
        case _:
            return "blind: nothing in the loss restrains the length"


def _through(state: StateFacts) -> str:
    seen = [
        readout.name
        for readout in state.readouts
        if readout.supervised and readout.visibility is state.visibility
    ]
    if seen:
        return f" through {seen[0]}"
    return f" through state {state.seen_through[0]}" if state.seen_through else ""


def coverage_text(coverage: Coverage) -> str:
    """Say how much of the program was seen, not understood and assumed, and what is trained on."""
    parts = [f"{counted(coverage.operators, 'operator')} of {counted(coverage.distinct, 'kind')}"]
    if coverage.unknown:
        parts.append(f"{len(coverage.unknown)} unknown ({_deciding(len(coverage.deciding))})")
    if coverage.declared:
        parts.append(f"{len(coverage.declared)} with a declared law")
    if coverage.branches:
        parts.append(counted(len(coverage.branches), "assumption"))
    return ", ".join((*parts, f"loss: {_supervision_text(coverage.supervision)}"))


def _deciding(number: int) -> str:
    match number:
        case 0:
            return "none matters"
        case 1:
            return "1 matters"
        case _:
            return f"{number} matter"


def _supervision_text(supervision: Supervision) -> str:
    match supervision.loss:
        case LossSource.GIVEN:
            return "given"
        case LossSource.FOUND:
            return f"{supervision.name} in the output"
        case LossSource.MISSING:
            return "none"


def certification_text(found: Certification) -> str:
    """Say how the facts fared against numbers, in one line."""
    compared = f"{counted(found.compared, 'value')} held against numbers"
    match found.outcome:
        case Outcome.CERTIFIED:
            return f"certified: {compared}"
        case Outcome.NOT_CERTIFIED:
            why = "; ".join(found.reasons) or "no value told anything"
            return f"not certified: {why} ({compared})"
        case Outcome.REFUTED:
            count = counted(len(found.disagreements), "disagreement")
            return f"not certified: {count} ({compared})"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, in the plural where it asks for it."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
