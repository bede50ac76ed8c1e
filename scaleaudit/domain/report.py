"""A finished audit: every target with its verdict, its facts and its findings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scaleaudit.domain.facts import ScaleFacts
from scaleaudit.domain.finding import Finding, Severity, Suppressed


class Verdict(Enum):
    """The answer for a target."""

    FAIL = "fail"
    WARN = "warn"
    PASS = "pass"
    UNKNOWN = "unknown"


def verdict_of(findings: tuple[Finding, ...], undecided: tuple[str, ...]) -> Verdict:
    """Draw a verdict: fail with an error, else unknown where undecided, else warn, else pass."""
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return Verdict.FAIL
    if undecided:
        return Verdict.UNKNOWN
    return Verdict.WARN if Severity.WARNING in severities else Verdict.PASS


class OnUnknown(Enum):
    """Whether a target without a verdict fails a run."""

    FAIL = "fail"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class TargetReport:
    """One audited target; ``facts`` is None where it could not be audited (SCL901).

    Attributes:
        findings: What counts: neither suppressed in the source nor known to a baseline.
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
    suppressed: tuple[Suppressed, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleDocument:
    """What a report says of a rule that was applied.

    Attributes:
        status: "stable", "preview" or "deprecated".
        since: The first version that has it.
        help: The rule's page as Markdown.
        path: The file of the page.
    """

    code: str
    name: str
    summary: str
    severity: Severity
    status: str
    since: str
    help: str
    path: str = ""
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StaleEntry:
    """An entry of a baseline that no finding of this run answers to any more."""

    path: str
    target: str
    code: str
    fingerprint: str
    message: str = ""


class Skip(Enum):
    """Why something is passed over: nothing to audit, or nobody knows what it holds."""

    NO_MODEL = "no-model"
    NOT_BUILT = "not-built"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was met and is not audited: a file, or a model as ``file.py::Name``."""

    path: str
    reason: str
    kind: Skip = Skip.NO_MODEL


@dataclass(frozen=True, slots=True)
class Run:
    """How a report came about.

    Attributes:
        command: What was run, as words.
        date: When, as ISO 8601 has it, in UTC.
        python: The version of Python that audited.
        commit: The revision of the working directory; empty where it is in no repository.
        modified: Whether tracked files there differed from that revision.
    """

    command: tuple[str, ...]
    date: str
    python: str
    commit: str = ""
    modified: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """All targets of a run, with the versions that judged them.

    Attributes:
        skipped: What was met while walking a folder and is no target, with the reason.
        sources: Text of every source file that a finding names, by path, for excerpts; of a report
            that was read back the lines that it quotes, with nothing between them.
        rules: The rules that were applied, by code.
        stale: What a baseline holds of the audited files and the run did not find.
        run: How it came about; None where nobody said.
    """

    version: str
    torch_version: str
    targets: tuple[TargetReport, ...]
    skipped: tuple[Skipped, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()
    rules: tuple[RuleDocument, ...] = ()
    stale: tuple[StaleEntry, ...] = ()
    run: Run | None = None
