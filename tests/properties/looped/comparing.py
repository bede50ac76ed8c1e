"""Hold what the audit says of a random looped model against what was measured."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from looped.draws import Draw
from looped.measuring import EXACT, Motion, Response, Run, move
from looped.model import NAMES, Looped, build
from looped.objectives import penalty_term
from scaleaudit.capture.capturing import capture
from scaleaudit.capture.targets import Target
from scaleaudit.domain.facts import PenaltyFlaw, ScaleFacts, StateFacts
from scaleaudit.loops.finder import find_loops
from scaleaudit.scale.analysis import analyse

FITS = {
    "flat": {"invariant"},
    "converging": {"asymptotic", "saturating"},
    "rising": {"visible"},
    "falling": {"visible"},
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was met, and what disagrees."""

    transition: str
    visibility: str
    penalty: str
    complaints: tuple[str, ...]


def target_of(model: Looped, *args: Tensor) -> Target:
    """Make a target of a model and its own loss."""

    def target(*, fake: bool) -> Target:
        return Target(
            path=Path(__file__),
            name="Looped",
            model=copy.deepcopy(model),
            args=args,
            kwargs={},
            loss=_own_loss,
            loss_args=args,
            batches=None,
            engine=None,
            rebuild=target,
        )

    return target(fake=False)


def audited(model: Looped, *args: Tensor) -> ScaleFacts:
    """Audit a model as the command line does, from capture to facts."""
    graph = capture(target_of(model, *args)).graph
    return analyse(graph, find_loops(graph))


def _own_loss(model: Looped, tokens: Tensor, targets: Tensor) -> Tensor:
    return model(tokens, targets)


def compare(draw: Draw) -> Comparison:
    """Audit and measure one draw.

    Raises:
        DiscardedError: The numbers tell nothing.
    """
    model, tokens, targets = build(draw)
    run = Run.of(model, tokens)
    seen = run.respond(lambda states, e: model.loss_of_states(states, e, targets))
    motion = move(run)
    facts = audited(model, tokens, targets)
    if len(facts.loops) != 1:
        return Comparison("", "", "", (f"{len(facts.loops)} loops",))
    (loop,) = facts.loops
    if len(loop.states) != 1:
        names = [state.name for state in loop.states]
        return Comparison("", "", "", (f"states {names}",))
    (state,) = loop.states
    complaints = [
        *([f"{loop.turns} turns"] if loop.turns != draw.turns else []),
        *([f"state called {state.name}"] if state.name not in NAMES[draw.written] else []),
        *compare_visibility(state, seen),
        *compare_transition(state, motion),
        *compare_penalty(state, draw, run),
    ]
    return Comparison(
        state.transition.value, state.visibility.value, draw.penalty, tuple(complaints)
    )


def compare_visibility(state: StateFacts, seen: Response) -> list[str]:
    """The loss without penalties."""
    if state.visibility.value in FITS[seen.kind]:
        return []
    return [f"{state.visibility.value}, but the loss is {seen.kind}: {seen.values}, {seen.slopes}"]


def compare_penalty(state: StateFacts, draw: Draw, run: Run) -> list[str]:
    """Whether the penalty restrains length."""
    found = state.penalties
    if draw.penalty in ("none", "embedding"):
        return [f"a penalty where there is none: {found}"] if found else []
    if draw.penalty == "consistency":  # not an attempt at one
        return [f"consistency taken for a penalty: {found}"] if found else []
    measured = run.respond(
        lambda states, e: penalty_term(draw.penalty, states, e, run.model.weight)
    )
    flaws = {penalty.flaw for penalty in found}
    if not flaws or PenaltyFlaw.UNKNOWN in flaws:
        return [f"flaws {flaws} of {draw.penalty}"]
    said = (
        "rising"
        if None in flaws
        else "falling"
        if PenaltyFlaw.NEGATIVE_WEIGHT in flaws
        else "converging"
        if PenaltyFlaw.SATURATING in flaws
        else "flat"
    )
    if said == measured.kind:
        return []
    return [f"penalty {flaws}, but it is {measured.kind}: {measured.values}, {measured.slopes}"]


def compare_transition(state: StateFacts, motion: Motion) -> list[str]:
    """What a turn does to the length."""
    admitted = transitions(motion)
    said = state.transition.value
    if said in admitted or (said == "damped" and state.writes_bounded and motion.stays):
        return []  # damped with bounded writes is bounded by another name
    return [f"{said} with gain {state.gain}, but measured {admitted}: {motion}"]


def transitions(motion: Motion) -> set[str]:
    """The transitions that the numbers admit."""
    if motion.growth > 1.2:
        return {"expanding"}
    if motion.growth < 0.8:
        return {"removed", "bounded"}
    if motion.stays:
        return {"bounded"}
    if not motion.identity:
        return {"linear"}
    if motion.branch > 0.8:
        # A factor that stays below 1, or a free one, beside a branch that grows goes by either name.
        fixed = motion.high >= 1 - EXACT and motion.highest <= 2 + EXACT
        return {"expanding"} if fixed else {"expanding", "linear"}
    if motion.highest > 1 + EXACT:
        return {"expanding"} if motion.lowest >= 1 - EXACT else {"linear"}
    return {"carried"} if motion.high >= 1 - EXACT else {"damped"}
