"""Exit codes, and which of them a report has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaleaudit.domain.finding import Severity
    from scaleaudit.domain.report import Report

EXIT_CLEAN, EXIT_FOUND, EXIT_USAGE = 0, 1, 2
# 128 + SIGINT, as shells have it.
EXIT_INTERRUPTED = 130


def exit_code(report: Report, fail_level: Severity, *, unknown_fails: bool) -> int:
    """Choose the exit code of a report: 2 outranks 1, and 1 outranks 0."""
    from scaleaudit.domain.report import Verdict

    if any(target.facts is None for target in report.targets):
        return EXIT_USAGE
    found = any(
        f.severity in failing(fail_level) for target in report.targets for f in target.findings
    )
    unknown = any(target.verdict is Verdict.UNKNOWN for target in report.targets)
    return EXIT_FOUND if found or (unknown and unknown_fails) else EXIT_CLEAN


def failing(fail_level: Severity | None) -> tuple[Severity, ...]:
    """Return the severities that fail a run; errors do by default."""
    from scaleaudit.domain.finding import Severity

    # Severities are declared from the gravest to the least.
    level = Severity.ERROR if fail_level is None else fail_level
    return tuple(Severity)[: tuple(Severity).index(level) + 1]
