"""How wide text is, and how it is made to fit; nobody asks a browser, so it errs on the wide side."""

from __future__ import annotations

import unicodedata

from scaleaudit.domain.picture import Edge, Role
from scaleaudit.report.terminal import printable

LABEL_SIZE, DETAIL_SIZE, EDGE_SIZE = 13.0, 11.0, 11.5
# Shares of the font size, by the widths of DejaVu Sans, which is wider than most.
_NARROW, _NORMAL, _BROAD, _CAPITAL, _WIDE = 0.36, 0.62, 0.95, 0.72, 1.05
_BOLD = 1.1
_NARROWS = frozenset("ijlft.,:;'|!()[]/ -r")
_BROADS = frozenset("mwMW@%")
# No name that is longer is looked at as a whole.
_LONGEST = 400


def shown(text: str) -> str:
    """Return one line of visible text of bounded length."""
    return printable(text[:_LONGEST])


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Estimate the width of a text."""
    return size * sum(map(_share, text)) * (_BOLD if bold else 1.0)


def _share(char: str) -> float:
    if unicodedata.combining(char):
        return 0.0
    if char in _NARROWS:
        return _NARROW
    if char in _BROADS:
        return _BROAD
    if not char.isascii():
        return _WIDE if unicodedata.east_asian_width(char) in "WF" else _CAPITAL
    return _CAPITAL if char.isupper() else _NORMAL


def edge_text(edge: Edge) -> str:
    """Return what an edge says."""
    return shown(f"{edge.degree}, no gradient" if edge.silent else edge.degree)


def edge_width(edge: Edge) -> float:
    """Estimate the width of what an edge says."""
    return text_width(edge_text(edge), EDGE_SIZE, bold=edge.role is Role.CARRIES)


def shortened(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """Cut a text so that it fits."""
    if text_width(text, size, bold=bold) <= room:
        return text
    while text and text_width(f"{text}…", size, bold=bold) > room:
        text = text[:-1]
    return f"{text.rstrip()}…"


def broken(text: str, size: float, room: float, most: int) -> list[str]:
    """Break a text between words into at most so many lines that fit."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= room:
            lines[-1] = longer
        elif len(lines) < most:
            lines.append(word)
        else:
            lines[-1] = f"{longer} …"
    return [shortened(line, size, room) for line in lines]
