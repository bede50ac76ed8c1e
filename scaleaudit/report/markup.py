"""Text as GitHub's Markdown, in which nothing that a model names is more than text.

It is put into code spans or written as character references: no markup, no link, no mention of
anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from scaleaudit.report.terminal import printable

_CODE = re.compile(r"`([^`]+)`")
# Where GitHub makes links and mentions of plain text, a space without width keeps it from doing so.
_LINKS = re.compile(r"(@|#|GH-|www|https?|ftp|mailto)(?=[\w.:/-])", re.IGNORECASE)
_NO_WIDTH = "\u200b"
# Punctuation that is no markup in the middle of a line.
_SAFE = " ,.;'\"()-/%=+?!"


def fenced(lines: list[str], language: str = "") -> Iterator[str]:
    """Yield a code block, with a fence that nothing in it can close."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}{language}"
    yield from lines
    yield f"{fence}"
    yield ""


def sentence(text: str) -> str:
    """Write a sentence; what stands between backticks is code, all else is text alone."""
    pieces = _CODE.split(printable(text))
    return "".join(
        code_span(piece) if index % 2 else _plain(piece) for index, piece in enumerate(pieces)
    )


def _plain(text: str) -> str:
    kept = _LINKS.sub(lambda match: match.group() + _NO_WIDTH, text)
    return "".join(
        char if _is_text(char, kept[index + 1 : index + 2]) else f"&#{ord(char)};"
        for index, char in enumerate(kept)
    )


def _is_text(char: str, following: str) -> bool:
    """Tell whether a character is markup nowhere in a line; a colon may begin an emoji."""
    if char == ":":
        return following in ("", " ")
    return char.isalnum() or not char.isascii() or char in _SAFE


def code_span(text: str, *, cell: bool = False) -> str:
    """Write a code span; in a cell of a table a bar would end it even there."""
    safe = printable(text)
    if "`" in safe or (cell and "|" in safe) or not safe.strip():
        return _plain(safe)
    return f"`{safe}`"
