"""The source lines that a report quotes, so that it can be shown where the sources are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scaleaudit.domain.graph import Location
from scaleaudit.domain.places import all_places
from scaleaudit.domain.report import Report
from scaleaudit.report.excerpt import Sources

# Lines around a place, and how many of a span are quoted.
_AROUND, _SPAN = 2, 6
# Characters of a line; a file that was made by a program may have them all in one.
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Quote:
    """Lines of a file that follow one another.

    Attributes:
        line: The number of the first.
    """

    path: str
    line: int
    lines: tuple[str, ...]


def quotes(report: Report) -> tuple[Quote, ...]:
    """Return what a report quotes: the lines that it names and a few around them, in order."""
    wanted: dict[str, set[int]] = {}
    for target in report.targets:
        for place in all_places(target):
            wanted.setdefault(place.path, set()).update(_around(place))
    sources = Sources(dict(report.sources))
    return tuple(quote for path in wanted for quote in _blocks(path, wanted[path], sources))


def _around(place: Location) -> range:
    last = min(max(place.end_line, place.line), place.line + _SPAN - 1)
    return range(max(1, place.line - _AROUND), last + _AROUND + 1)


def _blocks(path: str, numbers: Iterable[int], sources: Sources) -> Iterator[Quote]:
    first, lines = 0, list[str]()
    for number in sorted(numbers):
        text = sources.line(path, number)
        if lines and (text is None or number != first + len(lines)):
            yield from _trimmed(path, first, lines)
            lines = []
        if text is None:
            continue
        if not lines:
            first = number
        lines.append(text[:_LONGEST])
    yield from _trimmed(path, first, lines)


def _trimmed(path: str, first: int, lines: list[str]) -> Iterator[Quote]:
    """Yield a block without the blank lines at its ends; nothing where it has no others."""
    written = [index for index, line in enumerate(lines) if line.strip()]
    if written:
        start, stop = written[0], written[-1] + 1
        yield Quote(path, first + start, tuple(lines[start:stop]))


def unquoted(found: Iterable[Quote]) -> tuple[tuple[str, str], ...]:
    """Return quotes as texts of files, by path, in which every line stands where it stood."""
    lines: dict[str, list[str]] = {}
    for quote in found:
        text = lines.setdefault(quote.path, [])
        text.extend([""] * (quote.line - 1 - len(text)))
        text.extend(quote.lines)
    return tuple((path, "\n".join(text)) for path, text in lines.items())
