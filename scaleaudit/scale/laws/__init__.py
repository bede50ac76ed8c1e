"""The laws of operators: one pure function each, its docstring the law."""

from __future__ import annotations

from functools import cache

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
from scaleaudit.scale.laws.table import Law

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


def law_for(op: str, laws: dict[str, Law]) -> Law | None:
    """Return the law of an operator: by its full name, else by that of all its overloads."""
    found = laws.get(op)
    if found is None and op.count(".") > 1:
        found = laws.get(op.rsplit(".", 1)[0])
    return found
