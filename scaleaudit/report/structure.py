"""The report as JSON: a contract with its own version, built by hand from the types.

Fields may be added, none renamed; so an internal rename breaks no user. The schema is
``schema.json`` beside this file.
"""

from __future__ import annotations

import math

from scaleaudit.domain.facts import (
    Certification,
    Coverage,
    Gain,
    LoopFacts,
    Opaque,
    Penalty,
    ProofStep,
    Readout,
    StateFacts,
)
from scaleaudit.domain.finding import Finding, Fix, Suppressed
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Report, RuleDocument, Run, Skipped, StaleEntry, TargetReport
from scaleaudit.report.encoding import Json, json_text
from scaleaudit.report.pictures import picture_document
from scaleaudit.report.probing import probe_document
from scaleaudit.report.quoting import Quote, quotes

SCHEMA_VERSION = 1


def to_json(report: Report) -> str:
    """Write a report as JSON text."""
    return json_text(report_document(report))


def report_document(report: Report) -> Json:
    """Return a report as JSON."""
    fired = {
        finding.code
        for target in report.targets
        for finding in (*target.findings, *(each.finding for each in target.suppressed))
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "scaleaudit": report.version,
        "torch": report.torch_version,
        "run": _run(report.run),
        "targets": [_target(target) for target in report.targets],
        "skipped": [_skipped(left) for left in report.skipped],
        "rules": [_rule(rule, fired=rule.code in fired) for rule in report.rules],
        "stale": [_stale(entry) for entry in report.stale],
        "excerpts": [_excerpt(quote) for quote in quotes(report)],
    }


def _run(run: Run | None) -> Json:
    if run is None:
        return None
    revision: Json = {"commit": run.commit, "modified": run.modified} if run.commit else None
    return {
        "command": list(run.command),
        "date": run.date,
        "python": run.python,
        "revision": revision,
    }


def _excerpt(quote: Quote) -> Json:
    return {"path": quote.path, "line": quote.line, "text": "\n".join(quote.lines)}


def _skipped(left: Skipped) -> Json:
    return {"path": left.path, "reason": left.reason, "kind": left.kind.value}


def _target(target: TargetReport) -> Json:
    facts = target.facts
    return {
        "path": target.path,
        "name": target.name,
        "verdict": target.verdict.value,
        "undecided": list(target.undecided),
        "seconds": round(target.seconds, 3),
        "loss_found": facts.loss_found if facts else None,
        "loops": [_loop(loop) for loop in facts.loops] if facts else [],
        "findings": [finding_document(finding) for finding in target.findings],
        "suppressed": [_suppressed(each) for each in target.suppressed],
        "coverage": _coverage(facts.coverage) if facts else None,
        "certification": _certification(facts.certification) if facts else None,
        "probe": probe_document(facts.probe) if facts else None,
    }


def _loop(loop: LoopFacts) -> Json:
    return {
        "name": loop.name,
        "turns": loop.turns,
        "turns_from": loop.turns_from.value if loop.turns_from else None,
        "location": location_document(loop.location),
        "states": [_state(state) for state in loop.states],
    }


def _state(state: StateFacts) -> Json:
    return {
        "name": state.name,
        "shape": list(state.shape),
        "dtype": state.dtype,
        "carried_dtype": state.carried_dtype or state.dtype,
        "transition": state.transition.value,
        "visibility": state.visibility.value,
        "period": state.period,
        "gain": _gain(state.gain),
        "identity_path": _identity_path(state.gain),
        "branch_degree": _number(state.branch_degree),
        "branch_location": location_document(state.branch_location),
        "bypassed_norm": location_document(state.bypassed_norm),
        "writes_bounded": state.writes_bounded,
        "weighted_cycle": state.weighted_cycle,
        "seen_through": list(state.seen_through),
        "location": location_document(state.location),
        "transition_proof": _proof(state.transition_proof),
        "readouts": [_readout(readout) for readout in state.readouts],
        "penalties": [_penalty(penalty) for penalty in state.penalties],
        "opaque": [_opaque(opaque) for opaque in state.opaque],
        "picture": picture_document(state.picture),
    }


def _gain(gain: Gain | None) -> Json:
    """Write the ends of an interval; an end without limit is null."""
    return [_number(gain.low), _number(gain.high)] if gain is not None else None


def _identity_path(gain: Gain | None) -> Json:
    """Say of the factor what two numbers cannot."""
    if gain is None:
        return None
    return {
        "low_open": gain.low_open,
        "high_open": gain.high_open,
        "learned": gain.learned,
        "location": location_document(gain.location),
    }


def _readout(readout: Readout) -> Json:
    return {
        "name": readout.name,
        "visibility": readout.visibility.value,
        "degree": _number(readout.degree),
        "supervised": readout.supervised,
        "turns": list(readout.turns),
        "coverage": _number(readout.coverage),
        "up_to_eps": readout.up_to_eps,
        "location": location_document(readout.location),
        "proof": _proof(readout.proof),
        "opaque": [_opaque(opaque) for opaque in readout.opaque],
    }


def _penalty(penalty: Penalty) -> Json:
    return {
        "name": penalty.name,
        "effective": penalty.effective,
        "reason": penalty.flaw.value if penalty.flaw else None,
        "degree": _number(penalty.degree),
        "location": location_document(penalty.location),
        "proof": _proof(penalty.proof),
        "opaque": [_opaque(opaque) for opaque in penalty.opaque],
    }


def finding_document(finding: Finding) -> dict[str, Json]:
    """Return a finding as JSON."""
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "message": finding.message,
        "subject": finding.subject,
        "location": location_document(finding.location),
        "proof": _proof(finding.proof),
        "related": [
            {"location": location_document(related.location), "text": related.text}
            for related in finding.related
        ],
        "fixes": [_fix(fix) for fix in finding.fixes],
        "fingerprint": finding.fingerprint,
    }


def _fix(fix: Fix) -> Json:
    return {
        "text": fix.text,
        "code": fix.code,
        "kind": fix.kind.value if fix.kind else None,
        "diff": fix.diff,
        **({"note": fix.note} if fix.note else {}),
    }


def _suppressed(suppressed: Suppressed) -> Json:
    return {
        **finding_document(suppressed.finding),
        "suppression": {
            "kind": suppressed.kind.value,
            "reason": suppressed.reason,
            "location": location_document(suppressed.location),
        },
    }


def _rule(rule: RuleDocument, *, fired: bool) -> Json:
    """Write a rule; what its page says, where it found something."""
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity.value,
        "status": rule.status,
        "since": rule.since or None,
        "summary": rule.summary or None,
        "help": (rule.help or None) if fired else None,
        "references": list(rule.references),
    }


def _stale(entry: StaleEntry) -> Json:
    return {
        "path": entry.path,
        "target": entry.target,
        "code": entry.code,
        "fingerprint": entry.fingerprint,
        "message": entry.message,
    }


def _coverage(coverage: Coverage) -> Json:
    return {
        "operators": coverage.operators,
        "distinct_operators": coverage.distinct,
        "unknown": [
            {**_opaque(opaque), "decides": opaque in coverage.deciding}
            for opaque in coverage.unknown
        ],
        "declared": [
            {"operator": law.operator, "where": law.where, "law": str(law)}
            for law in coverage.declared
        ],
        "branches": [
            {"message": note.message, "location": location_document(note.location)}
            for note in coverage.branches
        ],
        "supervision": {
            "loss": coverage.supervision.loss.value,
            "name": coverage.supervision.name or None,
            "outputs": list(coverage.supervision.outputs),
        },
        "notes": [
            {
                "kind": note.kind.value,
                "message": note.message,
                "location": location_document(note.location),
            }
            for note in coverage.notes
        ],
    }


def _certification(found: Certification | None) -> Json:
    if found is None:
        return None
    return {
        "outcome": found.outcome.value,
        "compared": found.compared,
        "untold": found.untold,
        "reasons": list(found.reasons),
        "disagreements": [
            {
                "location": location_document(each.location),
                "operator": each.operator,
                "claim": each.claim,
                "measured": each.measured,
            }
            for each in found.disagreements
        ],
    }


def _proof(steps: tuple[ProofStep, ...]) -> Json:
    return [
        {
            "location": location_document(step.location),
            "operator": step.operator,
            "degree": _number(step.degree),
            "text": step.text,
        }
        for step in steps
    ]


def _opaque(opaque: Opaque) -> dict[str, Json]:
    return {
        "operator": opaque.operator,
        "location": location_document(opaque.location),
        "reason": opaque.reason,
    }


def location_document(location: Location | None) -> Json:
    """Return a place as JSON."""
    if location is None:
        return None
    return {
        "path": location.path,
        "line": location.line,
        "column": location.column,
        "end_line": location.end_line,
        "end_column": location.end_column,
    }


def _number(value: float | None) -> Json:
    """Write a number; JSON has no word for infinity."""
    return value if value is not None and math.isfinite(value) else None
