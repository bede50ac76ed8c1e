"""Which of the loaded rules a file is judged by, by their codes and by how settled they are."""

from __future__ import annotations

from collections.abc import Iterator

from scaleaudit.domain.selection import ALWAYS_REPORTED, Selection
from scaleaudit.rules.rule import Rule, Status


def in_force(rules: tuple[Rule, ...], selection: Selection) -> tuple[Rule, ...]:
    """Keep the rules that are wanted, and those in preview only where they may run."""
    return tuple(rule for rule in rules if selection.wants(rule.code) and _may_run(rule, selection))


def _may_run(rule: Rule, selection: Selection) -> bool:
    settled = rule.status is not Status.PREVIEW or rule.code in ALWAYS_REPORTED
    return settled or selection.preview


def warnings(rules: tuple[Rule, ...], selection: Selection) -> Iterator[str]:
    """Say of every rule that is selected by its very code why that does not do what it seems to."""
    selected = selection.selected()
    for rule in rules:
        if rule.code not in selected:
            continue
        if rule.status is Status.PREVIEW and not selection.preview:
            yield f"{rule.code} is a rule in preview and is not applied: add --preview"
        if rule.status is Status.DEPRECATED:
            yield f"{rule.code} is deprecated and will go: its page says what stands for it"
