"""The report as Markdown for a comment on a pull request: verdicts first, details folded.

A comment that is too long is refused as a whole, so what is left out is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from scaleaudit.domain.finding import Confidence, Finding, Severity
from scaleaudit.domain.report import Report, Skip, TargetReport
from scaleaudit.report.excerpt import Sources, place
from scaleaudit.report.markup import code_span, fenced, sentence
from scaleaudit.report.patches import UNTRIED
from scaleaudit.report.proofs import proof_lines
from scaleaudit.report.summaries import (
    closing_text,
    gravest_first,
    ranked,
    stale_text,
    suppressed_text,
    target_text,
    undecided,
    verdict_text,
)
from scaleaudit.report.terminal import Ink, copied, printable
from scaleaudit.report.words import counted

# GitHub takes 65,536 characters, some of its interfaces as many bytes.
MOST_BYTES = 65_536
# What the table and the shorter lists may take of that, so that findings have room.
_TABLE_BYTES, _LIST_BYTES = 16_384, 8_192
# Room for the sentences that count what was left out.
_RESERVE = 512

_ICONS = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.NOTE: "ℹ️"}
_SKIPPED = {
    Skip.NO_MODEL: "Files without a model",
    Skip.NOT_BUILT: "Could not be run or built",
    Skip.UNREAD: "Files that could not be read",
}
_VERDICT_ICONS = {"fail": "❌", "warn": "⚠️", "pass": "✅", "unknown": "❔", "not audited": "🚫"}


def to_markdown(report: Report) -> str:
    """Write a report as a comment that GitHub takes whole."""
    page = _Page(MOST_BYTES - _RESERVE)
    page.add(f"### scaleaudit: {closing_text(report)}\n")
    _table(page, report)
    _list(page, "Undecided", [line for t in report.targets for line in _undecided(t)])
    accepted = [
        f"{code_span(target_text(target))}: {sentence(suppressed_text(suppressed))}"
        for target in report.targets
        for suppressed in target.suppressed
    ]
    _list(page, "Suppressed", accepted)
    _list(page, "Stale in the baseline", [sentence(stale_text(entry)) for entry in report.stale])
    for kind, title in _SKIPPED.items():
        left = [each for each in report.skipped if each.kind is kind]
        _list(page, title, [f"{code_span(each.path)}: {sentence(each.reason)}" for each in left])
    _findings(page, report)
    return page.text()


class _Page:
    """Blocks of text, as many as fit."""

    def __init__(self, room: int) -> None:
        self._blocks: list[str] = []
        self._room = room

    def add(self, block: str) -> bool:
        """Add a block where there is room for it."""
        size = len(block.encode()) + 1
        if size > self._room:
            return False
        self._blocks.append(block)
        self._room -= size
        return True

    def insist(self, block: str) -> None:
        """Add a short block to what was kept free for it."""
        self._blocks.append(block)

    def text(self) -> str:
        """Return all blocks."""
        return "\n".join(self._blocks)


def _fitting(lines: Iterable[str], room: int) -> Iterator[str]:
    """Yield the first lines that fit into so many bytes."""
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            return
        yield line


def _table(page: _Page, report: Report) -> None:
    targets = gravest_first(report.targets)
    if not targets:
        return
    rows = list(_fitting(map(_row, targets), _TABLE_BYTES))
    left_out = Counter(verdict_text(target) for target in islice(targets, len(rows), None))
    page.add("\n".join(("| target | verdict | findings |", "|---|---|---|", *rows)) + "\n")
    if left_out:
        kinds = ", ".join(f"{number} {verdict}" for verdict, number in left_out.items())
        page.insist(f"{counted(left_out.total(), 'more target')}: {kinds}.\n")


def _row(target: TargetReport) -> str:
    verdict = verdict_text(target)
    codes = Counter(finding.code for finding in target.findings)
    found = ", ".join(
        code_span(code, cell=True) + (f" × {number}" if number > 1 else "")
        for code, number in codes.items()
    )
    accepted = f"{len(target.suppressed)} suppressed" if target.suppressed else ""
    told = "; ".join(part for part in (found, accepted) if part)
    name = code_span(target_text(target), cell=True)
    return f"| {name} | {_VERDICT_ICONS[verdict]} {verdict} | {told} |"


def _undecided(target: TargetReport) -> Iterator[str]:
    for reason in undecided(target):
        yield f"{code_span(target_text(target))}: the verdict is unknown: {sentence(reason)}"


def _list(page: _Page, title: str, entries: list[str]) -> None:
    """Fold a list away; what is too much of it is counted."""
    if not entries:
        return
    lines = list(_fitting((f"- {entry}" for entry in entries), _LIST_BYTES))
    if len(lines) < len(entries):
        lines.append(f"- {len(entries) - len(lines)} more")
    head = f"<details><summary>{title} ({len(entries)})</summary>\n\n"
    page.add(head + "\n".join(lines) + "\n\n</details>\n")


def _findings(page: _Page, report: Report) -> None:
    """Add the findings, most severe first: in full where they fit, else a line, else a count."""
    sources = Sources(dict(report.sources))
    found = ranked(report)
    for index, (target, finding) in enumerate(found):
        heading = _heading(finding)
        details = "\n".join(_details(target, finding, sources))
        whole = f"{heading}\n\n{details}\n"
        short = f"{heading} (The proof did not fit here.)\n"
        if not (page.add(whole) or page.add(short)):
            page.insist(f"{counted(len(found) - index, 'more finding')} did not fit here.\n")
            return


def _heading(finding: Finding) -> str:
    where = f" at {code_span(place(finding.location))}" if finding.location else ""
    kind = f"{finding.severity.value} {code_span(finding.code)}"
    return f"{_ICONS[finding.severity]} **{kind}**{where}: {sentence(finding.message)}"


def _details(target: TargetReport, finding: Finding, sources: Sources) -> Iterator[str]:
    yield "<details><summary>proof and fixes</summary>"
    yield ""
    yield f"in {code_span(target_text(target))}, rule {code_span(finding.name)}"
    yield ""
    if finding.proof:
        yield from fenced(list(proof_lines(finding.proof, sources, Ink(colour=False))))
    for related in finding.related:
        yield f"- note: {code_span(place(related.location))}: {sentence(related.text)}"
    for fix in finding.fixes:
        yield f"- fix: {sentence(fix.text)}"
        if fix.note:
            yield f"  {sentence(fix.note)}"
        if fix.diff:
            yield f"  ({UNTRIED})"
            yield ""
            yield from fenced([copied(line) for line in fix.diff.split("\n")[:-1]], "diff")
        elif fix.code:
            yield ""
            yield from fenced([printable(line) for line in fix.code.splitlines()], "python")
    if finding.confidence is not Confidence.PROVEN:
        yield f"- confidence: {finding.confidence.value}"
    yield ""
    yield "</details>"
