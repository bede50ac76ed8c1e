"""From two reports to what changed between them."""

from __future__ import annotations

from collections.abc import Iterator

from scaleaudit.comparing.findings import finding_changes
from scaleaudit.comparing.matching import pair_loops, pair_states, pair_targets
from scaleaudit.comparing.states import state_changes
from scaleaudit.domain.comparison import Comparison, Effect, FactChange, TargetChange
from scaleaudit.domain.facts import LoopFacts, Opaque, ScaleFacts, StateFacts, subject_of
from scaleaudit.domain.report import Report, TargetReport


def compare(before: Report, after: Report, names: tuple[str, str]) -> Comparison:
    """Say what changed.

    Args:
        before: The first report.
        after: The second.
        names: What each of them is of, in words.
    """
    pairs = pair_targets(before.targets, after.targets)
    return Comparison(
        *names,
        targets=tuple(_target(old, new) for old, new in pairs),
        notes=tuple(_notes(before, after)),
    )


def _notes(before: Report, after: Report) -> Iterator[str]:
    if before.version != after.version:
        yield f"Version {before.version} of scaleaudit judged the first, {after.version} the second."
    old = {rule.code for rule in before.rules}
    new = {rule.code for rule in after.rules}
    if old and new and old != new:
        for which, codes in (("first", old - new), ("second", new - old)):
            if codes:
                yield f"Only the {which} was held against {', '.join(sorted(codes))}."


def _target(before: TargetReport | None, after: TargetReport | None) -> TargetChange:
    shown = after or before
    assert shown is not None
    renamed = {} if before is None or after is None else _renamed(before, after)
    return TargetChange(
        path=shown.path,
        name=shown.name,
        before=before.verdict if before else None,
        after=after.verdict if after else None,
        facts=tuple(_facts(before, after)) if before and after else (),
        findings=tuple(finding_changes(before, after, renamed)),
    )


def _facts(before: TargetReport, after: TargetReport) -> Iterator[FactChange]:
    if (before.path, before.name) != (after.path, after.name):
        yield FactChange(f"It was `{before.path}::{before.name}` before.")
    old, new = before.facts, after.facts
    if old is None or new is None:
        if old is not new:
            effect = Effect.WORSE if new is None else Effect.NEUTRAL
            yield FactChange(
                "It can no longer be audited." if new is None else "It can be audited now.", effect
            )
        return
    if old.loss_found != new.loss_found:
        yield FactChange("A loss is found now." if new.loss_found else "No loss is found any more.")
    for old_loop, new_loop in pair_loops(old.loops, new.loops):
        yield from _loop(old_loop, new_loop)
    yield from _operators(old, new)
    yield from _certification(old, new)


def _loop(before: LoopFacts | None, after: LoopFacts | None) -> Iterator[FactChange]:
    if before is None and after is not None:
        yield FactChange(
            f"A loop `{after.name}` was added ({_states(after)}).", location=after.location
        )
    elif after is None and before is not None:
        yield FactChange(
            f"The loop `{before.name}` is gone ({_states(before)}).", location=before.location
        )
    elif before is not None and after is not None:
        if before.name != after.name:
            yield FactChange(
                f"Loop `{before.name}` is called `{after.name}` now.", location=after.location
            )
        if before.turns != after.turns:
            text = f"Loop `{after.name}` goes from {before.turns} turns to {after.turns}."
            yield FactChange(text, location=after.location)
        for old, new in pair_states(before.states, after.states):
            yield from _state(old, new, after)


def _states(loop: LoopFacts) -> str:
    names = ", ".join(f"`{state.name}`" for state in loop.states)
    return f"states: {names}" if names else "no states"


def _state(
    before: StateFacts | None, after: StateFacts | None, loop: LoopFacts
) -> Iterator[FactChange]:
    if before is None and after is not None:
        text = f"A state `{after.name}` of loop `{loop.name}` was added: {_summary(after)}."
        yield FactChange(text, location=after.location)
    elif after is None and before is not None:
        text = (
            f"The state `{before.name}` of loop `{loop.name}` is gone; it was {_summary(before)}."
        )
        yield FactChange(text, location=before.location)
    elif before is not None and after is not None:
        yield from state_changes(before, after)


def _summary(state: StateFacts) -> str:
    return f"{state.transition.value}, and {state.visibility.value} to the loss"


def _operators(before: ScaleFacts, after: ScaleFacts) -> Iterator[FactChange]:
    """Yield operators that are understood no longer, or at last; lines don't matter."""
    old = {opaque.operator: opaque for opaque in before.coverage.unknown}
    new = {opaque.operator: opaque for opaque in after.coverage.unknown}
    for operator, opaque in new.items():
        if operator not in old:
            yield FactChange(
                f"Operator {operator} is not understood: {opaque.reason}.",
                Effect.WORSE if _decides(opaque, after) else Effect.NEUTRAL,
                opaque.location,
            )
    for operator in old:
        if operator not in new:
            yield FactChange(f"Operator {operator}, which is not understood, is gone.")


def _decides(opaque: Opaque, facts: ScaleFacts) -> bool:
    return opaque in facts.coverage.deciding


def _certification(before: ScaleFacts, after: ScaleFacts) -> Iterator[FactChange]:
    old, new = before.certification, after.certification
    if old is not None and new is not None and old.outcome is not new.outcome:
        yield FactChange(f"Certification went from {old.outcome.value} to {new.outcome.value}.")


def _renamed(before: TargetReport, after: TargetReport) -> dict[str, str]:
    """Return what findings of states that are called otherwise now are about."""
    if before.facts is None or after.facts is None:
        return {}
    return {
        subject_of(old, old_loop): subject_of(new, new_loop)
        for old_loop, new_loop in pair_loops(before.facts.loops, after.facts.loops)
        if old_loop is not None and new_loop is not None
        for old, new in pair_states(old_loop.states, new_loop.states)
        if old is not None and new is not None
    }
