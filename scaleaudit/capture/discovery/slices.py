"""What a piece of a script needs to run by itself: the statements before it that it depends on."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from scaleaudit.domain.plans import Statement

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# What a script repeats is training more often than set-up.
_REPEATS = (ast.For, ast.AsyncFor, ast.While)


@dataclass(slots=True)
class Slice:
    """Statements to run first, and the names that nothing before the piece defines."""

    statements: list[Statement]
    missing: frozenset[str]


@dataclass
class Script:
    """A file's tree, with a way from every node to its parent."""

    tree: ast.Module
    source: str
    known: Collection[str]
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for parent in ast.walk(self.tree):
            for child in ast.iter_child_nodes(parent):
                self.parents[child] = parent

    def text(self, node: ast.AST) -> str:
        """Return the source of a node."""
        return ast.get_source_segment(self.source, node) or ast.unparse(node)

    def needs(self, *nodes: ast.AST) -> set[str]:
        """Return the names that some code reads and that neither it nor the module defines."""
        read: set[str] = set()
        bound: set[str] = set()
        for root in nodes:
            for node in ast.walk(root):
                match node:
                    case ast.Name(id=name, ctx=ast.Load()):
                        read.add(name)
                    case ast.comprehension(target=target):
                        bound.update(_names(target))
                    case ast.arg(arg=name):
                        bound.add(name)
                    case _:
                        pass
        return {n for n in read - bound if n not in self.known and not hasattr(builtins, n)}

    def before(self, node: ast.AST, needed: set[str], skip: Collection[str] = ()) -> Slice:
        """Return what must run before a node so that names have their values.

        Args:
            skip: Names that will be given and are not to be computed.
        """
        found: list[Statement] = []
        needed = needed - set(skip)
        while needed and (parent := self.parents.get(node)) is not None:
            for statement in _preceding(parent, node):
                self._take(statement, needed, found, skip)
            self._enter(parent, needed, found)
            node = parent
            if isinstance(parent, _FUNCTIONS):
                needed = {name for name in needed if name not in self.known}
        return Slice(found[::-1], frozenset(needed))

    def _take(
        self,
        statement: ast.stmt,
        needed: set[str],
        found: list[Statement],
        skip: Collection[str],
    ) -> None:
        bound = set(_bound(statement))
        acts = _acts_on(statement) in needed
        if isinstance(statement, _REPEATS) or not (bound & needed or acts):
            return
        found.append(self.statement(statement))
        if not isinstance(statement, ast.AugAssign | ast.If):
            needed -= bound
        needed |= self.needs(statement) - set(skip) - (set() if acts else bound)

    def _enter(self, parent: ast.AST, needed: set[str], found: list[Statement]) -> None:
        """Define what the surroundings of a block do: parameters, loop variables."""
        match parent:
            case ast.For(target=target, iter=iterable) if needed & set(_names(target)):
                needed -= set(_names(target))
                needed |= self.needs(iterable)
                text = f"{self.text(target)} = next(iter({self.text(iterable)}))"
                found.append(Statement(text))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for name, default in self._defaults(parent):
                    if name in needed:
                        needed.discard(name)
                        found.append(Statement(f"{name} = {default}"))
            case _:
                pass

    def _defaults(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef
    ) -> Iterator[tuple[str, str]]:
        arguments = function.args
        places = [*arguments.posonlyargs, *arguments.args]
        given = arguments.defaults
        for place, default in zip(places[len(places) - len(given) :], given, strict=True):
            yield place.arg, self.text(default)
        for place, maybe in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            if maybe is not None:
                yield place.arg, self.text(maybe)
        if arguments.vararg:
            yield arguments.vararg.arg, "()"
        if arguments.kwarg:
            yield arguments.kwarg.arg, "{}"
        owner = self.parents.get(function)
        if isinstance(owner, ast.ClassDef) and places and _is_classmethod(function):
            yield places[0].arg, owner.name

    def statement(self, node: ast.stmt) -> Statement:
        """Return a statement with its place."""
        return Statement(self.text(node), node.lineno, node.col_offset)


def _is_classmethod(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "classmethod" for d in function.decorator_list)


def _preceding(parent: ast.AST, node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements before a node in its block, the nearest first."""
    if isinstance(parent, ast.Module):
        return  # what stands at the top has run
    for _, block in ast.iter_fields(parent):
        if isinstance(block, list) and node in block:
            yield from (s for s in reversed(block[: block.index(node)]) if isinstance(s, ast.stmt))


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement binds, in its blocks too."""
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name.split(".")[0]
            case _:
                pass


def _names(target: ast.AST) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _acts_on(statement: ast.stmt) -> str:
    """Return the variable that a statement changes by a call or by setting a part of it."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner))):
            return _root(owner)
        case ast.Assign(targets=[ast.Attribute(value=owner) | ast.Subscript(value=owner)]):
            return _root(owner)
        case _:
            return ""


def _root(node: ast.AST) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
