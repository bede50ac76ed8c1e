"""Python as HTML: coloured by Pygments, with what a finding means marked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from markupsafe import Markup, escape
from pygments.lexers.python import PythonLexer
from pygments.token import Token, _TokenType

from scaleaudit.report.terminal import printable

# Pieces of a line, each with its class in the style sheet; empty for none.
Line: TypeAlias = "tuple[tuple[str, str], ...]"

# What is coloured, the most special first; all else is plain, which keeps pages small.
_CLASSES = (
    (Token.Comment, "c"),
    (Token.Keyword, "k"),
    (Token.Operator.Word, "k"),
    (Token.Literal.String, "s"),
    (Token.Literal.Number, "m"),
    (Token.Name.Decorator, "d"),
    (Token.Name.Function, "f"),
    (Token.Name.Class, "f"),
)
_LEXER = PythonLexer(stripnl=False, ensurenl=False)


def coloured(text: str) -> tuple[Line, ...]:
    """Split lines into pieces by what they are in Python."""
    lines: list[list[tuple[str, str]]] = [[]]
    for kind, value in _LEXER.get_tokens(text):
        first, *more = value.split("\n")
        _add(lines[-1], _class(kind), first)
        for part in more:
            lines.append([])
            _add(lines[-1], _class(kind), part)
    return tuple(map(tuple, lines))


def _class(kind: _TokenType) -> str:
    # A kind holds those below it; the stubs take it for a tuple of words.
    return next((name for token, name in _CLASSES if kind in token), "")  # type: ignore[comparison-overlap]


def _add(line: list[tuple[str, str]], name: str, text: str) -> None:
    if not text:
        return
    if line and line[-1][0] == name:
        line[-1] = (name, line[-1][1] + text)
    else:
        line.append((name, text))


def written(line: Line, marked: tuple[int, int] | None = None, margin: int = 0) -> Markup:
    """Write a line, with a span of it marked, and without so many characters at its start."""
    if marked is None:
        return _pieces(_cut(line, margin, None))
    start, end = marked
    return Markup("{}<mark>{}</mark>{}").format(
        _pieces(_cut(line, margin, start)),
        _pieces(_cut(line, start, end)),
        _pieces(_cut(line, end, None)),
    )


def _cut(line: Line, start: int, end: int | None) -> Iterator[tuple[str, str]]:
    at = 0
    for name, text in line:
        kept = text[max(start - at, 0) : None if end is None else max(end - at, 0)]
        if kept:
            yield name, kept
        at += len(text)


def _pieces(line: Line | Iterator[tuple[str, str]]) -> Markup:
    return Markup("").join(
        Markup("<i class={}>{}</i>").format(name, printable(text))
        if name
        else escape(printable(text))
        for name, text in line
    )
