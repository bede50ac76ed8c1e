"""The report as annotations of GitHub Actions: one workflow command a line.

The commands and what they escape:
https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions. A step shows ten
annotations of a kind, so the gravest come first and what is accepted shares one.
"""

from __future__ import annotations

from collections.abc import Iterator

from scaleaudit.domain.finding import Finding, Severity
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Report, TargetReport
from scaleaudit.report.summaries import (
    closing_text,
    ranked,
    stale_text,
    suppressed_text,
    target_text,
    undecided,
)
from scaleaudit.report.terminal import printable

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def to_github(report: Report) -> str:
    """Write a report as workflow commands, and a last line of counts alone for the log."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    for target, finding in ranked(report):
        yield _finding(target, finding)
    for target in report.targets:
        for reason in undecided(target):
            text = f"{target_text(target)}: the verdict is unknown: {reason}"
            yield _command("warning", printable(text), "verdict unknown", Location(target.path, 1))
    accepted = [
        f"{target_text(target)}: {suppressed_text(suppressed)}"
        for target in report.targets
        for suppressed in target.suppressed
    ]
    yield from _together("suppressed findings", accepted)
    yield from _together("stale baseline", [stale_text(entry) for entry in report.stale])
    yield from _together(
        "skipped", [f"{left.path}: skipped: {left.reason}" for left in report.skipped]
    )
    # Nothing in it comes from a model: the runner looks for commands in the middle of lines too.
    yield closing_text(report)


def _finding(target: TargetReport, finding: Finding) -> str:
    fixes = (f"fix: {printable(fix.text)}" for fix in finding.fixes)
    body = "\n".join((printable(finding.message), *fixes, f"in {printable(target_text(target))}"))
    return _command(
        _COMMANDS[finding.severity],
        body,
        f"{finding.code} {finding.name}",
        finding.location or Location(target.path, 1),
    )


def _together(title: str, entries: list[str]) -> Iterator[str]:
    if entries:
        yield _command("notice", "\n".join(map(printable, entries)), title)


def _command(command: str, body: str, title: str, location: Location | None = None) -> str:
    properties = {**_place(location), "title": printable(title)}
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{command} {written}::{_data(body)}"


def _place(location: Location | None) -> dict[str, str]:
    """Say where; columns count on one line only."""
    if location is None:
        return {}
    place = {"file": printable(location.path), "line": str(max(location.line, 1))}
    last = max(location.end_line, location.line)
    if last > location.line:
        return {**place, "endLine": str(last)}
    if location.column:
        place["col"] = str(location.column)
        if location.end_column > location.column:
            place["endColumn"] = str(location.end_column)
    return place


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
