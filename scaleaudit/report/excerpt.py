"""Source lines as a compiler shows them: numbered, with carets under the span."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from scaleaudit.domain.graph import Location
from scaleaudit.report.terminal import Ink, Style, printable, width
from scaleaudit.report.words import counted

# A call over more lines than this is recognised by its first ones.
_MAX_LINES = 4
_LINE_END = re.compile(r"\r\n|\r|\n")


class Sources:
    """The text of the files that a report names."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        # Python ends a line here and nowhere else; str.splitlines knows more ends.
        self._lines = {path: _LINE_END.split(text) for path, text in texts.items()}

    def line(self, path: str, number: int) -> str | None:
        """Return a source line, counted from 1; None where it is not at hand."""
        lines = self._lines.get(path, [])
        return lines[number - 1] if 1 <= number <= len(lines) else None


def place(location: Location) -> str:
    """Write a location as ``file:line:column``."""
    column = f":{location.column}" if location.column else ""
    return printable(f"{location.path}:{location.line}{column}")


def excerpt(location: Location, sources: Sources, ink: Ink, style: Style) -> Iterator[str]:
    """Yield the source lines of a span with carets under it; nothing where they are missing."""
    last = max(location.end_line, location.line)
    shown = range(location.line, min(last, location.line + _MAX_LINES - 1) + 1)
    gutter = len(str(shown[-1]))
    bar = ink(Style.MARGIN, f"{' ' * gutter} |")
    texts = ((number, sources.line(location.path, number)) for number in shown)
    lines = [(number, text) for number, text in texts if text is not None and text.strip()]
    if not lines:
        return
    yield bar
    for number, text in lines:
        yield f"{ink(Style.MARGIN, f'{number:>{gutter}} |')} {printable(text.rstrip())}"
        yield f"{bar} {_carets(location, number, text, ink, style)}"
    if last > shown[-1]:
        yield f"{ink(Style.MARGIN, ' ' * gutter + ' .')} {counted(last - shown[-1], 'more line')}"
    yield bar


def _carets(location: Location, number: int, text: str, ink: Ink, style: Style) -> str:
    start, end = span(location, number, text)
    lead = width(printable(text[:start]))
    length = max(1, width(printable(text[start:end])))
    return " " * lead + ink(style, "^" * length)


def span(location: Location, number: int, text: str) -> tuple[int, int]:
    """Return which characters of a line belong to a location, as a slice."""
    stripped = text.strip()
    start = text.index(stripped) if stripped else 0
    end = start + len(stripped)
    if location.column:
        if number == location.line:
            start = min(location.column - 1, max(end - 1, 0))
        if number == max(location.end_line, location.line) and location.end_column:
            end = min(location.end_column - 1, end)
    return start, max(end, start + 1)
