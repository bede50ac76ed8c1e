"""Which of a file's modules are models: those that nothing else in the file builds upon."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from torch import nn

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class FileIndex:
    """What a file defines at its top, and which of these names each definition reads.

    Attributes:
        tree: The file's syntax tree.
        reads: For every definition, the names of others that its code uses, annotations apart.
    """

    path: Path
    module: ModuleType
    tree: ast.Module
    reads: dict[str, frozenset[str]]

    @classmethod
    def of(cls, path: Path, module: ModuleType) -> FileIndex:
        """Read a file."""
        tree = ast.parse(path.read_bytes())
        reads: dict[str, set[str]] = {}
        for node in _definitions(tree):
            for name in _defined(node):
                reads.setdefault(name, set()).update(_names_read(node))
        names = reads.keys() & vars(module).keys()
        return cls(path, module, tree, {k: frozenset(reads[k] & names - {k}) for k in names})

    def classes(self) -> dict[str, type[nn.Module]]:
        """Return the module classes that the file defines and that can run, in their order."""
        return {
            name: value
            for name, value in vars(self.module).items()
            if isinstance(value, type)
            and issubclass(value, nn.Module)
            and value.__module__ == self.module.__name__
            and value.__name__ == name
        }

    def uses(self, name: str) -> frozenset[str]:
        """Return all that a definition needs, directly or through others."""
        seen: set[str] = set()
        stack = [name]
        while stack:
            fresh = self.reads.get(stack.pop(), frozenset()) - seen
            seen |= fresh
            stack.extend(fresh)
        return frozenset(seen)


def roots(index: FileIndex) -> tuple[str, ...]:
    """Return the classes that can run and that no other module class of the file uses."""
    classes = index.classes()
    uses = {name: index.uses(name) & classes.keys() for name in classes}
    return tuple(
        name
        for name, cls in classes.items()
        if _runs(cls)
        and not any(name in uses[other] and other not in uses[name] for other in classes)
    )


def _runs(cls: type[nn.Module]) -> bool:
    return cls.forward is not nn.Module.forward and not inspect.isabstract(cls)


def _definitions(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield what the file defines at its top, also under ``if`` and ``try``."""
    stack: list[ast.stmt] = list(tree.body)
    while stack:
        node = stack.pop()
        match node:
            case ast.If() | ast.Try():
                children = ast.iter_child_nodes(node)
                stack.extend(child for child in children if isinstance(child, ast.stmt))
            case _:
                yield node


def _defined(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            parts = (part for target in targets for part in ast.walk(target))
            yield from (part.id for part in parts if isinstance(part, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case _:
            pass


def _names_read(node: ast.stmt) -> set[str]:
    """Return the names of the file that a definition's code reads.

    Bases and annotations build nothing, and a function's own variables are nobody else's.
    """
    skipped: set[ast.AST] = set()
    for inner in ast.walk(node):
        for part in _builds_nothing(inner):
            skipped.update(ast.walk(part))
    return _free(node, frozenset(), skipped)


def _free(node: ast.AST, local: frozenset[str], skipped: set[ast.AST]) -> set[str]:
    if node in skipped:
        return set()
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) and node.id not in local else set()
    if isinstance(node, _FUNCTIONS):
        local |= frozenset(_own_names(node))
    return set().union(*(_free(child, local, skipped) for child in ast.iter_child_nodes(node)))


def _own_names(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        match node:
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case _:
                pass


def _builds_nothing(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.ClassDef(bases=bases):
            yield from bases
        case ast.arg(annotation=annotation) if annotation is not None:
            yield annotation
        case ast.AnnAssign(annotation=annotation):
            yield annotation
        case ast.FunctionDef(returns=returns) if returns is not None:
            yield returns
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass" | "super"), args=args):
            yield from args
        case _:
            pass
