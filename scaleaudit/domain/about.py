"""Which state a finding is about."""

from __future__ import annotations

from collections.abc import Iterator

from scaleaudit.domain.facts import LoopFacts, ScaleFacts, StateFacts, subject_of
from scaleaudit.domain.finding import Finding


def place_of(finding: Finding, facts: ScaleFacts) -> tuple[int, int] | None:
    """Return the positions of a finding's loop and of its state there; None where it has no one.

    States may have one name, and are told apart by their lines then.
    """
    called = [
        (place, state)
        for place, loop, state in _states(facts)
        if subject_of(state, loop) == finding.subject
    ]
    if len(called) > 1:
        called = [each for each in called if each[1].location == finding.location]
    return called[0][0] if len(called) == 1 else None


def _states(facts: ScaleFacts) -> Iterator[tuple[tuple[int, int], LoopFacts, StateFacts]]:
    for i, loop in enumerate(facts.loops):
        for j, state in enumerate(loop.states):
            yield (i, j), loop, state
