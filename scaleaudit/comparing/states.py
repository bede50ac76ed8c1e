"""What changed in one carried state, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from scaleaudit.comparing.matching import pair_penalties, pair_readouts
from scaleaudit.domain.comparison import Effect, FactChange
from scaleaudit.domain.facts import Gain, Penalty, Readout, StateFacts, Transition, Visibility

_BLIND = (Visibility.INVARIANT, Visibility.ASYMPTOTIC)
_SEEING = (Visibility.VISIBLE, Visibility.SATURATING)
# From what holds the length for certain to what lets it go.
_HOLDS = (
    Transition.REMOVED,
    Transition.BOUNDED,
    Transition.DAMPED,
    Transition.LINEAR,
    Transition.CARRIED,
    Transition.EXPANDING,
)
_DOES = {
    Transition.CARRIED: "its length is carried on and added to",
    Transition.EXPANDING: "its length is multiplied at every turn",
    Transition.DAMPED: "its length is damped by a factor below 1",
    Transition.LINEAR: "a learned linear map carries it",
    Transition.REMOVED: "its length is forgotten at every turn",
    Transition.BOUNDED: "it stays within fixed bounds",
    Transition.UNKNOWN: "what a turn does to it is not understood",
}
_CLOSE = 1e-9


def state_changes(before: StateFacts, after: StateFacts) -> Iterator[FactChange]:
    """Yield what changed from a state to the one that it became."""
    if before.name != after.name:
        yield FactChange(
            f"State `{before.name}` is called `{after.name}` now.", location=after.location
        )
    yield from _transition(before, after)
    yield from _gain(before, after)
    yield from _writes(before, after)
    yield from _form(before, after)
    for old, new in pair_readouts(before.readouts, after.readouts):
        yield from _readout(old, new, after)
    yield from _sight(before, after)
    for old_penalty, new_penalty in pair_penalties(before.penalties, after.penalties):
        yield from _penalty(old_penalty, new_penalty, after)


def _transition(before: StateFacts, after: StateFacts) -> Iterator[FactChange]:
    if before.transition is after.transition:
        return
    went = f"went from {before.transition.value} to {after.transition.value}"
    text = f"What a turn does to state `{after.name}` {went}: {_DOES[after.transition]}."
    yield FactChange(text, _direction(before.transition, after.transition), after.location)


def _direction(before: Transition, after: Transition) -> Effect:
    if Transition.UNKNOWN in (before, after):
        return Effect.WORSE if after is Transition.UNKNOWN else Effect.NEUTRAL
    return _effect(_HOLDS.index(after) - _HOLDS.index(before))


def _effect(change: float) -> Effect:
    """Tell which way a change goes that is above 0 where it lets the length go."""
    if change > 0:
        return Effect.WORSE
    return Effect.BETTER if change < 0 else Effect.NEUTRAL


def _gain(before: StateFacts, after: StateFacts) -> Iterator[FactChange]:
    old, new = before.gain, after.gain
    of = f"state `{after.name}`"
    if old is None or new is None:
        if old is not new:
            is_now = f"a gain of {new}" if new else "no gain"
            text = f"The identity path of {of} has {is_now} now, and had {old or 'none'} before."
            yield FactChange(text, location=after.location)
        return
    place = new.location or after.location
    if not _equal(old.high, new.high):
        went = f"went from {old.high:g} to {new.high:g}"
        effect = _effect(new.high - old.high)
        yield FactChange(
            f"The upper bound of the gain of {of} {went}{_reach(old, new)}.", effect, place
        )
    elif old.high_open != new.high_open:
        what = "is never reached any more" if new.high_open else "can be reached now"
        effect = Effect.BETTER if new.high_open else Effect.WORSE
        yield FactChange(f"The upper bound {new.high:g} of the gain of {of} {what}.", effect, place)
    if not _equal(old.low, new.low):
        went = f"went from {old.low:g} to {new.low:g}"
        yield FactChange(f"The lower bound of the gain of {of} {went}.", location=place)
    if old.learned != new.learned:
        what = "is learned now" if new.learned else "is no longer learned"
        yield FactChange(f"The gain of {of} {what}.", location=place)


def _equal(x: float, y: float) -> bool:
    return x == y or math.isclose(x, y, rel_tol=_CLOSE)


def _reach(old: Gain, new: Gain) -> str:
    if _reaches(old) == _reaches(new):
        return ""
    return ", so it can reach 1" if _reaches(new) else ", so it stays below 1"


def _reaches(gain: Gain) -> bool:
    return gain.high > 1 or (gain.high == 1 and not gain.high_open)


def _writes(before: StateFacts, after: StateFacts) -> Iterator[FactChange]:
    old, new, name = before.branch_degree, after.branch_degree, after.name
    if old != new:
        was, is_now = (("unknown" if d is None else f"{d:g}") for d in (old, new))
        effect = Effect.NEUTRAL if old is None or new is None else _effect(new - old)
        text = f"The degree of what a turn adds to state `{name}` went from {was} to {is_now}."
        yield FactChange(text, effect, after.branch_location or after.location)
    if before.writes_bounded != after.writes_bounded:
        what = "is bounded by construction now" if after.writes_bounded else "is no longer bounded"
        effect = Effect.BETTER if after.writes_bounded else Effect.WORSE
        yield FactChange(f"What a turn writes to state `{name}` {what}.", effect, after.location)
    if (before.bypassed_norm is None) != (after.bypassed_norm is None):
        bypassed = after.bypassed_norm is not None
        what = "goes around a norm on the loop now" if bypassed else "goes around no norm any more"
        effect = Effect.WORSE if bypassed else Effect.BETTER
        place = after.bypassed_norm or after.location
        yield FactChange(f"A skip path of state `{name}` {what}.", effect, place)


def _form(before: StateFacts, after: StateFacts) -> Iterator[FactChange]:
    if before.dtype != after.dtype:
        text = f"State `{after.name}` is carried in {after.dtype}, and was in {before.dtype}."
        yield FactChange(text, location=after.location)
    if before.shape != after.shape:
        was, is_now = (
            "x".join(map(str, shape)) or "scalar" for shape in (before.shape, after.shape)
        )
        text = f"The shape of state `{after.name}` went from {was} to {is_now}."
        yield FactChange(text, location=after.location)


def _readout(
    before: Readout | None, after: Readout | None, state: StateFacts
) -> Iterator[FactChange]:
    of = f"of state `{state.name}`"
    if before is None and after is not None:
        where = "in the loss" if after.supervised else "in no loss term"
        text = f"A readout `{after.name}` {of} was added, {where}; it is {_sees(after)}."
        yield FactChange(text, location=after.location)
    elif after is None and before is not None:
        where = "in the loss" if before.supervised else "in no loss term"
        text = f"The readout `{before.name}` {of} is gone; it was {where}, and {_sees(before)}."
        yield FactChange(text, location=before.location)
    elif before is not None and after is not None:
        yield from _same_readout(before, after, of)


def _same_readout(before: Readout, after: Readout, of: str) -> Iterator[FactChange]:
    name = f"readout `{after.name}` {of}"
    differs = before.visibility is not after.visibility or before.degree != after.degree
    if differs:
        was = f"it was {_sees(before)} and is {_sees(after)}"
        text, effect = f"The {name} answers in another way: {was}.", Effect.NEUTRAL
        if after.visibility in _BLIND and before.visibility not in _BLIND:
            text, effect = f"This change made the {name} blind: {was}.", Effect.WORSE
        elif after.visibility in _SEEING and before.visibility in _BLIND:
            text, effect = f"This change made the {name} see the length: {was}.", Effect.BETTER
        elif after.visibility is Visibility.UNKNOWN:
            text, effect = f"The {name} is no longer understood: {was}.", Effect.WORSE
        yield FactChange(text, effect, after.location)
    if before.supervised != after.supervised:
        what = "is in the loss now" if after.supervised else "is in no loss term any more"
        yield FactChange(f"The {name} {what}; it is {_sees(after)}.", location=after.location)
    if before.coverage != after.coverage:
        was, is_now = _share(before.coverage), _share(after.coverage)
        text = f"The {name} reads {is_now} of the positions, and read {was}."
        yield FactChange(text, location=after.location)


def _share(coverage: float | None) -> str:
    return "an unknown share" if coverage is None else f"{coverage:.0%}"


def _sees(readout: Readout) -> str:
    degree = "" if readout.degree is None else f" (degree {readout.degree:g})"
    return f"{readout.visibility.value}{degree}"


def _sight(before: StateFacts, after: StateFacts) -> Iterator[FactChange]:
    """Yield what the loss as a whole sees now and did not, or the other way round."""
    old, new = _seen(before), _seen(after)
    if old is new:
        return
    name = f"state `{after.name}`"
    match new:
        case True:
            text, effect = f"The loss sees the length of {name} now.", Effect.BETTER
        case False:
            text, effect = f"Nothing in the loss sees the length of {name} any more.", Effect.WORSE
        case None:
            text = f"Whether the loss sees the length of {name} is not known any more."
            effect = Effect.WORSE
    yield FactChange(text, effect, after.location)


def _seen(state: StateFacts) -> bool | None:
    """Whether a term of the loss sees the length; None where that is not known."""
    if any(penalty.effective for penalty in state.penalties) or state.visibility in _SEEING:
        return True
    return False if state.visibility in _BLIND else None


def _penalty(
    before: Penalty | None, after: Penalty | None, state: StateFacts
) -> Iterator[FactChange]:
    of = f"state `{state.name}`"
    if before is None and after is not None:
        does = f"restrains {of}" if after.effective else f"restrains nothing of {of}{_flaw(after)}"
        effect = Effect.BETTER if after.effective else Effect.NEUTRAL
        yield FactChange(f"A penalty `{after.name}` was added; it {does}.", effect, after.location)
    elif after is None and before is not None:
        did = f"restrained {of}" if before.effective else f"restrained nothing of {of}"
        effect = Effect.WORSE if before.effective else Effect.NEUTRAL
        yield FactChange(f"The penalty `{before.name}` is gone; it {did}.", effect, before.location)
    elif before is not None and after is not None and before.flaw is not after.flaw:
        does = f"restrains {of} now" if after.effective else f"does not restrain {of}{_flaw(after)}"
        effect = Effect.BETTER if after.effective else Effect.NEUTRAL
        if before.effective:
            effect = Effect.WORSE
        yield FactChange(f"The penalty `{after.name}` {does}.", effect, after.location)


def _flaw(penalty: Penalty) -> str:
    return f": {penalty.flaw.value}" if penalty.flaw else ""
