"""Why a verdict is unknown: which fact of which state, for which operator on which line."""

from __future__ import annotations

from collections.abc import Iterator

from scaleaudit.domain.facts import (
    Opaque,
    PenaltyFlaw,
    ScaleFacts,
    StateFacts,
    Transition,
    Visibility,
)
from scaleaudit.rules.binding import Binding
from scaleaudit.rules.judgement import deciding_readouts
from scaleaudit.rules.rule import Rule


def reasons(
    rule: Rule, bound: Binding, state: StateFacts | None, facts: ScaleFacts
) -> Iterator[str]:
    """Yield a sentence for everything that keeps a rule from an answer."""
    causes = [] if state is None else list(_causes(state, facts))
    for cause in causes:
        yield f"{bound.subject}: {cause}"
    if not causes:
        conditions = (rule.when, *(condition for _, condition in rule.severity_when))
        named = dict.fromkeys(name for each in conditions for name in each.mentions)
        missing = ", ".join(name for name in named if name not in bound.values)
        yield f"{bound.subject}: {rule.code} has no answer, not known: {missing or 'its condition'}"


def deciding_operators(state: StateFacts, facts: ScaleFacts) -> tuple[Opaque, ...]:
    """Return the operators for which the state's transition, visibility or penalties are unknown."""
    found: dict[Opaque, None] = {}
    if state.transition is Transition.UNKNOWN:
        found |= dict.fromkeys(state.opaque)
    if state.visibility is Visibility.UNKNOWN:
        found |= dict.fromkeys(_unread(state, facts))
    for penalty in state.penalties:
        found |= dict.fromkeys(penalty.opaque)
    return tuple(found)


def _causes(state: StateFacts, facts: ScaleFacts) -> Iterator[str]:
    if state.transition is Transition.UNKNOWN:
        yield f"what a turn does to its length is not known{_because(state.opaque)}"
    if state.visibility is Visibility.UNKNOWN:
        unread = _unread(state, facts)
        yield f"what the loss sees of its length is not known{_because(unread)}"
    for penalty in state.penalties:
        if penalty.flaw is PenaltyFlaw.UNKNOWN:
            place = f" at {penalty.location}" if penalty.location else ""
            yield f"whether the penalty `{penalty.name}`{place} restrains it is not known"


def _unread(state: StateFacts, facts: ScaleFacts) -> tuple[Opaque, ...]:
    return tuple(
        opaque
        for readout in deciding_readouts(state, facts)
        if readout.visibility is Visibility.UNKNOWN
        for opaque in readout.opaque
    )


def _because(operators: tuple[Opaque, ...]) -> str:
    if not operators:
        return ""
    first = operators[0]
    place = f" at {first.location}" if first.location else ""
    more = f" and {len(operators) - 1} more" if len(operators) > 1 else ""
    return f": operator {first.operator}{place} ({first.reason}){more}"
