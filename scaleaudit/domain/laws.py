"""Laws that users declare for operators of their own, and the decorator that declares them.

A model's file may import this, so it needs the standard library only and changes nothing of what
it decorates: outside of an audit a decorated function is called as it is.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

_Declared = TypeVar("_Declared")
_Given = ParamSpec("_Given")
# Calls a declared function in an audit: the function as written, its arguments.
_Listener = Callable[[Callable[..., Any], Any, Any], Any]


@dataclass(frozen=True, slots=True)
class DeclaredLaw:
    """How the result of an operator scales, as its author says.

    Attributes:
        operator: As ``mylib.rmsnorm``; for a function or class its name.
        where: The declaration, for messages.
        degree: Of the result, where all arguments that carry the state are scaled together.
        degrees: The same argument by argument; those left out must not carry the state.
        bounded: The range of the result, whatever the arguments.
        like: The operator whose law holds for this one too, called with the same arguments.
        limit: Whether the degree holds in the limit of large values only.
        path: The file of a declaration in code.
        line: Where it stands there.
    """

    operator: str
    where: str
    degree: float | None = None
    degrees: tuple[tuple[str, float], ...] = ()
    bounded: tuple[float, float] | None = None
    like: str = ""
    limit: bool = False
    path: str = ""
    line: int = 0

    def __str__(self) -> str:
        says = [] if self.degree is None else [f"degree {self.degree:g}"]
        says += [f"degree {degree:g} in {name}" for name, degree in self.degrees]
        if self.bounded:
            says.append(f"within [{self.bounded[0]:g}, {self.bounded[1]:g}]")
        if self.like:
            says.append(f"like {self.like}")
        return ", ".join(says) + (" in the limit" if self.limit else "")


@dataclass(frozen=True, slots=True)
class Declaration:
    """A law with what it was declared of: an operator's name, or an object that capture knows."""

    subject: Any
    law: DeclaredLaw


declarations: list[Declaration] = []
_listeners: list[_Listener] = []


def _spelt(function: Callable[_Given, _Declared]) -> Callable[_Given, _Declared]:
    """Have a function name the right one for an argument that it does not have."""
    names = tuple(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args: _Given.args, **kwargs: _Given.kwargs) -> _Declared:
        for name in kwargs.keys() - set(names):
            near = get_close_matches(name, names, 1)
            meant = f"did you mean {near[0]}?" if near else f"it has {', '.join(names)}"
            message = f"{function.__name__}() has no argument {name}; {meant}"
            raise TypeError(message)
        return function(*args, **kwargs)

    return call


@_spelt
def law(
    operator: str = "",
    *,
    degree: float | None = None,
    degrees: dict[str, float] | None = None,
    bounded: tuple[float, float] | None = None,
    like: str = "",
    limit: bool = False,
) -> Callable[[_Declared], _Declared]:
    """Declare how the result of an operator, an autograd function or a function scales.

    Use it as a decorator, or call it with the name of an operator, as
    ``law("mylib::rmsnorm", degree=0)``.

    Args:
        operator: The operator's name; left out where it decorates one.
        degree: f(a x) = a ** degree * f(x), all arguments that carry the state scaled together.
        degrees: The same for each argument, by name.
        bounded: The range of the result.
        like: The operator of torch whose law it shares, as "aten.silu".
        limit: Whether that holds for large values only.

    Raises:
        ValueError: The law says nothing, or contradicts itself.
        TypeError: It has an argument of another name; says which may be meant.
    """
    frame = sys._getframe(2)  # noqa: SLF001 - the line of the declaration, behind the decorator
    path, line = frame.f_code.co_filename, frame.f_lineno
    made = DeclaredLaw(
        operator=operator_name(operator),
        where=f"{path}:{line}",
        degree=degree,
        degrees=tuple((degrees or {}).items()),
        bounded=bounded,
        like=operator_name(like),
        limit=limit,
        path=path,
        line=line,
    )
    problem = flaw_of(made)
    if problem:
        raise ValueError(problem)
    if operator:
        declarations.append(Declaration(operator, made))

    def declare(subject: _Declared) -> _Declared:
        if not operator:
            declarations.append(Declaration(subject, made))
        return _heard(subject) if isinstance(subject, FunctionType) else subject  # type: ignore[return-value]

    return declare


def declare_all(laws: Iterable[DeclaredLaw]) -> None:
    """Declare laws of operators by their names."""
    declarations.extend(Declaration(each.operator, each) for each in laws)


def operator_name(name: str) -> str:
    """Return an operator's name as graphs have it: ``mylib.rmsnorm`` for ``mylib::rmsnorm``."""
    return name.replace("::", ".")


def flaw_of(declared: DeclaredLaw) -> str:
    """Say what is wrong with a law, '' where nothing is."""
    said = [declared.degree is not None, bool(declared.degrees), bool(declared.like)]
    if sum(said) > 1:
        return "a law has one of degree, degrees and like"
    if not any(said) and declared.bounded is None:
        return "a law needs degree, degrees, bounded or like"
    if declared.bounded and declared.bounded[0] > declared.bounded[1]:
        return f"bounded must be [low, high], not {list(declared.bounded)}"
    if declared.limit and declared.degree is None and not declared.degrees:
        return "limit says how a degree holds, and the law has none"
    return ""


@contextmanager
def heard_by(listener: _Listener) -> Iterator[None]:
    """Let a listener make the calls of declared functions."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.pop()


def _heard(function: FunctionType) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the function is called
        if not _listeners:
            return function(*args, **kwargs)
        return _listeners[-1](function, args, kwargs)

    return call
