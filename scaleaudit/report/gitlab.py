"""The report as GitLab's code quality: https://docs.gitlab.com/ci/testing/code_quality/.

The widget of a merge request compares fingerprints with those of the target branch, and shows one
entry a fingerprint: they must not depend on lines, and none may occur twice.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from scaleaudit.domain.finding import Finding, Severity
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Report, TargetReport
from scaleaudit.report.encoding import Json, json_text, whole
from scaleaudit.report.summaries import (
    ranked,
    stale_text,
    suppressed_text,
    target_text,
    undecided,
)
from scaleaudit.report.terminal import printable

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.NOTE: "info"}


@dataclass(frozen=True, slots=True)
class _Issue:
    """An entry of the widget; ``identity`` tells it from all others wherever it stands."""

    check: str
    severity: str
    text: str
    location: Location
    identity: tuple[str, ...]


def to_gitlab(report: Report) -> str:
    """Write a report as a code quality artifact."""
    seen: Counter[tuple[str, ...]] = Counter()
    document: list[Json] = []
    for issue in _issues(report):
        seen[issue.identity] += 1
        document.append(_entry(issue, seen[issue.identity]))
    return json_text(document)


def _issues(report: Report) -> Iterator[_Issue]:
    for target, finding in ranked(report):
        yield _issue(target, finding, printable(finding.message), _SEVERITIES[finding.severity])
    for target in report.targets:
        for reason in undecided(target):
            text = f"{printable(target_text(target))}: the verdict is unknown: {printable(reason)}"
            place = Location(target.path, 1)
            yield _Issue("undecided", "major", text, place, (target.path, target.name, "undecided"))
        for suppressed in target.suppressed:
            text = f"suppressed: {printable(suppressed_text(suppressed))}"
            yield _issue(target, suppressed.finding, text, "info")
    for entry in report.stale:
        identity = (entry.path, entry.target, "stale", entry.code, entry.fingerprint)
        text = printable(stale_text(entry))
        yield _Issue("stale-baseline", "info", text, Location(entry.path, 1), identity)
    for left in report.skipped:
        text = printable(f"{left.path}: skipped: {left.reason}")
        yield _Issue("skipped", "info", text, Location(left.path, 1), (left.path, "skipped"))


def _issue(target: TargetReport, finding: Finding, text: str, severity: str) -> _Issue:
    place = finding.location or Location(target.path, 1)
    identity = (target.path, target.name, severity, finding.code, finding.fingerprint)
    return _Issue(finding.code, severity, text, place, identity)


def _entry(issue: _Issue, number: int) -> Json:
    identity = "\0".join((*issue.identity, str(number)))
    first = max(issue.location.line, 1)
    return {
        "type": "issue",
        "check_name": printable(issue.check),
        "description": issue.text,
        "categories": ["Bug Risk"],
        "severity": issue.severity,
        "fingerprint": hashlib.sha256(whole(identity).encode()).hexdigest(),
        "location": {
            "path": printable(issue.location.path),
            "lines": {"begin": first, "end": max(issue.location.end_line, first)},
        },
    }
