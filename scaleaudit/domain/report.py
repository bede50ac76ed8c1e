"""A finished audit: every target with its verdict, its facts and its findings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scaleaudit.domain.facts import ScaleFacts
from scaleaudit.domain.finding import Finding


class Verdict(Enum):
    """The answer for a target."""

    FAIL = "fail"
    WARN = "warn"
    PASS = "pass"
    UNKNOWN = "unknown"


class OnUnknown(Enum):
    """Whether a target without a verdict fails a run."""

    FAIL = "fail"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class TargetReport:
    """One audited target; ``facts`` is None where it could not be audited (SCL901).

    Attributes:
        undecided: Why the verdict is unknown, one sentence a reason.
        seconds: Wall time of the audit of this target.
        output: What the model's code printed while it ran (shown on request).
    """

    path: str
    name: str
    verdict: Verdict
    facts: ScaleFacts | None
    findings: tuple[Finding, ...]
    undecided: tuple[str, ...] = ()
    seconds: float = 0.0
    output: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All targets of a run, with the versions that judged them.

    Attributes:
        skipped: Files met while walking a folder that hold no model, with the reason.
        sources: Text of every source file that a finding names, by path, for excerpts.
    """

    version: str
    torch_version: str
    targets: tuple[TargetReport, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    sources: tuple[tuple[str, str], ...] = ()
