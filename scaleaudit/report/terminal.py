"""Text that is safe and, where wanted, coloured on a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from enum import Enum

# Control and format characters (escape sequences, text that runs backwards), lone surrogates,
# private use, and the separators that some terminals take for a new line.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_TAB = 4
_PAINT = re.compile(r"\x1b\[[0-9;]*m")
# How far what is left of a line is moved in on the next, and the least room for words.
_HANGING, _LEAST = 4, 20


class Style(Enum):
    """A role of text, with its ANSI code."""

    ERROR = "1;31"
    WARNING = "1;33"
    NOTE = "1;36"
    GOOD = "1;32"
    STRONG = "1"
    MARGIN = "1;34"
    FAINT = "2"


class Ink:
    """Paints text, or leaves it plain."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, style: Style, text: str) -> str:
        """Return the text in a style."""
        return f"\x1b[{style.value}m{text}\x1b[0m" if self._colour and text else text


def printable(text: str) -> str:
    """Return one line of text in which nothing can command the terminal.

    Names of targets, variables and files come from models, so they are not to be trusted.
    """
    return "".join(
        char if unicodedata.category(char) not in _UNSAFE else _escaped(char)
        for char in text.replace("\t", " " * _TAB)
    )


def copied(line: str) -> str:
    """Return a line of code as ``printable`` does, but with its tabs, to be copied as it is."""
    return "\t".join(printable(part) for part in line.removesuffix("\r").split("\t"))


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def width(text: str) -> int:
    """Return how many columns a terminal gives to a text."""
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


class Verbatim(str):
    """A line that is shown as it stands, however long: source code, or what a model printed."""

    __slots__ = ()


def indented(line: str, by: int) -> str:
    """Move a line in; one that is shown as it stands stays such."""
    return type(line)(f"{' ' * by}{line}")


def wrapped(line: str, columns: int) -> Iterator[str]:
    """Break a line between words so that a terminal needs not; paint takes no room."""
    start = len(line) - len(line.lstrip(" "))
    if isinstance(line, Verbatim) or columns < start + _HANGING + _LEAST:
        yield line
        return
    shown, room = " " * start, columns - start
    first = True
    for word in line[start:].split(" "):
        needed = width(_PAINT.sub("", word)) + (not first)
        if needed > room and not first:
            yield shown
            shown, room, first = " " * (start + _HANGING), columns - start - _HANGING, True
            needed -= 1
        shown += word if first else f" {word}"
        room, first = room - needed, False
    yield shown
