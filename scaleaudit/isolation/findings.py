"""What went wrong in a child, as the finding SCL901."""

from __future__ import annotations

from textwrap import dedent

from scaleaudit.domain.finding import Confidence, Finding, Fix, Severity
from scaleaudit.domain.graph import Location
from scaleaudit.isolation.jobs import Trouble, TroubleKind

NOT_AUDITED = "SCL901"
_HINT = "Run the file by itself in Python, and build the target there, to see what is wrong."


def finding_of(trouble: Trouble, path: str, name: str) -> Finding:
    """Say that a target was not audited: what failed, where, why, and what to do."""
    subject = f"{path}::{name}" if name else path
    message = f"{subject} was not audited: {trouble.message}"
    if trouble.kind is TroubleKind.BUG:
        message = f"{subject} was not audited: scaleaudit failed on it ({trouble.message})"
    return Finding(
        code=NOT_AUDITED,
        name="target-not-audited",
        severity=Severity.ERROR,
        confidence=Confidence.PROVEN,
        message=message,
        location=_location(trouble.where),
        subject=subject,
        fixes=(_fix(trouble.hint or _HINT),),
        fingerprint=f"{NOT_AUDITED}:{subject}",
    )


def _fix(hint: str) -> Fix:
    """Split a hint into its sentence and, below an empty line, code."""
    text, _, code = hint.partition("\n\n")
    return Fix(text[:1].upper() + text[1:], dedent(code))


def _location(where: str) -> Location | None:
    path, _, line = where.rpartition(":")
    return Location(path, int(line)) if path and line.isdecimal() else None
