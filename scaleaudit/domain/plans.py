"""Plans: how a target is built and called, as the source that its author could have declared.

A plan is plain data, so that what one process finds out by trying, another repeats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement to run before the expressions of a plan, where its names are kept.

    Attributes:
        line: Where it stands in the target's file, so that findings name that line; 0 for none.
        column: How far it is indented there.
    """

    text: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to audit in a file, as Python expressions over the names of that file.

    Attributes:
        model: Builds the model.
        args: The positional arguments of its forward; None where they are still to be found.
        loss: Names what is called as ``loss(model, *loss_args)``; empty for a loss in the output.
        assumed: What was not declared, in words for a note.
        where: The declaration that it came from; empty for one that was found.
    """

    path: str
    name: str
    model: str
    args: tuple[str, ...] | None = None
    kwargs: tuple[tuple[str, str], ...] = ()
    loss: str = ""
    loss_args: tuple[str, ...] = ()
    setup: tuple[Statement, ...] = ()
    assumed: tuple[str, ...] = ()
    where: str = ""


def declaration(plan: Plan) -> str:
    """Write a plan as the function that declares it."""
    return "\n".join(["def scaleaudit_target():", *(f"    {line}" for line in _body(plan))])


def _body(plan: Plan) -> Iterator[str]:
    for statement in plan.setup:
        yield from statement.text.splitlines()
    yield f"model = {plan.model}"
    yield "return {"
    yield '    "model": model,'
    yield f'    "args": {_tuple(plan.args or ())},'
    if plan.kwargs:
        inner = ", ".join(f'"{name}": {value}' for name, value in plan.kwargs)
        yield f'    "kwargs": {{{inner}}},'
    if plan.loss:
        yield f'    "loss": {plan.loss},'
        yield f'    "loss_args": {_tuple(plan.loss_args)},'
    yield "}"


def _tuple(items: tuple[str, ...]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
