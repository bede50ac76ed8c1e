"""What names mean in a function of a file, where that is sure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from scaleaudit.fixing.source import Function, Source

# What gives torch's functions, by what is imported, the shortest way to write it first.
_FUNCTIONAL = "torch.nn.functional"
_STAR = "*"
_INNER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def functional(source: Source, function: Function, before: ast.stmt) -> str:
    """Return how a statement's neighbour can write torch.nn.functional; empty where it cannot.

    Args:
        before: The statement of the function by which its own imports have run.
    """
    own = [each for each in function.body if each.lineno < before.lineno]
    found = {**_sure(source.tree.body, _of_module(source), _local(source, function))}
    found |= _sure(own, list(_bindings(function.body)), _outer(source, function))
    ways = [
        name + _FUNCTIONAL.removeprefix(meant)
        for name, meant in found.items()
        if meant == _FUNCTIONAL or _FUNCTIONAL.startswith(f"{meant}.")
    ]
    return min(ways, key=len, default="")


def are_builtin(source: Source, function: Function, names: Iterable[str]) -> bool:
    """Tell whether names surely mean what Python gives them in a function."""
    bound = {name for name, _ in _of_module(source)} | _local(source, function)
    return _STAR not in bound and bound.isdisjoint(names)


def names_in(function: Function) -> set[str]:
    """Return the names that a function speaks of."""
    read = {part.id for part in ast.walk(function) if isinstance(part, ast.Name)}
    return read | {name for name, _ in _bindings([function])}


# A name with what is imported by it; empty where it is bound in any other way.
_Binding = tuple[str, str]


def _sure(
    statements: Iterable[ast.stmt], bound: list[_Binding], hidden: set[str]
) -> dict[str, str]:
    """The imports among statements that run one after another, of names that mean nothing else."""
    found = dict(binding for each in statements for binding in _imported(each))
    if any(name == _STAR for name, _ in bound):
        return {}
    return {
        name: meant
        for name, meant in found.items()
        if name not in hidden and all(other == meant for each, other in bound if each == name)
    }


def _of_module(source: Source) -> list[_Binding]:
    """What a module binds, and what functions bind for it."""
    found = list(_bindings(source.tree.body, inside=False))
    for part in ast.walk(source.tree):
        if isinstance(part, ast.Global):
            found.extend((name, "") for name in part.names)
    return found


def _local(source: Source, function: Function) -> set[str]:
    """What a function and those around it bind."""
    return {name for name, _ in _bindings([function])} | _outer(source, function)


def _outer(source: Source, function: Function) -> set[str]:
    """What a function is given, and what those around it bind."""
    arguments = {part.arg for part in ast.walk(function.args) if isinstance(part, ast.arg)}
    around = [each for each in source.around(function) if isinstance(each, Function)]
    return arguments | {name for name, _ in _bindings(around)}


def _bindings(nodes: Iterable[ast.AST], *, inside: bool = True) -> Iterator[_Binding]:
    """Yield the names that code binds.

    Args:
        inside: Whether code of functions and classes in it counts as well.
    """
    stack = list(nodes)
    while stack:
        node = stack.pop()
        yield from _bound(node)
        if inside or not isinstance(node, _INNER):
            stack.extend(ast.iter_child_nodes(node))


def _bound(node: ast.AST) -> Iterator[_Binding]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            yield name, ""
        case ast.Import() | ast.ImportFrom():
            yield from _imported(node)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, ""
        case (
            ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
            | ast.MatchMapping(rest=str(name))
        ):
            yield name, ""
        case _:
            pass


def _imported(statement: ast.AST) -> Iterator[_Binding]:
    """Yield the names that a statement imports, each with what it stands for."""
    match statement:
        case ast.Import(names=names):
            for alias in names:
                root = alias.asname or alias.name.partition(".")[0]
                yield root, alias.name if alias.asname else root
        case ast.ImportFrom(module=module, names=names, level=level):
            for alias in names:
                yield alias.asname or alias.name, f"{'.' * level}{module or ''}.{alias.name}"
        case _:
            pass
