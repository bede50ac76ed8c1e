"""Every place in the package where an error for users is made, out of its syntax trees."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import click

import scaleaudit
from scaleaudit.errors import ScaleAuditError

PACKAGE = Path(scaleaudit.__file__).parent
_ROOTS = frozenset({"ScaleAuditError", "UsageError", "BadParameter", "ClickException"})


@dataclass(frozen=True, order=True)
class Site:
    """A call that makes an error: its file, its function, and which of those there it is."""

    file: str
    function: str
    number: int
    lines: range = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.function}:{self.number}"


@cache
def all_sites() -> list[Site]:
    """Return every site, in the order of files and lines."""
    trees = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
    errors = _error_classes(trees.values())
    methods = {name for tree in trees.values() for name in _makers(tree, errors, of_class=True)}
    return [
        site
        for path, tree in trees.items()
        for site in _sites(
            path, tree, errors | methods | set(_makers(tree, errors, of_class=False))
        )
    ]


def _error_classes(trees: Iterator[ast.Module]) -> set[str]:
    """Return the names of all classes of errors for users."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    found = set(_ROOTS)
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


def _makers(tree: ast.Module, errors: set[str], *, of_class: bool) -> Iterator[str]:
    """Yield the functions that return such an error; public methods are called from anywhere."""
    for node in (tree, *(each for each in tree.body if isinstance(each, ast.ClassDef))):
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef) and inner.returns is not None:
                public = isinstance(node, ast.ClassDef) and not inner.name.startswith("_")
                if ast.unparse(inner.returns) in errors and public is of_class:
                    yield inner.name


def _sites(path: Path, tree: ast.Module, makers: set[str]) -> Iterator[Site]:
    numbers: Counter[str] = Counter()
    for function, call in _calls(tree, ""):
        name = (
            call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        )
        if name in makers and not _is_other(call.func):
            file = path.relative_to(PACKAGE).as_posix()
            lines = range(call.lineno, (call.end_lineno or call.lineno) + 1)
            yield Site(file, function, numbers[function], lines)
            numbers[function] += 1


def _is_other(function: ast.expr) -> bool:
    """Tell whether a call is of something that another module has under such a name."""
    return isinstance(function, ast.Attribute) and ast.unparse(function.value) in {"re", "yaml"}


def _calls(node: ast.AST, inside: str) -> Iterator[tuple[str, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, ast.FunctionDef | ast.ClassDef)
        within = f"{inside}.{child.name}".lstrip(".") if named else inside
        if isinstance(child, ast.Call):
            yield within, child
        yield from _calls(child, within)


@contextmanager
def watched() -> Iterator[set[tuple[str, int]]]:
    """Collect the lines of the package that were at work whenever an error was made."""
    lines: set[tuple[str, int]] = set()
    kinds = (ScaleAuditError, click.ClickException)
    before = [kind.__init__ for kind in kinds]
    for kind, made in zip(kinds, before, strict=True):
        kind.__init__ = _noting(made, lines)
    try:
        yield lines
    finally:
        for kind, made in zip(kinds, before, strict=True):
            kind.__init__ = made


def _noting(made, lines):
    def noted(self, *args, **kwargs):
        frame = sys._getframe(1)
        while frame is not None:
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(PACKAGE):
                lines.add((path.relative_to(PACKAGE).as_posix(), frame.f_lineno))
            frame = frame.f_back
        made(self, *args, **kwargs)

    return noted
