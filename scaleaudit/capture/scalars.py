"""Numbers read from tensors that remember which tensor they came from.

``h / h.norm().item()`` removes scale although the graph would show a division by a constant. So
``.item()`` returns a float (or int) that records the arithmetic done on it, and every number read
carries a value of its own, by which it is recognised when it reaches an operator as a bare float.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Protocol

from torch import fx

_WHOLE: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("round", round),
    ("int", int),
    ("trunc", math.trunc),
    ("floor", math.floor),
    ("ceil", math.ceil),
)


class Book(Protocol):
    """Where reads are written down."""

    def compute(self, function: Callable[..., Any], operands: tuple[object, ...]) -> fx.Node | None:
        """Record arithmetic on numbers; None once the recording is over."""

    def decide(self, node: fx.Node, *, value: bool, greater: bool | None) -> bool:
        """Answer a test on numbers that were read."""

    def escaped(self, node: fx.Node) -> None:
        """Note that a number continues as a bare one."""

    def whole(self, node: fx.Node, value: int) -> int:
        """Return what a number that was read is as an integer, a count of turns as like as not."""

    def tag(self, value: float, node: fx.Node) -> None:
        """Note the node that a bare number stands for."""


class Read:
    """What the float and the int have in common: a node and the book it is written in."""

    node: fx.Node
    book: Book


def wrap(value: Any, node: fx.Node, book: Book) -> Any:
    """Return a number that remembers its node."""
    if isinstance(value, bool):
        read: Any = TruthRead(value)
    elif isinstance(value, int):
        read = IntRead(value)
    elif isinstance(value, float):
        read = FloatRead(value)
    else:
        return value
    read.node, read.book = node, book
    if isinstance(value, float):
        book.tag(value, node)
    return read


def _bare(value: object) -> Any:
    """Return the plain number of a read."""
    if isinstance(value, TruthRead):
        return bool(int.__int__(value))
    if isinstance(value, FloatRead):
        return float.__float__(value)
    return int.__int__(value) if isinstance(value, IntRead) else value


def _arithmetic(function: Callable[..., Any], *, reflected: bool = False) -> Callable[..., Any]:
    """Build a method that computes with the bare numbers and records that it did."""

    def method(self: Any, *others: Any) -> Any:
        if not all(isinstance(other, (int, float)) for other in others):
            return NotImplemented
        operands = (*others, self) if reflected else (self, *others)
        value = function(*(_bare(operand) for operand in operands))
        node = self.book.compute(function, operands)
        return value if node is None else wrap(value, node, self.book)

    return method


def _comparison(function: Callable[..., bool], *, greater: bool | None) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        return self.book.decide(
            self.node, value=function(_bare(self), _bare(other)), greater=greater
        )

    return method


def _bared(self: Any) -> float:
    """Continue as a bare number."""
    self.book.escaped(self.node)
    return float(_bare(self))


def _whole(function: Callable[..., Any]) -> Callable[..., Any]:
    """Build a method that rounds; to so many digits, a float remains."""

    def method(self: Any, *digits: Any) -> Any:
        self.book.escaped(self.node)
        value = function(_bare(self), *digits)
        return value if digits else self.book.whole(self.node, value)

    return method


def _methods(kind: type) -> dict[str, Any]:
    """The special methods of a number that records what is done with it."""
    methods: dict[str, Any] = {}
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
        function = getattr(operator, name)
        methods[f"__{name}__"] = _arithmetic(function)
        methods[f"__r{name}__"] = _arithmetic(function, reflected=True)
    for name, function in (("neg", operator.neg), ("abs", abs)):
        methods[f"__{name}__"] = _arithmetic(function)
    for name, greater in (("lt", False), ("le", False), ("gt", True), ("ge", True)):
        methods[f"__{name}__"] = _comparison(getattr(operator, name), greater=greater)
    for name, function in (("eq", operator.eq), ("ne", operator.ne)):
        methods[f"__{name}__"] = _comparison(function, greater=None)
    for name, function in _WHOLE:
        methods[f"__{name}__"] = _whole(function)
    methods["__float__"] = _bared
    methods["__bool__"] = lambda self: self.book.decide(
        self.node, value=bool(_bare(self)), greater=None
    )
    methods["__hash__"] = kind.__hash__
    methods["__repr__"] = lambda self: repr(_bare(self))
    methods["__str__"] = methods["__repr__"]
    methods["__reduce__"] = lambda self: (type(_bare(self)), (_bare(self),))
    methods["__deepcopy__"] = lambda self, _: self
    return methods


class FloatRead(float, Read):
    """A float read from a tensor."""


class IntRead(int, Read):
    """An integer read from a tensor."""


class TruthRead(int, Read):
    """A truth value read from a tensor; decided where it is tested, not where it was read."""


for _kind in (FloatRead, IntRead, TruthRead):
    for _name, _method in _methods(_kind.__mro__[1]).items():
        setattr(_kind, _name, _method)
