"""The source that a frame runs: its function, and the expression that it is at."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

from scaleaudit.domain.graph import Frame

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def function_of(frame: Frame) -> _Function | None:
    """Return the function that a frame runs; None for a lambda, or without its source."""
    node: ast.AST | None = innermost(frame)
    while node is not None and not isinstance(node, (*_FUNCTIONS, ast.Lambda)):
        node = getattr(node, "parent", None)
    return node if isinstance(node, _FUNCTIONS) else None


def innermost(frame: Frame) -> ast.AST | None:
    """Return the innermost node of the source around what a frame runs."""
    tree = tree_of(frame.location.path)
    place = (frame.location.line, frame.location.column)
    found: ast.AST | None = None
    stack: list[ast.AST] = [] if tree is None else list(tree.body)
    while stack:
        node = stack.pop()
        if _start(frame, node) <= place < _end(frame, node):
            found, stack = node, list(_placed(node))
    return found


def _placed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a node that have a place; those of the others in their stead."""
    for child in ast.iter_child_nodes(node):
        if hasattr(child, "lineno"):
            yield child
        else:
            yield from _placed(child)


def expression_of(frame: Frame) -> ast.AST | None:
    """Return the expression that a frame is evaluating."""
    node = innermost(frame)
    location = frame.location
    span = ((location.line, location.column), (location.end_line, location.end_column))
    while node is not None and (_start(frame, node), _end(frame, node)) != span:
        node = getattr(node, "parent", None)
    return node


def _start(frame: Frame, node: ast.AST) -> tuple[int, int]:
    line, offset = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
    return line, _column(frame.location.path, line, offset)


def _end(frame: Frame, node: ast.AST) -> tuple[int, int]:
    line, offset = getattr(node, "end_lineno", 0), getattr(node, "end_col_offset", 0)
    return line, _column(frame.location.path, line, offset)


def _column(path: str, line: int, offset: int) -> int:
    """Return the column, from 1, of an offset in bytes."""
    text = linecache.getline(path, line)
    return 1 + (offset if text.isascii() else len(text.encode()[:offset].decode(errors="ignore")))


def tree_of(path: str) -> ast.Module | None:
    """Return the source of a file, every node with its parent; None where it cannot be read."""
    return _parsed("".join(linecache.getlines(path)))


@cache
def _parsed(source: str) -> ast.Module | None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            child.parent = parent  # type: ignore[attr-defined]
    return tree
