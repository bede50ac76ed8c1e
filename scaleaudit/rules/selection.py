"""Which of the loaded rules a run applies, by their codes and by how settled they are."""

from __future__ import annotations

from collections.abc import Iterator

from scaleaudit.rules.rule import Rule, Status


def in_force(
    rules: tuple[Rule, ...], select: tuple[str, ...], ignore: tuple[str, ...], *, preview: bool
) -> tuple[Rule, ...]:
    """Keep the rules that are selected and not ignored, and those in preview where they may run.

    Args:
        select: Codes or prefixes of the rules to apply; empty for all.
        ignore: Codes or prefixes of the rules to leave out.
    """
    return tuple(
        rule
        for rule in rules
        if (preview or rule.status is not Status.PREVIEW)
        and rule.code.startswith(select or "")
        and not (ignore and rule.code.startswith(ignore))
    )


def warnings(rules: tuple[Rule, ...], select: tuple[str, ...], *, preview: bool) -> Iterator[str]:
    """Say of every rule that is selected by its very code why that does not do what it seems to."""
    for rule in rules:
        if rule.code not in select:
            continue
        if rule.status is Status.PREVIEW and not preview:
            yield f"{rule.code} is a rule in preview and is not applied: add --preview"
        if rule.status is Status.DEPRECATED:
            yield f"{rule.code} is deprecated and will go: its page says what stands for it"
