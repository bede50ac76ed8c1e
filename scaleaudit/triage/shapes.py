"""The shape of a statement: what is left of it without names, numbers and layout."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator

from scaleaudit.domain.graph import Location
from scaleaudit.triage.sources import SourceFile

_LENGTH = 8  # hexadecimal digits
# Of a statement with a body only the head says where it is.
_BODIES = frozenset({"body", "orelse", "finalbody", "handlers", "cases"})
_NAMES = frozenset({"id", "attr", "arg", "name", "asname", "rest", "module"})


def shape_of(file: SourceFile, location: Location) -> str:
    """Return a digest of the statement at a place; empty outside of functions."""
    statement = file.innermost(location.line, location.column)
    if statement is None:
        return ""
    return hashlib.sha256(" ".join(_parts(statement, {})).encode()).hexdigest()[:_LENGTH]


def _parts(node: ast.AST, names: dict[str, int]) -> Iterator[str]:
    """Yield the kinds of the nodes, with names numbered by their first appearance."""
    yield type(node).__name__
    skipped = _BODIES if isinstance(node, ast.stmt) else ()
    for field, value in ast.iter_fields(node):
        if field in skipped or isinstance(node, ast.Constant):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield from _parts(each, names)
            elif isinstance(each, str) and field in _NAMES:
                yield str(names.setdefault(each, len(names)))
    yield "."
