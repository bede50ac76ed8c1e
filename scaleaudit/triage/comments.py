"""Comments that accept findings: ``# scaleaudit: ignore[SCL101] the reason``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from scaleaudit.domain.graph import Location
from scaleaudit.triage.sources import SourceFile

# What follows a "#" with blanks around it is another comment on the same line.
_DIRECTIVE = re.compile(
    r"#\s*scaleaudit\s*:\s*ignore(?![\w-])"
    r"(?:\s*\[(?P<codes>[^\[\]#]*)\])?"
    r"(?P<reason>(?:(?!\s#\s).)*)"
)
_MENTION = b"scaleaudit"


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment that is to accept findings.

    Attributes:
        codes: The codes that it names, in capitals; none where it names no code.
    """

    location: Location
    codes: tuple[str, ...]
    reason: str


def comments_of(file: SourceFile) -> Iterator[Comment]:
    """Yield the comments of a file that are to accept findings."""
    if _MENTION not in file.data:
        return
    for token in file.comments:
        line, column = token.start
        for match in _DIRECTIVE.finditer(token.string):
            first, last = column + match.start() + 1, column + len(match.group().rstrip()) + 1
            last += match.start()
            place = Location(file.path, line, first, line, last)
            yield Comment(place, _codes(match["codes"] or ""), match["reason"].strip())


def _codes(text: str) -> tuple[str, ...]:
    codes = (code.strip().upper() for code in text.split(","))
    return tuple(dict.fromkeys(code for code in codes if code))


def written(codes: tuple[str, ...], reason: str) -> str:
    """Write a comment that accepts findings."""
    return f"# scaleaudit: ignore[{', '.join(codes)}] {reason}".rstrip()


def with_codes(comment: str, codes: tuple[str, ...], reason: str) -> str:
    """Let a comment of a file accept these codes as well, whatever else it says."""
    for match in _DIRECTIVE.finditer(comment):
        if match["codes"] is not None:
            start, end = match.span("codes")
            merged = dict.fromkeys((*_codes(match["codes"]), *codes))
            return f"{comment[:start]}{', '.join(merged)}{comment[end:]}"
    return f"{comment.rstrip()}  {written(codes, reason)}"
