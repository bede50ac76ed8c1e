"""The source lines that a page quotes, each coloured once and linked to from where it is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from markupsafe import Markup

from scaleaudit.domain.graph import Location
from scaleaudit.report.excerpt import span
from scaleaudit.report.html.anchors import line_anchor
from scaleaudit.report.html.code import Line, coloured, written
from scaleaudit.report.html.text import clipped, isolated
from scaleaudit.report.quoting import Quote

# Lines of a span that are shown; a longer one is recognised by its first.
_SHOWN = 4
_LINE = Markup("<span class=l{}><b>{} </b><span>{}\n</span></span>")
_BLOCK = Markup("<pre><code>{}</code></pre>")


@dataclass(frozen=True, slots=True)
class File:
    """The listing of a file: its blocks of lines, as HTML."""

    path: str
    blocks: tuple[Markup, ...]


class Listing:
    """All lines that are quoted."""

    def __init__(self, quotes: Iterable[Quote]) -> None:
        self._blocks = tuple(quotes)
        self._called = Counter(PurePath(path).name for path in {each.path for each in self._blocks})
        self._text: dict[tuple[str, int], str] = {}
        self._lines: dict[tuple[str, int], Line] = {}
        for quote in self._blocks:
            lines = coloured("\n".join(quote.lines))
            for number, (text, line) in enumerate(zip(quote.lines, lines, strict=False)):
                self._text[quote.path, quote.line + number] = text
                self._lines[quote.path, quote.line + number] = line

    def link(self, location: Location) -> Markup:
        """Write a place, as a link to its line where that is quoted."""
        text = isolated(self._short(location))
        there = self.href(location)
        if there is None:
            return Markup("<span class=at>{}</span>").format(text)
        return Markup('<a class=at href="{}">{}</a>').format(there, text)

    def href(self, location: Location) -> str | None:
        """Return where on the page the line of a place is; None where it is not quoted."""
        if (location.path, location.line) not in self._lines:
            return None
        return f"#{line_anchor(location.path, location.line)}"

    def _short(self, location: Location) -> str:
        """Write a place by the last part of its path, where no other file is called that."""
        last = PurePath(location.path).name
        shown = last if self._called[last] == 1 else location.path
        return f"{clipped(shown)}:{location.line}"

    def excerpt(self, location: Location, around: int = 0) -> Markup:
        """Write the lines of a place, it being marked; nothing where they are missing.

        Args:
            location: The place.
            around: How many lines before and after it are shown, too.
        """
        last = min(max(location.end_line, location.line), location.line + _SHOWN - 1)
        marked = range(location.line, last + 1)
        if not any((location.path, number) in self._lines for number in marked):
            return Markup("")
        shown = range(location.line - around, last + around + 1)
        return _BLOCK.format(Markup("").join(self._shown(location, shown, marked)))

    def _shown(self, location: Location, shown: range, marked: range) -> Iterator[Markup]:
        numbers = self._trimmed(location.path, shown)
        texts = [self._text[location.path, number] for number in numbers]
        margin = _margin(texts)
        for number, text in zip(numbers, texts, strict=True):
            where = span(location, number, text) if number in marked and text.strip() else None
            yield _LINE.format(
                "", number, written(self._lines[location.path, number], where, margin)
            )

    def _trimmed(self, path: str, shown: range) -> list[int]:
        """Return the lines that are at hand, without blank ones at either end."""
        numbers = [number for number in shown if (path, number) in self._lines]
        written = [number for number in numbers if self._text[path, number].strip()]
        return [number for number in numbers if written and written[0] <= number <= written[-1]]

    def files(self) -> tuple[File, ...]:
        """Return the listing of every file, with an anchor for every line."""
        blocks: dict[str, list[Markup]] = {}
        for quote in self._blocks:
            blocks.setdefault(quote.path, []).append(self._block(quote))
        return tuple(File(path, tuple(found)) for path, found in blocks.items())

    def _block(self, quote: Quote) -> Markup:
        lines = (
            _LINE.format(
                Markup(" id={}").format(line_anchor(quote.path, number)),
                number,
                written(self._lines.get((quote.path, number), ())),
            )
            for number in range(quote.line, quote.line + len(quote.lines))
        )
        return _BLOCK.format(Markup("").join(lines))


def _margin(texts: list[str]) -> int:
    """Return how far all lines are indented that hold anything, in spaces alone."""
    return min((len(text) - len(text.lstrip(" ")) for text in texts if text.strip()), default=0)
