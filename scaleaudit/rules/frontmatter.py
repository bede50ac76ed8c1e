"""YAML front matter read as plain text with line numbers: no tags, no aliases, no depth.

Built on YAML's event stream, so that every value keeps its line, every value is the text that was
written (``since: 0.1`` is no float), and a hostile page can neither nest nor expand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from scaleaudit.errors import RuleError

MAXIMUM_DEPTH = 4  # front matter is a mapping of lists of mappings of text

# The C parser is ten times as fast and comes with every wheel of PyYAML, not with every build.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar; ``keeps_lines`` where line n of the text is line n of the file."""

    line: int
    value: str
    keeps_lines: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence."""

    line: int
    items: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping with text keys; ``lines`` has the line of every key."""

    line: int
    fields: dict[str, Entry]
    lines: dict[str, int]


Entry: TypeAlias = "Text | Items | Fields"


def parse(text: str, path: str, first_line: int) -> Fields:
    """Read a front matter whose first line is ``first_line`` of the file.

    Raises:
        RuleError: If it is no YAML, no mapping, or uses tags, aliases or deep nesting.
    """
    try:
        reader = _Reader(iter(yaml.parse(text, Loader=_LOADER)), path, first_line)
        return reader.document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = first_line + (mark.line if mark is not None else 0)
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise RuleError(f"the front matter is no YAML: {problem}", where=f"{path}:{line}") from None


class _Reader:
    """Turns events into entries, with a limit on depth."""

    def __init__(self, events: Iterator[yaml.Event], path: str, first_line: int) -> None:
        self._events = events
        self._path = path
        self._first_line = first_line

    def document(self) -> Fields:
        """Read the one document."""
        event = self._next()
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = self._next()
        if not isinstance(event, yaml.MappingStartEvent):
            raise self._refused(event, "the front matter is no mapping")
        entry = self._entry(event, 1)
        assert isinstance(entry, Fields)
        return entry

    def _next(self) -> yaml.Event:
        event = next(self._events)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._refused(event, "anchors and aliases are not allowed")
        if getattr(event, "tag", None):
            raise self._refused(event, "tags are not allowed")
        return event

    def _entry(self, event: yaml.Event, depth: int) -> Entry:
        line = self._line(event)
        if isinstance(event, yaml.ScalarEvent):
            literal = event.style == "|"
            return Text(line + int(literal or event.style == ">"), event.value, literal)
        if depth > MAXIMUM_DEPTH:
            raise self._refused(event, f"nested deeper than {MAXIMUM_DEPTH} levels")
        if isinstance(event, yaml.SequenceStartEvent):
            return Items(line, tuple(self._until(yaml.SequenceEndEvent, depth)))
        return self._mapping(line, depth)

    def _until(self, end: type[yaml.Event], depth: int) -> Iterator[Entry]:
        while not isinstance(event := self._next(), end):
            yield self._entry(event, depth + 1)

    def _mapping(self, line: int, depth: int) -> Fields:
        found = Fields(line, {}, {})
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._refused(event, "a key is no text")
            if event.value in found.fields:
                raise self._refused(event, f"the field `{event.value}` appears twice")
            found.lines[event.value] = self._line(event)
            found.fields[event.value] = self._entry(self._next(), depth + 1)
        return found

    def _line(self, event: yaml.Event) -> int:
        mark = event.start_mark
        return self._first_line + (mark.line if mark is not None else 0)

    def _refused(self, event: yaml.Event, message: str) -> RuleError:
        return RuleError(message, where=f"{self._path}:{self._line(event)}")
