"""What could be changed in a model, as changes of its facts.

Only facts change here; what the rules then say is asked of the rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from scaleaudit.domain.facts import (
    Gain,
    LoopFacts,
    Penalty,
    PenaltyFlaw,
    Readout,
    ScaleFacts,
    StateFacts,
    Transition,
    Visibility,
)

_BLIND = (Visibility.INVARIANT, Visibility.ASYMPTOTIC)
_SEEING = (Visibility.VISIBLE, Visibility.SATURATING)
_NARROW = ("bfloat16", "float16")
# Facts of a state that a change is told by.
_TOLD = ("transition", "visibility", "gain", "branch_degree", "writes_bounded", "carried_dtype")


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A change of the model: in words, and the facts that it leads to."""

    text: str
    told: tuple[str, ...]
    facts: ScaleFacts


def hypotheses(state: StateFacts, loop: LoopFacts, facts: ScaleFacts) -> Iterator[Hypothesis]:
    """Yield the changes that could be made of what happens to a state."""
    for text, changed in _changes(state):
        told = tuple(_differences(state, changed))
        yield Hypothesis(text, told, _with(facts, loop, state, changed))


def _changes(state: StateFacts) -> Iterator[tuple[str, StateFacts]]:
    yield from _of_the_turn(state)
    yield from _of_penalties(state)
    yield from _of_readouts(state)
    yield from _if_it_were_known(state)


def _of_the_turn(state: StateFacts) -> Iterator[tuple[str, StateFacts]]:
    removed = replace(
        state, transition=Transition.REMOVED, gain=None, branch_degree=None, bypassed_norm=None
    )
    if state.transition is not Transition.REMOVED:
        yield "Normalising what crosses between turns, with no skip around the norm", removed
    if state.transition is Transition.EXPANDING and (state.branch_degree or 0) >= 1:
        flat = replace(state, branch_degree=0.0)
        yield (
            "Letting what a turn adds read a normed copy of the state",
            replace(flat, transition=_by_gain(flat.gain)),
        )
    if state.gain is not None and _reaches_one(state.gain):
        gain = Gain(0.0, 1.0, low_open=True, high_open=True, learned=state.gain.learned)
        held = replace(state, gain=gain)
        if state.transition in (Transition.CARRIED, Transition.LINEAR) or (
            state.transition is Transition.EXPANDING and (state.branch_degree or 0) < 1
        ):
            held = replace(held, transition=Transition.DAMPED)
        yield "Keeping the gain strictly below 1 by construction, as a sigmoid does", held
    if not state.writes_bounded:
        text = "Bounding what a turn writes, by tanh or by a norm behind the branch"
        yield text, _with_bounded_writes(state)
    if (state.carried_dtype or state.dtype) in _NARROW:
        text = "Carrying the state in float32"
        yield text, replace(state, dtype="float32", carried_dtype="float32")


def _with_bounded_writes(state: StateFacts) -> StateFacts:
    """Bound what a turn adds; where it adds to nothing, that is the state itself."""
    bounded = replace(state, writes_bounded=True)
    if state.transition is Transition.UNKNOWN:
        return bounded
    if state.gain is None:
        return replace(bounded, transition=Transition.BOUNDED, branch_degree=0.0)
    if (state.branch_degree or 0) > 0:
        flat = replace(bounded, branch_degree=0.0)
        expanding = state.transition is Transition.EXPANDING
        return replace(flat, transition=_by_gain(flat.gain)) if expanding else flat
    return bounded


def _by_gain(gain: Gain | None) -> Transition:
    """Tell what a turn does whose branches forget the length."""
    if gain is None:
        return Transition.REMOVED
    if gain.high > 1 or gain.low < -1:
        return Transition.EXPANDING
    return Transition.CARRIED if _reaches_one(gain) else Transition.DAMPED


def _reaches_one(gain: Gain) -> bool:
    above = gain.high > 1 or (gain.high == 1 and not gain.high_open)
    return above or gain.low < -1 or (gain.low == -1 and not gain.low_open)


def _of_penalties(state: StateFacts) -> Iterator[tuple[str, StateFacts]]:
    for index, penalty in enumerate(state.penalties):
        if not penalty.effective:
            mended = (*state.penalties[:index], _mended(penalty), *state.penalties[index + 1 :])
            text = (
                f"Taking the penalty `{penalty.name}` of the carried state itself, with a gradient "
                "and a positive weight"
            )
            yield text, replace(state, penalties=mended)
    if not any(penalty.effective for penalty in state.penalties):
        added = Penalty("mean square of the carried state", 2.0, None)
        text = "Adding a penalty of degree 2, the mean square of the carried state at every turn"
        yield text, replace(state, penalties=(*state.penalties, added))


def _mended(penalty: Penalty) -> Penalty:
    """Return the penalty as it would be on the state itself."""
    degree = penalty.degree if penalty.degree and penalty.degree > 0 else 2.0
    return replace(penalty, flaw=None, degree=degree, opaque=())


def _of_readouts(state: StateFacts) -> Iterator[tuple[str, StateFacts]]:
    for index, readout in enumerate(state.readouts):
        if not readout.supervised and readout.visibility in _SEEING:
            heard = replace(readout, supervised=True)
            text = f"Putting the readout `{readout.name}` into the loss"
            yield text, _reading(state, index, heard)
    blind = [r for r in state.readouts if r.supervised and r.visibility is not Visibility.VISIBLE]
    if blind and state.visibility is not Visibility.VISIBLE:
        raw = replace(
            blind[0],
            visibility=Visibility.VISIBLE,
            degree=1.0,
            coverage=1.0,
            up_to_eps=False,
            opaque=(),
        )
        text = (
            f"Reading the raw state in the supervised readout `{raw.name}`, with no norm before it"
        )
        yield text, _reading(state, state.readouts.index(blind[0]), raw)


def _reading(state: StateFacts, index: int, readout: Readout) -> StateFacts:
    """Put a readout in, and let the loss see what the most visible one sees."""
    readouts = (*state.readouts[:index], readout, *state.readouts[index + 1 :])
    order = (*_SEEING, Visibility.UNKNOWN, *reversed(_BLIND))
    seen = {each.visibility for each in readouts if each.supervised}
    visibility = next(each for each in order if each in seen)
    return replace(state, readouts=readouts, visibility=visibility)


def _if_it_were_known(state: StateFacts) -> Iterator[tuple[str, StateFacts]]:
    """Yield either answer to what is not understood."""
    if state.transition is Transition.UNKNOWN:
        what = _operators(tuple(opaque.operator for opaque in state.opaque), "the turn")
        for transition, does in (
            (Transition.CARRIED, "keeps the length"),
            (Transition.REMOVED, "forgets the length"),
        ):
            known = replace(state, transition=transition, opaque=())
            yield f"If it turned out that {what} {does}", known
    if state.visibility is Visibility.UNKNOWN:
        unread = [r for r in state.readouts if r.visibility is Visibility.UNKNOWN]
        names = tuple(opaque.operator for r in unread for opaque in r.opaque)
        what = _operators(names, "what reads the state")
        for visibility, degree, does in (
            (Visibility.VISIBLE, 1.0, "lets the loss see the length"),
            (Visibility.INVARIANT, 0.0, "hides the length from the loss"),
        ):
            readouts = tuple(
                replace(r, visibility=visibility, degree=degree, opaque=()) if r in unread else r
                for r in state.readouts
            )
            known = replace(state, visibility=visibility, readouts=readouts)
            yield f"If it turned out that {what} {does}", known
    for index, penalty in enumerate(state.penalties):
        if penalty.flaw is PenaltyFlaw.UNKNOWN:
            free = replace(penalty, flaw=PenaltyFlaw.SCALE_FREE, degree=0.0, opaque=())
            others = (*state.penalties[:index], free, *state.penalties[index + 1 :])
            text = f"If it turned out that the penalty `{penalty.name}` restrains nothing"
            yield text, replace(state, penalties=others)


def _operators(names: tuple[str, ...], otherwise: str) -> str:
    return ", ".join(dict.fromkeys(names)) or otherwise


def _with(facts: ScaleFacts, loop: LoopFacts, state: StateFacts, changed: StateFacts) -> ScaleFacts:
    """Return the facts with one state changed."""
    states = tuple(changed if each is state else each for each in loop.states)
    loops = tuple(replace(each, states=states) if each is loop else each for each in facts.loops)
    return replace(facts, loops=loops)


def _differences(before: StateFacts, after: StateFacts) -> Iterator[str]:
    for name in _TOLD:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield f"{name.replace('_', ' ')}: {_spelled(old)} -> {_spelled(new)}"
    effective = [sum(p.effective for p in each.penalties) for each in (before, after)]
    if effective[0] != effective[1]:
        yield f"penalties that restrain it: {effective[0]} -> {effective[1]}"
    for old, new in zip(before.readouts, after.readouts, strict=True):
        if old.supervised != new.supervised:
            yield f"readout `{new.name}`: outside the loss -> in the loss"


def _spelled(value: object) -> str:
    match value:
        case Transition() | Visibility():
            return str(value.value)
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case None:
            return "none"
        case _:
            return str(value)
