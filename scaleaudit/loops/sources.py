"""The source of the running functions around a loop, read for where its count comes from."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from scaleaudit.domain.graph import Frame
from scaleaudit.domain.loops import TurnsFrom
from scaleaudit.loops.bindings import (
    arguments_of,
    bindings_of,
    dotted_name,
    imports_of,
    is_held,
    is_method,
    is_rebound,
    parameters_of,
)
from scaleaudit.loops.reading import expression_of, function_of, innermost, tree_of

_Loop: TypeAlias = ast.For | ast.While
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Builtins that hand on where their arguments come from, and those of the library that do.
_ARITHMETIC = frozenset({"int", "float", "abs", "round", "min", "max"})
_MATHEMATICS = "math."
# What draws numbers, by where it is imported from; torch names its functions one by one.
_DRAWING = ("random.", "numpy.random.")
_DRAWING_TENSORS = frozenset(
    f"torch.{name}" for name in ("rand", "randint", "randn", "normal", "poisson", "randperm")
)
# Names are followed through so many steps at most.
_STEPS = 50
# The one that stands for a count, the gravest first.
_ORDER = (TurnsFrom.RANDOM, TurnsFrom.ARGUMENT, TurnsFrom.DATA, TurnsFrom.FIXED)


class Unknown(Exception):  # noqa: N818 - no error: the source does not tell
    """The source does not tell where a number comes from."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The user's frames from the outermost to that of a loop.

    Attributes:
        entry: Index of the frame in which the model was entered.
        tensors: Names of arguments that are tensors.
    """

    frames: tuple[Frame, ...]
    entry: int
    tensors: frozenset[str]


def enclosing_loops(frame: Frame) -> list[_Loop]:
    """Return the loop statements around the line of a frame, in its function, innermost first."""
    node: ast.AST | None = innermost(frame)
    found: list[_Loop] = []
    while node is not None and not isinstance(node, (*_FUNCTIONS, ast.Lambda, ast.ClassDef)):
        if isinstance(node, (ast.For, ast.While)):
            found.append(node)
        elif isinstance(node, (ast.AsyncFor, ast.comprehension, ast.GeneratorExp, ast.ListComp)):
            return []
        node = getattr(node, "parent", None)
    return found


class Call:
    """One running function of a chain, and what its expressions come from."""

    def __init__(self, chain: Chain, index: int) -> None:
        function = function_of(chain.frames[index])
        if function is None:
            raise Unknown
        self._chain = chain
        self._index = index
        self._function = function
        self._path = chain.frames[index].location.path
        self._steps = _STEPS
        self._open: set[str] = set()

    def count_of(self, loop: _Loop) -> TurnsFrom:
        """Tell what decides how often a loop statement turns.

        Raises:
            Unknown: The source does not tell, or the loop may end early.
        """
        if any(_leaves(loop)):
            raise Unknown
        if isinstance(loop, ast.While):
            return self._gravest(self._sources(loop.test))
        return self._gravest(self._iterated(loop.iter))

    def _gravest(self, sources: set[TurnsFrom]) -> TurnsFrom:
        if not sources:
            raise Unknown
        return next(each for each in _ORDER if each in sources)

    def _iterated(self, iterable: ast.expr) -> set[TurnsFrom]:
        match iterable:
            case ast.Call(func=ast.Name(id="range"), args=args, keywords=[]) if args:
                self._demand_builtin("range")
                return set().union(*map(self._sources, args))
            case ast.Call(func=ast.Name(id=("enumerate" | "reversed") as name), args=[inner, *_]):
                self._demand_builtin(name)
                return self._iterated(inner)
            case ast.Attribute():
                return self._sources(iterable)
            case _:
                raise Unknown

    def _sources(self, expression: ast.expr) -> set[TurnsFrom]:
        """Return all that a number is computed from."""
        self._steps -= 1
        if self._steps < 0:
            raise Unknown
        match expression:
            case ast.Constant(value=value) if value is None or type(value) in (int, float):
                return {TurnsFrom.FIXED}
            case ast.Name(id=name):
                return self._named(name)
            case ast.Subscript(value=ast.Attribute(value=tensor, attr="shape")):
                return self._size_of(tensor)
            case ast.Call():
                return self._returned(expression)
            case ast.Attribute() if is_held(self._function, expression):
                return {TurnsFrom.FIXED}
            case _:
                return set().union(*map(self._sources, _operands(expression)))

    def _returned(self, call: ast.Call) -> set[TurnsFrom]:
        match call.func:
            case ast.Attribute(value=value, attr="item") if not call.args:
                return self._sources(value)
            case ast.Attribute(value=value, attr="size"):
                return self._size_of(value)
            case _:
                pass
        name = dotted_name(call.func, imports_of(self._tree, self._function))
        if name.startswith(_DRAWING) or name in _DRAWING_TENSORS:
            return {TurnsFrom.RANDOM}
        if not call.args or call.keywords:
            raise Unknown
        if isinstance(call.func, ast.Name) and call.func.id in {*_ARITHMETIC, "len"}:
            self._demand_builtin(call.func.id)
            if call.func.id == "len":
                return self._size_of(call.args[0])
        elif not name.startswith(_MATHEMATICS):
            raise Unknown
        return set().union(*map(self._sources, call.args))

    def _size_of(self, value: ast.expr) -> set[TurnsFrom]:
        """The size of what the model holds is fixed, that of what it is given is the data's."""
        if is_held(self._function, value):
            return {TurnsFrom.FIXED}
        if isinstance(value, ast.Name) and value.id in parameters_of(self._function):
            return {TurnsFrom.DATA}
        raise Unknown

    def _named(self, name: str) -> set[TurnsFrom]:
        """Follow a name to all that is ever bound to it in the function, or to its caller."""
        if name in self._open:
            return set()  # a counter is bound to a sum with itself
        self._open.add(name)
        bound = bindings_of(self._function, name)
        if bound is None:
            raise Unknown
        found = set().union(*map(self._sources, bound))
        if name in parameters_of(self._function):
            found |= self._given(name)
        elif not bound:
            found |= self._global(name)
        return found

    def _global(self, name: str) -> set[TurnsFrom]:
        """A number of the file, or of another that the file takes it from."""
        if name in imports_of(self._tree, self._function):
            return {TurnsFrom.FIXED}
        bound = bindings_of(self._tree, name)
        if not bound or not all(isinstance(value, ast.Constant) for value in bound):
            raise Unknown
        if is_rebound(self._tree, name):
            raise Unknown
        return {TurnsFrom.FIXED}

    def _given(self, name: str) -> set[TurnsFrom]:
        """What a parameter was given; those of the model's own call are its user's."""
        if name in self._chain.tensors or (is_method(self._function) and name == self._own):
            raise Unknown
        if self._index in (0, self._chain.entry):
            return {TurnsFrom.ARGUMENT}
        caller = Call(self._chain, self._index - 1)
        call = expression_of(self._chain.frames[self._index - 1])
        if not isinstance(call, ast.Call):
            raise Unknown
        imported = imports_of(caller._tree, caller._function)
        given = arguments_of(call, self._function, imported)
        if given is None:
            raise Unknown
        if name in given:
            caller._steps = self._steps
            return caller._sources(given[name])
        default = parameters_of(self._function)[name]
        if not isinstance(default, ast.Constant):
            raise Unknown
        return {TurnsFrom.FIXED}

    @property
    def _own(self) -> str:
        return next(iter(parameters_of(self._function)), "")

    @property
    def _tree(self) -> ast.Module:
        tree = tree_of(self._path)
        assert tree is not None
        return tree

    def _demand_builtin(self, name: str) -> None:
        """Raise where a name that builtins have stands for something else."""
        own = bindings_of(self._function, name)
        outer = bindings_of(self._tree, name)
        taken = imports_of(self._tree, self._function)
        if own or own is None or outer or outer is None or name in taken:
            raise Unknown


def _operands(expression: ast.expr) -> list[ast.expr]:
    """What a number is computed from by Python's own operators."""
    match expression:
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.UnaryOp(operand=operand):
            return [operand]
        case ast.BoolOp(values=values):
            return values
        case ast.Compare(left=left, comparators=others):
            return [left, *others]
        case ast.IfExp(body=body, orelse=other):
            return [body, other]
        case _:
            raise Unknown


def _leaves(loop: _Loop) -> Iterator[ast.stmt]:
    """Yield the statements that end a loop before its time."""
    stack: list[tuple[ast.AST, bool]] = [(child, True) for child in loop.body]
    while stack:
        node, own = stack.pop()
        if isinstance(node, (*_FUNCTIONS, ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(node, ast.Return) or (own and isinstance(node, ast.Break)):
            yield node
        inner = own and not isinstance(node, (ast.For, ast.While, ast.AsyncFor))
        stack.extend((child, inner) for child in ast.iter_child_nodes(node))
