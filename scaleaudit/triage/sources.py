"""A source file as comments see it: its comments, its logical lines, and what encloses a line."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from scaleaudit.files import encoding_of

# A logical line of one of these reaches over the lines in its body.
_ENCLOSING = (
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
)
# Python ends a line here and nowhere else; str.splitlines knows more ends.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLANK = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT})
_OUTSIDE = frozenset({*_BLANK, tokenize.ENCODING, tokenize.ENDMARKER, tokenize.NEWLINE})
_ENDS = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE})


@dataclass(frozen=True)
class SourceFile:
    """A file that may hold comments; one that is no Python has no tokens and no tree.

    Attributes:
        path: As findings name it.
    """

    path: str
    data: bytes

    @cached_property
    def tokens(self) -> tuple[tokenize.TokenInfo, ...]:
        """The tokens, none where the file cannot be read as Python."""
        try:
            return tuple(tokenize.tokenize(io.BytesIO(self.data).readline))
        except (tokenize.TokenError, SyntaxError, ValueError):
            return ()

    @cached_property
    def tree(self) -> ast.Module | None:
        """The syntax tree, None where the file cannot be read as Python."""
        try:
            return ast.parse(self.data)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None

    @cached_property
    def comments(self) -> tuple[tokenize.TokenInfo, ...]:
        """The comments. Text in a string that looks like one is none."""
        return tuple(token for token in self.tokens if token.type == tokenize.COMMENT)

    def line_of(self, number: int) -> range:
        """Return the lines of the statement, or of the head of one, that a line is part of.

        Line 1 stands for the file where nothing stands on it: its first statement, then.
        """
        for lines in self._logical_lines:
            if number in lines or (number == 1 and lines is self._logical_lines[0]):
                return range(min(number, lines.start), lines.stop)
        return range(number, number + 1)

    def around(self, number: int) -> Iterator[range]:
        """Yield the heads of the loops, functions and classes around a line, the nearest first."""
        for node in reversed(self._enclosing):
            first, *rest = (node, *_decorators(node))
            starts = [first.lineno, *(each.lineno for each in rest)]
            if min(starts) <= number <= (node.end_lineno or 0):
                yield from (self.line_of(start) for start in starts)

    def innermost(self, number: int, column: int) -> ast.stmt | None:
        """Return the statement inside a function that holds a place; columns count from 1."""
        found = None
        for function in self._enclosing:
            if isinstance(function, _FUNCTIONS) and self._holds(function, number, column):
                for node in ast.walk(function):
                    if node is not function and isinstance(node, ast.stmt):
                        found = node if self._holds(node, number, column) else found
        return found

    @cached_property
    def legal_lines(self) -> frozenset[int]:
        """The lines at whose end a comment may stand: not in a string, not before a backslash."""
        return frozenset(token.start[0] for token in self.tokens if token.type in _ENDS)

    @cached_property
    def _logical_lines(self) -> tuple[range, ...]:
        found: list[range] = []
        start = 0
        for token in self.tokens:
            if not start and token.type not in _OUTSIDE:
                start = token.start[0]
            if start and token.type == tokenize.NEWLINE:
                found.append(range(start, token.start[0] + 1))
                start = 0
        return tuple(found)

    @cached_property
    def _enclosing(self) -> tuple[ast.stmt, ...]:
        """Loops, functions and classes, outer ones before those inside them."""
        nodes = ast.walk(self.tree) if self.tree is not None else ()
        return tuple(node for node in nodes if isinstance(node, _ENCLOSING))

    def _holds(self, node: ast.stmt, number: int, column: int) -> bool:
        if not node.lineno <= number <= (node.end_lineno or 0):
            return False
        if not column:
            return True
        after = (number, column) >= (node.lineno, self._column(node.lineno, node.col_offset))
        return after and (number, column) < (
            node.end_lineno or 0,
            self._column(node.end_lineno or 0, node.end_col_offset or 0),
        )

    def _column(self, line: int, offset: int) -> int:
        """Turn an offset in bytes of UTF-8 into a column in characters, from 1."""
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return len(text.encode()[:offset].decode(errors="replace")) + 1

    @cached_property
    def encoding(self) -> str:
        """The encoding that the file declares; UTF-8 where it names none, or one unknown."""
        return encoding_of(self.data)

    @cached_property
    def text(self) -> str:
        """The text, line ends as they are; empty where it is not in its encoding."""
        try:
            return self.data.decode(self.encoding)
        except UnicodeDecodeError:
            return ""

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines, each with its end."""
        return tuple(_LINE.findall(self.text))


def _decorators(node: ast.stmt) -> list[ast.expr]:
    return getattr(node, "decorator_list", [])
