"""Fingerprints made whole: the fault, then the shape of the statement, then a number.

The first part comes from the rules. It is joined by the shape of the statement that the finding
points at, so that two states with the same fault are told apart, and equal ones in a target are
numbered from the second on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from scaleaudit.domain.finding import Finding
from scaleaudit.domain.report import TargetReport
from scaleaudit.triage.shapes import shape_of
from scaleaudit.triage.sources import SourceFile


@dataclass(frozen=True, slots=True)
class Print:
    """A fingerprint, taken apart: ``fault-statement.number``."""

    fault: str
    statement: str

    def __str__(self) -> str:
        return f"{self.fault}-{self.statement}" if self.statement else self.fault


def parsed(fingerprint: str) -> Print:
    """Take a fingerprint apart; its number says nothing of what it stands for."""
    fault, _, statement = fingerprint.partition(".")[0].partition("-")
    return Print(fault, statement)


def completed(target: TargetReport, files: Mapping[str, SourceFile]) -> TargetReport:
    """Complete and number the fingerprints of a target."""
    seen: Counter[str] = Counter()

    def complete(finding: Finding) -> Finding:
        whole = str(Print(finding.fingerprint, _statement(finding, files)))
        seen[whole] += 1
        number = f".{seen[whole]}" if seen[whole] > 1 else ""
        return replace(finding, fingerprint=whole + number)

    return replace(
        target,
        findings=tuple(complete(finding) for finding in target.findings),
        suppressed=tuple(
            replace(each, finding=complete(each.finding)) for each in target.suppressed
        ),
    )


def _statement(finding: Finding, files: Mapping[str, SourceFile]) -> str:
    place = finding.location
    file = files.get(place.path) if place is not None else None
    return shape_of(file, place) if file is not None and place is not None else ""
