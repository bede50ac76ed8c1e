"""What Python's scoping says of a name: its values in a function, its import, its parameter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_BINDING = (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
# A module is called by these names, whatever the attribute is called that holds it.
_CALLED = frozenset({"forward", "__call__"})
_BUILDING = frozenset({"__init__", "__post_init__"})


def bindings_of(scope: _Function | ast.Module, name: str) -> list[ast.expr] | None:
    """Return all that is bound to a name in a scope; None where something is bound unseen."""
    found: list[ast.expr] = []
    for node in _own_nodes(scope):
        if name in _named_by(node) or _is_unpacked(node, name):
            return None
        if _is_bound_by(node, name):
            found.append(node.value)  # type: ignore[attr-defined]
    return found


def _is_bound_by(node: ast.AST, name: str) -> bool:
    """Whether a node binds a value that it shows to a name."""
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    if isinstance(node, ast.AnnAssign) and node.value is None:
        return False
    if isinstance(node, _BINDING):
        return isinstance(node.target, ast.Name) and node.target.id == name
    return False


def _is_unpacked(node: ast.AST, name: str) -> bool:
    """Whether a node is a name that something else than a plain value is bound to."""
    if not isinstance(node, ast.Name) or node.id != name or isinstance(node.ctx, ast.Load):
        return False
    return not isinstance(node.parent, (ast.Assign, *_BINDING))  # type: ignore[attr-defined]


def _named_by(node: ast.AST) -> tuple[str | None, ...]:
    """The names that a statement binds, or hands over to another scope, without a value."""
    match node:
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return tuple(names)
        case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
            return (name,)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return tuple(a.asname or a.name.partition(".")[0] for a in aliases)
        case _:
            return ()


def is_rebound(tree: ast.Module, name: str) -> bool:
    """Whether a function of a file binds one of the file's names anew."""
    return any(isinstance(n, ast.Global) and name in n.names for n in ast.walk(tree))


def parameters_of(function: _Function) -> dict[str, ast.expr | None]:
    """Return the parameters of a function that take one value, in order, with their defaults."""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    found: dict[str, ast.expr | None] = dict(zip((a.arg for a in plain), defaults, strict=True))
    names = (a.arg for a in arguments.kwonlyargs)
    found.update(zip(names, arguments.kw_defaults, strict=True))
    return found


def arguments_of(
    call: ast.Call, function: _Function, imported: dict[str, str]
) -> dict[str, ast.expr] | None:
    """Match the arguments of a call with the parameters of the function that ran.

    None where the call may be another's, which calls the function in its turn.
    """
    if dotted_name(call.func, imported) or not _may_call(call, function):
        return None
    if any(isinstance(each, ast.Starred) for each in call.args):
        return None
    if any(keyword.arg is None for keyword in call.keywords):
        return None
    plain = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    names = plain[1:] if is_method(function) else plain
    if len(call.args) > len(names):
        return None
    found = dict(zip(names, call.args, strict=False))
    found.update((k.arg, k.value) for k in call.keywords if k.arg is not None)
    return found


def _may_call(call: ast.Call, function: _Function) -> bool:
    """Whether a call can be one of a function itself: of its name, or of a module."""
    handed_on = (*map(_last_name, call.args), *(_last_name(k.value) for k in call.keywords))
    if function.name in handed_on or not _CALLED.isdisjoint(handed_on):
        return False
    return function.name in _CALLED or _last_name(call.func) == function.name


def _last_name(expression: ast.expr) -> str:
    match expression:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def is_method(function: _Function) -> bool:
    """Whether the first parameter of a function is the object that it is called on."""
    inside = isinstance(getattr(function, "parent", None), ast.ClassDef)
    static = any(_last_name(each) == "staticmethod" for each in function.decorator_list)
    return inside and not static


def is_held(function: _Function, expression: ast.expr) -> bool:
    """Whether an attribute of a method's object keeps what it was built with.

    It does not where the class computes it, or where the file writes it anywhere else.
    """
    names: list[str] = []
    while isinstance(expression, ast.Attribute):
        names.append(expression.attr)
        expression = expression.value
    own = next(iter(parameters_of(function)), "")
    if not names or not is_method(function) or not isinstance(expression, ast.Name):
        return False
    return expression.id == own and names[-1] not in _rewritten(_module_of(function))


def _module_of(node: ast.AST) -> ast.Module:
    while not isinstance(node, ast.Module):
        node = node.parent  # type: ignore[attr-defined]
    return node


@cache
def _rewritten(tree: ast.Module) -> frozenset[str]:
    """Attributes that a file computes, or writes outside of constructors."""
    found = set()
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        found.add(function.name)
        if function.name in _BUILDING:
            continue
        written = (n for n in ast.walk(function) if isinstance(n, ast.Attribute))
        found |= {n.attr for n in written if isinstance(n.ctx, ast.Store)}
    return frozenset(found)


def imports_of(tree: ast.Module, function: _Function) -> dict[str, str]:
    """Return what the names that a function imports, or its file, stand for."""
    found: dict[str, str] = {}
    for node in (*_own_nodes(tree), *_own_nodes(function)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.update((a.asname or a.name, f"{node.module}.{a.name}") for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update((a.asname or a.name, f".{node.module}.{a.name}") for a in node.names)
    return found


def dotted_name(expression: ast.expr, imported: dict[str, str]) -> str:
    """Return the full name of what was imported; empty for anything else."""
    parts: list[str] = []
    while isinstance(expression, ast.Attribute):
        parts.insert(0, expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name) or expression.id not in imported:
        return ""
    return ".".join([imported[expression.id], *parts])


def _own_nodes(scope: _Function | ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes of a scope, those of the scopes inside left out."""
    stack: list[ast.AST] = list(scope.body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, _SCOPES):
            stack.extend(ast.iter_child_nodes(node))
