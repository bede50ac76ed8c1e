"""Laws that users declare, by the operators that they are of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scaleaudit.capture._torch_private import qualified_name
from scaleaudit.domain.laws import DeclaredLaw, declarations, operator_name

RESULT = "scaleaudit.declared"


def declared_laws() -> tuple[DeclaredLaw, ...]:
    """Return every law that was declared, with the operator's name as it is in graphs."""
    return tuple(replace(each.law, operator=_name(each.subject)) for each in declarations)


def law_of(function: Any) -> DeclaredLaw | None:
    """Return what is declared of a function or class, the last of several."""
    found = [each.law for each in declarations if each.subject is function]
    return found[-1] if found else None


def declared_result(value: Any, names: Any, inputs: Any, name: Any) -> Any:  # noqa: ARG001 - there to be seen
    """Return the result of a function whose law is declared."""
    return value


def _name(subject: Any) -> str:
    if isinstance(subject, str):
        return operator_name(subject)
    name = qualified_name(subject)
    if name:
        return operator_name(name)
    return result_name(subject)


def result_name(function: Any) -> str:
    """Name the node behind a call of a declared function."""
    return f"{RESULT}.{getattr(function, '__name__', type(function).__name__)}"
