"""Filters of the templates: numbers, and facts in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

from scaleaudit.domain.facts import StateFacts
from scaleaudit.domain.twins import Measured
from scaleaudit.report.summaries import stale_text, suppressed_text, undecided, verdict_text
from scaleaudit.report.terminal import copied
from scaleaudit.report.words import (
    certification_text,
    counted,
    coverage_text,
    penalty_text,
    readout_text,
    reason,
    transition_text,
)

# Signs beside the words, for eyes that go down a column.
_SIGNS = {
    "fail": "✕",
    "warn": "!",
    "pass": "✓",
    "unknown": "?",
    "not audited": "∅",
    "error": "✕",
    "warning": "!",
    "note": "i",
    "confirmed": "✕",
    "refuted": "✓",
    "inconclusive": "?",
}
_WHOLE, _PLAIN = 1_000, 1e6


def number(value: float | None) -> str:
    """Write a measured number in as few digits as tell it."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if _WHOLE <= round(abs(value)) < _PLAIN:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def degree(value: float | None) -> str:
    """Write a degree as the power of a by which a value grows."""
    return "degree ?" if value is None else f"degree {value:g}"


def growth(value: float) -> str:
    """Say how what a turn adds grows with the state."""
    if value <= 0:
        return f"does not grow with the state (degree {value:g})"
    return f"grows with the state (degree {value:g})"


def changed(line: str) -> str:
    """Name the class of a line of a unified diff."""
    if line.startswith(("---", "+++", "@@")):
        return "where"
    return {"+": "added", "-": "taken"}.get(line[:1], "kept")


def copied_as(line: str) -> Markup:
    """Write a line of code to be copied."""
    return escape(copied(line))


def shorter(found: Measured) -> str:
    """Say what became of the length of a state with a fix; empty where that is not known."""
    before, after = found.before.norm, found.after.norm
    if before is None or after is None:
        return ""
    return "shorter" if after < before else "no shorter"


def shape(state: StateFacts) -> str:
    """Write the shape of a state."""
    return " × ".join(map(str, state.shape)) or "scalar"


def sign(word: str) -> str:
    """Return the sign of a verdict or a severity."""
    return _SIGNS[word]


def opening(text: str) -> str:
    """Return words as a sentence begins."""
    return f"{text[:1].upper()}{text[1:]}"


def span_text(values: tuple[float, ...]) -> str:
    """Write what seeds lie between; nothing for a single one."""
    if len(values) < 2:  # noqa: PLR2004
        return ""
    return f"{number(min(values))} to {number(max(values))} over {counted(len(values), 'seed')}"


def counted_as(count: int, noun: str) -> str:
    """Write a number with its noun."""
    return counted(count, noun)


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "degree": degree,
    "changed": changed,
    "copied": copied_as,
    "shorter": shorter,
    "growth": growth,
    "shape": shape,
    "sign": sign,
    "opening": opening,
    "span": span_text,
    "counted": counted_as,
    "verdict": verdict_text,
    "undecided": undecided,
    "suppressed": suppressed_text,
    "stale": stale_text,
    "reason": reason,
    "transition": transition_text,
    "readout": readout_text,
    "penalty": penalty_text,
    "coverage": coverage_text,
    "certification": certification_text,
}
