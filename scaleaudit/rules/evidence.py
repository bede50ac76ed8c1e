"""Findings from a rule and its subject: places, proof, confidence, order."""

from __future__ import annotations

from scaleaudit.domain.facts import (
    PenaltyFlaw,
    ScaleFacts,
    StateFacts,
    Transition,
    Visibility,
)
from scaleaudit.domain.finding import Confidence, Finding, Related, Severity
from scaleaudit.domain.graph import Location, NoteKind
from scaleaudit.rules.binding import Binding
from scaleaudit.rules.fingerprint import fingerprint
from scaleaudit.rules.judgement import deciding_readouts
from scaleaudit.rules.rule import Rule

_SEVERITIES = tuple(Severity)  # most severe first
# Where a comment can accept a finding, beside the line that it points at.
_ANCHORS = ("state.location", "loop.location", "readout.location", "readouts.location")
_RELATED_SHOWN = 8  # a loop unrolled by hand may have a readout a line


def build(rule: Rule, severity: Severity, bound: Binding, confidence: Confidence) -> Finding:
    """Make the finding of a rule that fires on a subject."""
    places = [place for name in rule.location for place in bound.places.get(name, ())]
    primary = places[0] if places else None
    steps = (step for name in rule.proof for step in bound.proofs.get(name, ()))
    proof = tuple(dict.fromkeys(steps))  # a second proof starts where the first one did
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=severity,
        confidence=confidence,
        message=rule.message.render(bound.values),
        location=primary,
        subject=bound.subject,
        proof=proof,
        related=_related(rule, bound, primary),
        fixes=rule.fixes,
        fingerprint=fingerprint(rule, bound),
        anchors=tuple(place for name in _ANCHORS for place in bound.places.get(name, ())),
    )


def in_order(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Sort by severity, code and place."""
    return tuple(sorted(findings, key=_position))


def confidence_in_target(facts: ScaleFacts) -> Confidence:
    """Proven on the program as it runs; likely where branches or the loss were guessed."""
    guessed = any(note.kind is NoteKind.ORACLE for note in facts.coverage.notes)
    return Confidence.LIKELY if guessed or not facts.loss_found else Confidence.PROVEN


def confidence_in_state(state: StateFacts, facts: ScaleFacts) -> Confidence:
    """Proven where everything known of a state is known exactly, up to a norm's eps."""
    deciding = deciding_readouts(state, facts)
    inexact = (
        state.transition is Transition.UNKNOWN
        or state.visibility in (Visibility.UNKNOWN, Visibility.ASYMPTOTIC)
        or any(readout.visibility is Visibility.UNKNOWN for readout in deciding)
        or any(readout.coverage is None for readout in deciding)
        or any(penalty.flaw is PenaltyFlaw.UNKNOWN for penalty in state.penalties)
    )
    return Confidence.LIKELY if inexact else confidence_in_target(facts)


def _related(rule: Rule, bound: Binding, primary: Location | None) -> tuple[Related, ...]:
    shown: dict[Location, Related] = {}
    for related in rule.related:
        for place in bound.places.get(related.at, ()):
            if place != primary and place not in shown:
                shown[place] = Related(place, related.text.render(bound.values))
    return tuple(shown.values())[:_RELATED_SHOWN]


def _position(finding: Finding) -> tuple[int, str, str, int, int, str, str]:
    place = finding.location or Location("", 0)
    return (
        _SEVERITIES.index(finding.severity),
        finding.code,
        place.path,
        place.line,
        place.column,
        finding.subject,
        finding.message,
    )
