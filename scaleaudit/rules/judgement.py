"""The answers that several rules share, each true, false or not known (None)."""

from __future__ import annotations

from scaleaudit.domain.facts import (
    Gain,
    PenaltyFlaw,
    Readout,
    ScaleFacts,
    StateFacts,
    Transition,
    Visibility,
)

BLIND = (Visibility.INVARIANT, Visibility.ASYMPTOTIC)
SEEING = (Visibility.VISIBLE, Visibility.SATURATING)


def all_of(*answers: bool | None) -> bool | None:
    """Kleene's and: one false settles it, whatever is not known."""
    if False in answers:
        return False
    return None if None in answers else True


def active(state: StateFacts) -> bool | None:
    """Whether nothing in the loop stops the state's length.

    A linear map counts unless its gain is held strictly below 1; a recurrence without weights in
    its cycle is not asked.
    """
    if not state.weighted_cycle:
        return False
    match state.transition:
        case Transition.CARRIED | Transition.EXPANDING:
            return True
        case Transition.LINEAR:
            return state.gain is None or reaches_one(state.gain)
        case Transition.DAMPED | Transition.REMOVED | Transition.BOUNDED:
            return False
        case Transition.UNKNOWN:
            return None


def reaches_one(gain: Gain) -> bool:
    """Whether the interval admits a factor of size 1 or more; open ends are never reached."""
    above = gain.high > 1 or (gain.high == 1 and not gain.high_open)
    below = gain.low < -1 or (gain.low == -1 and not gain.low_open)
    return above or below


def reaches_loss(state: StateFacts) -> bool | None:
    """Whether the loss reads the state with a gradient, directly or through another state.

    A term that sees direction alone, and no length, reads it all the same.
    """
    free = any(penalty.flaw is PenaltyFlaw.SCALE_FREE for penalty in state.penalties)
    if free or state.seen_through or any(readout.supervised for readout in state.readouts):
        return True
    doubtful = any(penalty.flaw is PenaltyFlaw.UNKNOWN for penalty in state.penalties)
    return None if doubtful or state.visibility is Visibility.UNKNOWN else False


def blind(state: StateFacts) -> bool | None:
    """Whether neither a supervised readout nor a penalty sees the state's length."""
    unseen = None if state.visibility is Visibility.UNKNOWN else state.visibility in BLIND
    count = effective_penalties(state)
    return all_of(reaches_loss(state), unseen, None if count is None else count == 0)


def effective_penalties(state: StateFacts) -> int | None:
    """How many penalties restrain the whole state; one that may do so leaves none unknown."""
    effective = sum(penalty.effective for penalty in state.penalties)
    doubtful = any(penalty.flaw is PenaltyFlaw.UNKNOWN for penalty in state.penalties)
    return None if doubtful and not effective else effective


def visibilities(readouts: tuple[Readout, ...]) -> tuple[str, ...] | None:
    """Visibility of every supervised readout; unknown ones matter where none is visible."""
    found = [readout.visibility for readout in readouts if readout.supervised]
    if Visibility.UNKNOWN in found and Visibility.VISIBLE not in found:
        return None
    return tuple(each.value for each in found if each is not Visibility.UNKNOWN)


def unsupervised_seeing(state: StateFacts) -> int | None:
    """How many readouts outside the loss see the length; unknown where only unknown ones may."""
    outside = [readout.visibility for readout in state.readouts if not readout.supervised]
    seeing = sum(each in SEEING for each in outside)
    return None if not seeing and Visibility.UNKNOWN in outside else seeing


def deciding_readouts(state: StateFacts, facts: ScaleFacts) -> tuple[Readout, ...]:
    """Return the supervised readouts that set the state's visibility, most convincing first.

    A state that reaches the loss only through others is decided by theirs. Convincing: of the
    visibility in question, reading the most positions, with a proof.
    """
    states = {each.name: each for loop in facts.loops for each in loop.states}
    own = [readout for readout in state.readouts if readout.supervised]
    if not own:
        through = (states[name] for name in state.seen_through if name in states)
        own = [readout for other in through for readout in other.readouts if readout.supervised]
    return tuple(
        sorted(
            own,
            key=lambda readout: (
                readout.visibility is not state.visibility,
                -(readout.coverage or 0.0),
                not readout.proof,
            ),
        )
    )
