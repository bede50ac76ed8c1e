"""What all formats say in the same words: verdicts, what is accepted, what is stale, the end."""

from __future__ import annotations

from collections import Counter

from scaleaudit.domain.finding import Finding, Severity, Suppressed, SuppressionKind
from scaleaudit.domain.report import Report, Skip, StaleEntry, TargetReport, Verdict
from scaleaudit.report.words import counted

# In the order in which a reader wants them.
_GRAVITY = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.PASS)


def verdict_text(target: TargetReport) -> str:
    """Say the verdict of a target, or that there is none."""
    return target.verdict.value if target.facts is not None else "not audited"


def target_text(target: TargetReport) -> str:
    """Name a target as a user would to audit it alone."""
    return f"{target.path}::{target.name}" if target.name else target.path


def undecided(target: TargetReport) -> tuple[str, ...]:
    """Return why a target that was audited has no verdict; SCL901 says it of the others."""
    open_ended = target.verdict is Verdict.UNKNOWN and target.facts is not None
    return target.undecided if open_ended else ()


def suppressed_text(suppressed: Suppressed) -> str:
    """Say which finding is accepted, where that is written, and why."""
    finding = suppressed.finding
    where = f" at {finding.location}" if finding.location else ""
    because = f": {suppressed.reason}" if suppressed.reason else ""
    match suppressed.kind:
        case SuppressionKind.COMMENT:
            at = f" at {suppressed.location}" if suppressed.location else ""
            by = f"by a comment{at}"
        case SuppressionKind.BASELINE:
            by = "by the baseline"
    return f"{finding.code}{where}, {by}{because}"


def stale_text(entry: StaleEntry) -> str:
    """Say which entry of a baseline nothing answers to any more."""
    target = f"::{entry.target}" if entry.target else ""
    known = f" ({entry.fingerprint})" if entry.fingerprint else ""
    said = f": {entry.message}" if entry.message else ""
    return f"{entry.path}{target}: stale in the baseline: {entry.code}{known}{said}"


def closing_text(report: Report) -> str:
    """Count the targets, their verdicts and findings, and what lies beside them."""
    verdicts = Counter(verdict_text(target) for target in report.targets)
    severities = Counter(f.severity for target in report.targets for f in target.findings)
    judged = ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
    found = ", ".join(counted(severities[s], s.value) for s in Severity if severities[s])
    text = counted(len(report.targets), "target")
    text += f" ({judged}): {found or 'nothing found'}" if report.targets else ""
    kinds = Counter(each.kind for target in report.targets for each in target.suppressed)
    suppressed = kinds.total()
    by = f"{kinds[SuppressionKind.COMMENT]} by comments, {kinds[SuppressionKind.BASELINE]} by the baseline"
    skips = Counter(left.kind for left in report.skipped)
    without, unread = skips[Skip.NO_MODEL], skips[Skip.UNREAD]
    asides = (
        f"{suppressed} suppressed ({by})" if suppressed else "",
        f"{len(report.stale)} stale in the baseline" if report.stale else "",
        f"{counted(without, 'file')} without a model" if without else "",
        f"{skips[Skip.NOT_BUILT]} could not be run or built" if skips[Skip.NOT_BUILT] else "",
        f"{counted(unread, 'file')} could not be read" if unread else "",
    )
    return "; ".join((text, *(aside for aside in asides if aside)))


def gravest_first(targets: tuple[TargetReport, ...]) -> tuple[TargetReport, ...]:
    """Sort targets by what a reader should see first: not audited, fail, unknown, warn, pass."""
    return tuple(sorted(targets, key=lambda t: (t.facts is not None, _GRAVITY.index(t.verdict))))


def ranked(report: Report) -> tuple[tuple[TargetReport, Finding], ...]:
    """Return all findings that count, most severe first, each with its target."""
    order = tuple(Severity)
    found = ((target, finding) for target in report.targets for finding in target.findings)
    return tuple(sorted(found, key=lambda each: order.index(each[1].severity)))
