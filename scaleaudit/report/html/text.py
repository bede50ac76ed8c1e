"""Words of a report as HTML: whatever a model names is text, all of it visible and none of it markup."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

from scaleaudit.report.terminal import printable

_CODE = re.compile(r"`([^`]+)`")
# Characters of a name that are shown in a line; the rest is folded away.
LONG_NAME = 100
# Characters of a sentence before the rest is folded away.
_LONG_TEXT = 1_200


def shown(value: object) -> object:
    """Return what the page prints: markup as it is, of anything else one line of visible text.

    Controls, line ends, and marks that turn text around are spelled as escapes.
    """
    return value if isinstance(value, Markup) else printable(str(value))


def clipped(text: str, most: int = LONG_NAME) -> str:
    """Return a text that fits, its middle left out where it does not."""
    if len(text) <= most:
        return text
    return f"{text[: most - 30]} … {text[-20:]}"


def drawn(svg: str) -> Markup:
    """Put a drawing into the page; those who draw escape what they write."""
    return Markup(svg)  # noqa: S704  # see above


def isolated(text: str) -> Markup:
    """Write text that cannot turn what is around it, as letters do that are written from the right."""
    safe = printable(text)
    return escape(safe) if safe.isascii() else Markup("<bdi>{}</bdi>").format(safe)


def name(text: str) -> Markup:
    """Write a name as code that cannot turn the text around it; a very long one is cut."""
    return Markup("<code>{}</code>").format(isolated(clipped(text)))


def prose(text: str) -> Markup:
    """Write sentences; what stands between backticks is code, and what is very long is folded."""
    if len(text) <= _LONG_TEXT:
        return _sentence(text)
    return Markup(
        "{} … <details><summary>the whole text, {} characters</summary>{}</details>"
    ).format(_sentence(text[:_LONG_TEXT]), f"{len(text):,}", _sentence(text))


def _sentence(text: str) -> Markup:
    return Markup("").join(_pieces(text))


def _pieces(text: str) -> Iterator[Markup]:
    for index, piece in enumerate(_CODE.split(text)):
        yield Markup("<code>{}</code>").format(isolated(piece)) if index % 2 else isolated(piece)
