"""Which classes of a file can be models, told from its syntax tree alone.

A model's class extends another that comes from torch, directly or through modules that only
running would show. A class is none for sure where all that it extends comes from the standard
library by a plain import, is a builtin, or is such a class of the same file.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# Through these, anything can be reached.
_DOORS = frozenset({
    "builtins", "code", "codeop", "copyreg", "ctypes", "gc", "importlib", "inspect", "marshal",
    "operator", "pickle", "pkgutil", "runpy", "shelve", "sys", "test", "types", "zipimport",
})  # fmt: skip
# With these, any name may be bound.
_ANY_NAME = frozenset({"__builtins__", "exec", "globals", "locals", "vars"})
_BUILTIN_CLASSES = frozenset(
    name for name, value in vars(builtins).items() if isinstance(value, type)
)
# The nodes that can bind a name; the others are most of a tree.
_NAMING = {"arg", "attr", "id", "name", "names", "rest"}
_BINDING = frozenset(
    kind
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST) and _NAMING.intersection(kind._fields)
)
_Binding = ast.ClassDef | str | None


def may_hold_model(nodes: Sequence[ast.AST], folder: Path) -> bool:
    """Tell whether a class of a file may be a model's.

    Args:
        nodes: All nodes of its syntax tree.
        folder: Where the file is; modules beside or above it come before the library's.
    """
    classes = [node for node in nodes if isinstance(node, ast.ClassDef) and node.bases]
    if not classes:
        return False
    names = _Names(nodes, os.path.abspath(folder))
    return not all(names.is_harmless(node) for node in classes)


class _Names:
    """What the names of a file may stand for, whatever their scope."""

    def __init__(self, nodes: Iterable[ast.AST], folder: str) -> None:
        self._folder = folder
        self._bound: dict[str, list[_Binding]] = {}
        self._harmless: dict[ast.ClassDef, bool] = {}
        for node in nodes:
            if type(node) not in _BINDING or _is_read(node):
                continue
            for name, binding in _bindings(node):
                self._bound.setdefault(name, []).append(binding)

    def is_harmless(self, node: ast.ClassDef) -> bool:
        """Tell whether a class is no model's for sure."""
        if node not in self._harmless:
            self._harmless[node] = False  # a class that extends itself proves nothing
            self._harmless[node] = all(self._is_harmless_base(base) for base in node.bases)
        return self._harmless[node]

    def _is_harmless_base(self, base: ast.expr) -> bool:
        root = base
        while isinstance(root, ast.Attribute | ast.Subscript):
            if isinstance(root, ast.Attribute) and _is_door(root.attr):
                return False
            root = root.value
        if not isinstance(root, ast.Name) or "*" in self._bound:
            return False
        bound = self._bound.get(root.id)
        if bound is None:
            return root.id in _BUILTIN_CLASSES
        return all(self._is_harmless_binding(binding) for binding in bound)

    def _is_harmless_binding(self, binding: _Binding) -> bool:
        if isinstance(binding, ast.ClassDef):
            return self.is_harmless(binding)
        return binding is not None and _is_library(binding, self._folder)


def _is_read(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Name | ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and not (isinstance(node, ast.Name) and node.id in _ANY_NAME)
    )


def _bindings(node: ast.AST) -> Iterator[tuple[str, _Binding]]:
    """Yield the names that a node binds, each with the class or the module that it comes from."""
    match node:
        case ast.ClassDef(name=name):
            yield name, node
        case ast.Import(names=aliases):
            for alias in aliases:
                top = alias.name.partition(".")[0]
                yield alias.asname or top, top
        case ast.ImportFrom(names=aliases, module=module, level=level):
            for alias in aliases:
                plain = module and not level and not _is_door(alias.name)
                yield alias.asname or alias.name, str(module).partition(".")[0] if plain else None
        case _:
            yield from ((name, None) for name in _otherwise_bound(node))


def _otherwise_bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node binds to what cannot be told."""
    match node:
        case ast.Name(id=name) if name in _ANY_NAME:
            yield "*"
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            yield name
        case ast.Attribute(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
            yield name
        case ast.alias():
            pass  # told by the import that it belongs to
        case _:
            # Functions, handlers, patterns and type parameters call theirs like this.
            names = (getattr(node, field, None) for field in ("name", "rest"))
            yield from (each for each in names if isinstance(each, str))


def _is_library(module: str, folder: str) -> bool:
    known = module in sys.stdlib_module_names and module not in _DOORS
    return known and not any(_has_module(each, module) for each in _upwards(folder))


def _is_door(name: str) -> bool:
    """Tell whether a name of a library's module may be another module, as `logging.sys` is."""
    return name in _DOORS or name.startswith("_")


def _upwards(folder: str) -> Iterator[str]:
    here = folder
    while True:
        yield here
        above = os.path.dirname(here)
        if above == here:
            return
        here = above


def _has_module(folder: str, module: str) -> bool:
    path = os.path.join(folder, module)
    return os.path.isdir(path) or os.path.exists(f"{path}.py")
