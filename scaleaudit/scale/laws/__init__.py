"""The laws of operators: one pure function each, its docstring the law."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from scaleaudit.domain.laws import DeclaredLaw
from scaleaudit.scale.laws import (
    activations,
    arithmetic,
    custom_gradients,
    factories,
    joining,
    linear,
    losses,
    norms,
    picking,
    reductions,
    shapes,
    solving,
)
from scaleaudit.scale.laws.declared import RESULT, declared_law, result_law
from scaleaudit.scale.laws.table import Law, law_for

__all__ = ["all_laws", "law_for", "with_declared"]

_MODULES = (
    arithmetic,
    activations,
    reductions,
    linear,
    solving,
    norms,
    losses,
    shapes,
    picking,
    joining,
    factories,
    custom_gradients,
)


@cache
def all_laws() -> dict[str, Law]:
    """Return every law by operator name.

    Raises:
        AssertionError: Two laws claim one operator.
    """
    laws: dict[str, Law] = {}
    for module in _MODULES:
        for operator, law in module.TABLE.laws.items():
            assert operator not in laws, f"two laws for {operator}"
            laws[operator] = law
    return laws


def with_declared(declared: Iterable[DeclaredLaw]) -> dict[str, Law]:
    """Return every law, those that users declare included; ours come before theirs."""
    known = all_laws()
    theirs = {
        each.operator: (result_law if each.operator.startswith(RESULT) else declared_law)(
            each, known
        )
        for each in declared
    }
    return theirs | known if theirs else known
