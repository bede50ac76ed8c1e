"""Explicit control flow, ``torch.while_loop``, ``scan`` and ``cond``, run as plain Python.

What Python runs, the recorder sees turn by turn, like any other loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from scaleaudit.capture.oracle import TURNS

# Answers a truth value held by a tensor; the second argument is used where nobody knows it.
Decide = Callable[[Any, bool], bool]


def run(operator: object, args: tuple[Any, ...], decide: Decide) -> Any:
    """Run a higher-order operator.

    Raises:
        NotImplementedError: It is one that is not known here.
    """
    name = getattr(operator, "__name__", str(operator))
    match name:
        case "while_loop":
            return _while_loop(*args, decide=decide)
        case "scan":
            return _scan(*args)
        case "cond":
            return _cond(*args, decide=decide)
        case _:
            raise NotImplementedError(f"the higher-order operator {name} is not captured")


def _while_loop(
    test: Callable[..., Any],
    body: Callable[..., Any],
    carried: tuple[Any, ...],
    fixed: tuple[Any, ...] = (),
    *,
    decide: Decide,
) -> tuple[Any, ...]:
    turn = 0
    while decide(test(*carried, *fixed), turn < TURNS):
        carried = tuple(body(*carried, *fixed))
        turn += 1
    return tuple(carried)


def _scan(
    combine: Callable[..., Any],
    initial: list[torch.Tensor],
    sequences: list[torch.Tensor],
    fixed: tuple[Any, ...] = (),
) -> tuple[torch.Tensor, ...]:
    state = list(initial)
    outputs: list[list[torch.Tensor]] = []
    for turn in range(sequences[0].shape[0]):
        made = list(combine(*state, *(sequence[turn] for sequence in sequences), *fixed))
        state, outputs = made[: len(initial)], [*outputs, made[len(initial) :]]
    return (*state, *(torch.stack(column) for column in zip(*outputs, strict=True)))


def _cond(
    test: Any,
    if_true: Callable[..., Any],
    if_false: Callable[..., Any],
    operands: tuple[Any, ...] = (),
    *,
    decide: Decide,
) -> Any:
    return (if_true if decide(test, True) else if_false)(*operands)  # noqa: FBT003 - as declared
