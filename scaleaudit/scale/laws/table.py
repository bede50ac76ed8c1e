"""The form of a law: a pure function of scales, filed under the operators that it holds for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from scaleaudit.domain.scale import Scale

Result: TypeAlias = "Scale | tuple[Scale, ...]"
Function = TypeVar("Function", bound="Callable[..., Result]")


@dataclass(frozen=True, slots=True)
class Law:
    """One law: its function, its statement, and what it wants to know besides operands.

    Attributes:
        apply: Called with the operator's arguments in schema order.
        statement: First line of its docstring: the law in words.
        wants_out: Whether it takes the result's shapes and dtypes as ``out``.
        gradient: The law of what gradients let change, where that differs.
        wants_names: Whether it takes the names of the arguments as ``names``.
        recovers: Whether it may say something of operands that are not understood.
    """

    apply: Callable[..., Result]
    statement: str
    wants_out: bool
    gradient: Callable[..., Result] | None = None
    wants_names: bool = False
    recovers: bool = False


class NotUnderstood(Exception):  # noqa: N818 - an answer, not a failure
    """A law's answer where it knows that nothing can be said; the message says why."""


class LawTable:
    """Laws by operator name, as ``aten.add``; overloads share a law unless named in full."""

    def __init__(self) -> None:
        self.laws: dict[str, Law] = {}

    def law(self, *operators: str) -> Callable[[Function], Function]:
        """File a function as the law of the operators."""

        def register(function: Function) -> Function:
            statement = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
            assert statement, f"the law {function.__name__} states nothing"
            wants_out = "out" in inspect.signature(function).parameters
            for operator in operators:
                assert operator not in self.laws, f"two laws for {operator}"
                self.laws[operator] = Law(function, statement, wants_out)
            return function

        return register


def law_for(op: str, laws: Mapping[str, Law]) -> Law | None:
    """Return the law of an operator: by its full name, else by that of all its overloads."""
    found = laws.get(op)
    if found is None and op.count(".") > 1:
        found = laws.get(op.rsplit(".", 1)[0])
    return found
