"""What changed between two audits, as text, JSON or Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from scaleaudit.domain.comparison import (
    Comparison,
    Effect,
    FactChange,
    FindingChange,
    FindingStatus,
    TargetChange,
)
from scaleaudit.domain.report import Verdict
from scaleaudit.report.encoding import Json, json_text
from scaleaudit.report.excerpt import place
from scaleaudit.report.markup import code_span, sentence
from scaleaudit.report.structure import finding_document, location_document
from scaleaudit.report.terminal import Ink, Style, printable, wrapped
from scaleaudit.report.words import counted

COMPARISON_VERSION = 1
_MARKS = {Effect.WORSE: "-", Effect.BETTER: "+", Effect.NEUTRAL: "~"}
_STYLES = {Effect.WORSE: Style.ERROR, Effect.BETTER: Style.GOOD, Effect.NEUTRAL: Style.NOTE}
_EFFECTS = {
    FindingStatus.NEW: Effect.WORSE,
    FindingStatus.FIXED: Effect.BETTER,
    FindingStatus.CHANGED: Effect.NEUTRAL,
    FindingStatus.ACCEPTED: Effect.NEUTRAL,
    FindingStatus.NO_LONGER_ACCEPTED: Effect.WORSE,
}
_ICONS = {Effect.WORSE: "❌", Effect.BETTER: "✅", Effect.NEUTRAL: "ℹ️"}
# GitHub takes 65,536 characters, some of its interfaces as many bytes; a part is for the last line.
_MOST_BYTES = 65_000


def comparison_text(comparison: Comparison, *, colour: bool = False, columns: int = 0) -> str:
    """Write a comparison for people: what got worse with -, what got better with +.

    Args:
        comparison: What there is to tell.
        colour: Whether to use ANSI colours.
        columns: How wide the terminal is that long lines are broken for; 0 for no terminal.
    """
    ink = Ink(colour=colour)
    lines = [printable(f"from {comparison.before} to {comparison.after}")]
    lines += [printable(f"note: {note}") for note in comparison.notes]
    for target in comparison.targets:
        if target.changed:
            lines += [
                "",
                f"{ink(Style.STRONG, printable(change_name(target)))}: {verdicts_text(target)}",
            ]
            lines += [f"  {_marked(line, effect, ink)}" for line, effect in told(target)]
    lines += ["", closing_of(comparison)]
    if columns:
        lines = [part for line in lines for part in wrapped(line, columns)]
    return "\n".join(lines) + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """Write a comparison as a comment that GitHub takes whole."""
    head = f"### scaleaudit: {closing_of(comparison)}"
    between = f"from {code_span(comparison.before)} to {code_span(comparison.after)}"
    lines = [head, "", between, "", *(f"- note: {sentence(note)}" for note in comparison.notes)]
    for target in comparison.targets:
        if target.changed:
            lines += ["", f"**{code_span(change_name(target))}**: {verdicts_text(target)}", ""]
            lines += [f"- {_ICONS[effect]} {sentence(line)}" for line, effect in told(target)]
    return "\n".join(_fitting(lines)) + "\n"


def comparison_json(comparison: Comparison) -> str:
    """Write a comparison as JSON."""
    document: Json = {
        "comparison_version": COMPARISON_VERSION,
        "before": comparison.before,
        "after": comparison.after,
        "notes": list(comparison.notes),
        "targets": [_target(target) for target in comparison.targets],
    }
    return json_text(document)


def _fitting(lines: list[str]) -> Iterator[str]:
    room = _MOST_BYTES
    for index, line in enumerate(lines):
        room -= len(line.encode()) + 1
        if room < 0:
            yield f"\n{counted(len(lines) - index, 'more line')} did not fit here."
            return
        yield line


def change_name(target: TargetChange) -> str:
    """Name a target as a user would to audit it alone."""
    return f"{target.path}::{target.name}" if target.name else target.path


def verdicts_text(target: TargetChange) -> str:
    """Say what became of the verdict."""
    if target.before is None:
        return f"new, {_spelled(target.after)}"
    if target.after is None:
        return f"gone, was {_spelled(target.before)}"
    if target.before is target.after:
        return f"{target.after.value}, as before"
    return f"{target.before.value} before, {target.after.value} now"


def _spelled(verdict: Verdict | None) -> str:
    return verdict.value if verdict else ""


def told(target: TargetChange) -> Iterator[tuple[str, Effect]]:
    """Yield what changed in sentences, findings first."""
    for change in target.findings:
        yield _finding_sentence(change), _EFFECTS[change.status]
    for fact in target.facts:
        yield _fact_sentence(fact), fact.effect


def _finding_sentence(change: FindingChange) -> str:
    finding = change.finding
    where = f" at {place(finding.location)}" if finding.location else ""
    severity = finding.severity.value
    if change.before is not None and change.before.severity is not finding.severity:
        severity = f"{severity}, {change.before.severity.value} before"
    return f"{change.status.value}: {finding.code}{where} ({severity}): {finding.message}"


def _fact_sentence(fact: FactChange) -> str:
    return f"{fact.text} ({place(fact.location)})" if fact.location else fact.text


def _marked(line: str, effect: Effect, ink: Ink) -> str:
    return f"{ink(_STYLES[effect], _MARKS[effect])} {printable(line)}"


def closing_of(comparison: Comparison) -> str:
    """Count what changed, in a line."""
    statuses = Counter(f.status for target in comparison.targets for f in target.findings)
    found = ", ".join(f"{statuses[s]} {s.value}" for s in FindingStatus if statuses[s])
    facts = sum(len(target.facts) for target in comparison.targets)
    changed = sum(target.changed for target in comparison.targets)
    if not changed:
        return f"nothing changed in {counted(len(comparison.targets), 'target')}"
    text = f"{changed} of {counted(len(comparison.targets), 'target')} changed"
    return f"{text}: findings: {found or 'as before'}; {counted(facts, 'fact')} changed"


def _target(target: TargetChange) -> Json:
    return {
        "path": target.path,
        "name": target.name,
        "before": target.before.value if target.before else None,
        "after": target.after.value if target.after else None,
        "findings": [
            {
                "status": change.status.value,
                "finding": finding_document(change.finding),
                "before": finding_document(change.before) if change.before else None,
            }
            for change in target.findings
        ],
        "facts": [
            {
                "text": fact.text,
                "effect": fact.effect.value,
                "location": location_document(fact.location),
            }
            for fact in target.facts
        ],
    }
