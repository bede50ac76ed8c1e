"""The report as SARIF 2.1.0, for code scanning and editors: the proof as a code flow.

What GitHub's code scanning takes is less than what the standard allows, so its limits are kept:
https://docs.github.com/en/code-security/code-scanning/troubleshooting-sarif-uploads/results-exceed-limit
"""

from __future__ import annotations

from collections.abc import Iterator

from scaleaudit.domain.facts import ProofStep
from scaleaudit.domain.finding import Confidence, Finding, Related, Severity, Suppressed
from scaleaudit.domain.finding import SuppressionKind as Kind
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Report, RuleDocument, TargetReport
from scaleaudit.report.encoding import Json, json_text
from scaleaudit.report.proofs import fold
from scaleaudit.report.sarif_parts import ROOT, fixes_of, sarif_location, sarif_message
from scaleaudit.report.summaries import ranked, stale_text, target_text, undecided
from scaleaudit.report.terminal import printable
from scaleaudit.report.words import counted

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
# A verdict that is open is no rule's finding.
UNDECIDED = "undecided"
# What GitHub takes of a run, of a result's code flow and of its further locations.
MOST_RESULTS, MOST_STEPS, MOST_RELATED = 25_000, 10_000, 1_000
# A proof of more steps than GitHub shows is told with its repetitions folded.
_SHOWN_STEPS = 1_000

_PRECISION = {Severity.ERROR: "high", Severity.WARNING: "medium", Severity.NOTE: "low"}


def to_sarif(report: Report) -> str:
    """Write a report as a SARIF log of one run."""
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [_Run(report).document()]})


class _Run:
    """One run; rules are referred to by their position."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._paths = [path for path, _ in report.sources]
        self._positions = {rule.code: index for index, rule in enumerate(report.rules)}

    def document(self) -> Json:
        results = list(self._results())
        return {
            "tool": {
                "driver": {
                    "name": "scaleaudit",
                    "semanticVersion": self._report.version,
                    "rules": [*(_rule(rule) for rule in self._report.rules), _undecided_rule()],
                }
            },
            "automationDetails": {"id": "scaleaudit/"},
            "columnKind": "unicodeCodePoints",  # as Python counts the characters of a line
            "originalUriBaseIds": {
                ROOT: {"description": sarif_message("The folder in which the audit was started.")}
            },
            "invocations": [self._invocation(len(results) - MOST_RESULTS)],
            "results": results[:MOST_RESULTS],
            "properties": {"torch": printable(self._report.torch_version)},
        }

    def _results(self) -> Iterator[Json]:
        """Yield what is found, most severe first; then what is open; then what is accepted."""
        for target, finding in ranked(self._report):
            yield self._result(target, finding)
        for target in self._report.targets:
            for reason in undecided(target):
                yield self._open(target, reason)
        for target in self._report.targets:
            for suppressed in target.suppressed:
                result = self._result(target, suppressed.finding)
                yield {**result, "suppressions": [_suppression(suppressed)]}

    def _result(self, target: TargetReport, finding: Finding) -> dict[str, Json]:
        text = "\n\n".join((printable(finding.message), *_ways_out(finding)))
        result: dict[str, Json] = {
            "ruleId": printable(finding.code),
            "level": finding.severity.value,
            "message": sarif_message(text),
            "locations": [_result_location(target, finding)],
            "properties": _properties(target, finding),
        }
        if finding.code in self._positions:
            result["ruleIndex"] = self._positions[finding.code]
        if finding.fingerprint:
            result["partialFingerprints"] = {"scaleaudit/v1": printable(finding.fingerprint)}
        if finding.proof:
            result["codeFlows"] = [_code_flow(finding.proof)]
        if finding.related:
            result["relatedLocations"] = _related(finding.related)
        fixes = list(fixes_of(finding, self._paths))
        if fixes:
            result["fixes"] = fixes
        return result

    def _open(self, target: TargetReport, reason: str) -> Json:
        return {
            "ruleId": UNDECIDED,
            "ruleIndex": len(self._report.rules),
            "kind": "open",
            "level": "none",
            "message": sarif_message(f"The verdict is unknown: {printable(reason)}"),
            "locations": [sarif_location(Location(target.path, 1))],
            "properties": {"target": printable(target_text(target))},
        }

    def _invocation(self, left_out: int) -> Json:
        broken = [target for target in self._report.targets if target.facts is None]
        notes = [_notification(text, path) for path, text in self._asides()]
        if left_out > 0:
            notes.append(_notification(f"{counted(left_out, 'more result')} left out of this file"))
        failures = [_failure(finding) for target in broken for finding in target.findings]
        return {
            "executionSuccessful": not broken,
            "toolExecutionNotifications": [*failures, *notes],
        }

    def _asides(self) -> Iterator[tuple[str, str]]:
        for left in self._report.skipped:
            yield left.path, f"{left.path}: skipped: {left.reason}"
        for entry in self._report.stale:
            yield entry.path, stale_text(entry)


def _rule(rule: RuleDocument) -> Json:
    return {
        "id": printable(rule.code),
        "name": printable(rule.name),
        "shortDescription": sarif_message(printable(rule.summary)),
        "fullDescription": sarif_message(printable(rule.summary)),
        "help": {"text": rule.help or rule.summary, "markdown": rule.help or rule.summary},
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {
            "status": rule.status,
            "since": rule.since,
            "references": [printable(reference) for reference in rule.references],
            "precision": _PRECISION[rule.severity],
            "problem.severity": _problem(rule.severity),
            "tags": ["numerical-stability", printable(rule.status)],
        },
    }


def _undecided_rule() -> Json:
    text = "No rule that could be an error has an answer, so the target has no verdict."
    return {
        "id": UNDECIDED,
        "name": "verdict-unknown",
        "shortDescription": sarif_message(text),
        "help": {"text": text},
        "defaultConfiguration": {"level": "none"},
    }


def _problem(severity: Severity) -> str:
    """Spell a severity as code scanning sorts alerts by it."""
    return "recommendation" if severity is Severity.NOTE else severity.value


def _properties(target: TargetReport, finding: Finding) -> Json:
    return {
        "target": printable(target_text(target)),
        "verdict": target.verdict.value,
        "subject": printable(finding.subject),
        "confidence": finding.confidence.value,
        "fixes": [{"text": fix.text, "code": fix.code} for fix in finding.fixes],
    }


def _ways_out(finding: Finding) -> Iterator[str]:
    """Yield what can be done, in words: that an edit of the source is right was not tried."""
    for fix in finding.fixes:
        yield f"Fix: {printable(fix.text)}"
    if finding.confidence is not Confidence.PROVEN:
        yield f"Confidence: {finding.confidence.value}."


def _code_flow(proof: tuple[ProofStep, ...]) -> Json:
    """Write a proof as one thread: the value on its way from the state to the loss."""
    steps = list(_steps(proof))
    shown = steps[:MOST_STEPS]
    if len(steps) > MOST_STEPS:
        step, _ = shown[-1]
        more = counted(len(steps) - MOST_STEPS, "more step")
        shown[-1] = step, f"{step.text} ({more} left out)"
    flow = [_step(index, step, text) for index, (step, text) in enumerate(shown)]
    return {"threadFlows": [{"locations": flow}]}


def _steps(proof: tuple[ProofStep, ...]) -> Iterator[tuple[ProofStep, str]]:
    if len(proof) <= _SHOWN_STEPS:
        yield from ((step, step.text) for step in proof)
        return
    for run in fold(proof):
        for index, step in enumerate(run.steps, 1):
            last = index == len(run.steps) and run.times > 1
            steps = counted(len(run.steps), "step")
            times = counted(run.times - 1, "more time")
            yield step, f"{step.text} (the last {steps} repeat {times})" if last else step.text


def _step(index: int, step: ProofStep, text: str) -> Json:
    degree = "unknown" if step.degree is None else f"{step.degree:g}"
    said = sarif_message(f"{printable(text)} ({printable(step.operator)}, degree {degree})")
    location: dict[str, Json] = {"message": said}
    if step.location is not None:
        location = {**sarif_location(step.location), **location}
    return {"executionOrder": index, "location": location, "importance": "essential"}


def _related(related: tuple[Related, ...]) -> Json:
    return [
        {
            "id": number,
            **sarif_location(each.location),
            "message": sarif_message(printable(each.text)),
        }
        for number, each in enumerate(related[:MOST_RELATED], 1)
    ]


def _result_location(target: TargetReport, finding: Finding) -> Json:
    """Place a result; one that names no line stands at the head of its file."""
    location = sarif_location(finding.location or Location(target.path, 1))
    if finding.subject:
        location["logicalLocations"] = [{"fullyQualifiedName": printable(finding.subject)}]
    return location


def _suppression(suppressed: Suppressed) -> Json:
    document: dict[str, Json] = {
        "kind": "inSource" if suppressed.kind is Kind.COMMENT else "external",
        "status": "accepted",
        "justification": printable(suppressed.reason or f"accepted by a {suppressed.kind.value}"),
    }
    if suppressed.location is not None:
        document["location"] = sarif_location(suppressed.location)
    return document


def _failure(finding: Finding) -> Json:
    document: dict[str, Json] = {
        "level": "error",
        "message": sarif_message(printable(finding.message)),
        "associatedRule": {"id": printable(finding.code)},
    }
    if finding.location is not None:
        document["locations"] = [sarif_location(finding.location)]
    return document


def _notification(text: str, path: str = "") -> Json:
    document: dict[str, Json] = {"level": "note", "message": sarif_message(printable(text))}
    if path:
        document["locations"] = [sarif_location(Location(path, 0))]
    return document
