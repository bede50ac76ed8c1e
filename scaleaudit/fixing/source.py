"""A user's source: its syntax tree by places, and edits that keep everything else as it was."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from scaleaudit.domain.graph import Location

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_MARK = "\ufeff"
Loop: TypeAlias = ast.For | ast.While
# Line and offset in bytes, as the syntax tree counts: lines from 1, offsets from 0.
_Place: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of some characters; an insertion where start and end are one.

    Attributes:
        start: Index into the text.
    """

    start: int
    end: int
    text: str


class Source:
    """One file."""

    def __init__(self, path: str, text: str) -> None:
        """Parse a file; a byte order mark is kept apart from its text.

        Raises:
            SyntaxError, ValueError, RecursionError, MemoryError: It is no Python that can be read.
        """
        if "\r" in text.replace("\r\n", ""):
            raise ValueError("lines that end as on old Macs")
        self.mark = _MARK if text.startswith(_MARK) else ""
        text = text.removeprefix(_MARK)
        self.path, self.text = path, text
        self.tree = ast.parse(text)
        self.lines = lines_of(text)
        self._parents = {
            child: parent
            for parent in ast.walk(self.tree)
            for child in ast.iter_child_nodes(parent)
        }

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line))
        return starts

    def expression_at(self, location: Location) -> ast.expr | None:
        """Return the expression, or what a statement computes, that has exactly a place."""
        start, end = (
            self._bytes(location.line, location.column),
            self._bytes(location.end_line or location.line, location.end_column),
        )
        if start is None or end is None:
            return None
        for node in ast.walk(self.tree):
            if isinstance(node, ast.expr | ast.AugAssign) and _span(node) == (start, end):
                return node.value if isinstance(node, ast.AugAssign) else node
        return None

    def _bytes(self, line: int, column: int) -> _Place | None:
        if not (0 < line <= len(self.lines) and column > 0):
            return None
        return line, len(self.lines[line - 1][: column - 1].encode())

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield what a node stands in, innermost first."""
        above = self._parents.get(node)
        while above is not None:
            yield above
            above = self._parents.get(above)

    def statement_of(self, node: ast.AST) -> ast.stmt | None:
        """Return the innermost statement that a node is part of."""
        if isinstance(node, ast.stmt):
            return node
        return next((each for each in self.around(node) if isinstance(each, ast.stmt)), None)

    def function_of(self, node: ast.AST) -> Function | None:
        """Return the function whose own code a node is; None in a lambda or a comprehension."""
        for each in self.around(node):
            if isinstance(each, Function):
                return each
            if isinstance(each, _SCOPES):
                return None
        return None

    def loops_of(self, node: ast.AST) -> list[Loop]:
        """Return the loop statements around a node in its function, innermost first."""
        found: list[Loop] = []
        for each in self.around(node):
            if isinstance(each, Function):
                break
            if isinstance(each, Loop):
                found.append(each)
        return found

    def block_of(self, statement: ast.stmt) -> list[ast.stmt]:
        """Return the statements of the block that one stands in."""
        above = self._parents.get(statement)
        for _, value in ast.iter_fields(above) if above is not None else ():
            if isinstance(value, list) and statement in value:
                return value
        return []

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Return where a node starts and ends, as indices into the text."""
        start, end = _span(node)
        return self._index(start), self._index(end)

    def _index(self, place: _Place) -> int:
        line, offset = place
        return self._starts[line - 1] + len(self.lines[line - 1].encode()[:offset].decode())

    def written(self, node: ast.expr) -> str:
        """Return the text of an expression."""
        start, end = self.span(node)
        return self.text[start:end]

    def indentation(self, statement: ast.stmt) -> str | None:
        """Return the blanks before a statement; None where it does not have its lines to itself."""
        start, end = self.span(statement)
        before = self.text[self._starts[statement.lineno - 1] : start]
        line_end = self._starts[statement.end_lineno or statement.lineno]
        behind = self.text[end:line_end].strip()
        alone = not before.strip() and (not behind or behind.startswith("#"))
        return before if alone else None

    def line_after(self, statement: ast.stmt, text: str) -> Edit | None:
        """Insert a line behind a statement, indented as that is."""
        return self._line(statement, text, self._starts[statement.end_lineno or statement.lineno])

    def line_before(self, statement: ast.stmt, text: str) -> Edit | None:
        """Insert a line before a statement, indented as that is."""
        return self._line(statement, text, self._starts[statement.lineno - 1])

    def _line(self, statement: ast.stmt, text: str, index: int) -> Edit | None:
        indentation = self.indentation(statement)
        if indentation is None:
            return None
        newline = "\r\n" if self.lines[statement.lineno - 1].endswith("\r\n") else "\n"
        if index > 0 and not self.text[:index].endswith("\n"):  # the last line has no end
            return Edit(index, index, f"{newline}{indentation}{text}")
        return Edit(index, index, f"{indentation}{text}{newline}")


_SCOPES = (
    ast.Lambda, ast.ClassDef, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
)  # fmt: skip


def _span(node: ast.expr | ast.stmt) -> tuple[_Place, _Place]:
    end = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return (node.lineno, node.col_offset), end


def lines_of(text: str) -> list[str]:
    """Split a text into lines as Python does, with their ends; no other sign ends one."""
    found = text.split("\n")
    return [f"{line}\n" for line in found[:-1]] + ([found[-1]] if found[-1] else [])


def stored_in(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names of variables that some code sets or deletes."""
    return {
        part.id
        for node in nodes
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)
    }


def changed(source: Source, edits: Iterable[Edit]) -> str:
    """Return the text with edits made, or nothing where that is no Python any more."""
    text = source.text
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return ""
    return text


def diff(path: str, before: str, after: str) -> str:
    """Return the unified diff of two texts of a file, as `git apply` takes it."""
    name = path.lstrip("/")
    lines = difflib.unified_diff(lines_of(before), lines_of(after), f"a/{name}", f"b/{name}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
