"""All source lines that a report speaks of."""

from __future__ import annotations

from collections.abc import Iterator

from scaleaudit.domain.facts import (
    Opaque,
    Penalty,
    ProofStep,
    Readout,
    ScaleFacts,
    StateFacts,
)
from scaleaudit.domain.finding import Finding
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import TargetReport


def finding_places(target: TargetReport) -> Iterator[Location]:
    """Yield where the findings of a target lie, accepted ones too."""
    for finding in (*target.findings, *(each.finding for each in target.suppressed)):
        yield from _of_finding(finding)


def all_places(target: TargetReport) -> Iterator[Location]:
    """Yield every place that anything said of a target names."""
    yield from finding_places(target)
    if target.facts is not None:
        yield from (place for place in _of_facts(target.facts) if place is not None)


def _of_finding(finding: Finding) -> Iterator[Location]:
    steps = (step.location for step in finding.proof)
    found = (finding.location, *steps, *(related.location for related in finding.related))
    return (place for place in found if place is not None)


def _of_facts(facts: ScaleFacts) -> Iterator[Location | None]:
    for loop in facts.loops:
        yield loop.location
        for state in loop.states:
            yield from _of_state(state)
    yield from (opaque.location for opaque in facts.coverage.unknown)
    yield from (note.location for note in facts.coverage.notes)
    if facts.certification is not None:
        yield from (each.location for each in facts.certification.disagreements)


def _of_state(state: StateFacts) -> Iterator[Location | None]:
    yield from (state.location, state.branch_location, state.bypassed_norm)
    yield state.gain.location if state.gain is not None else None
    if state.picture is not None:
        yield from (box.location for box in state.picture.boxes)
    yield from _of_steps(state.transition_proof, state.opaque)
    terms: tuple[Readout | Penalty, ...] = (*state.readouts, *state.penalties)
    for term in terms:
        yield term.location
        yield from _of_steps(term.proof, term.opaque)


def _of_steps(
    steps: tuple[ProofStep, ...], opaque: tuple[Opaque, ...]
) -> Iterator[Location | None]:
    yield from (step.location for step in steps)
    yield from (each.location for each in opaque)
