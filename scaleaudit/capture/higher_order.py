"""Explicit control flow, ``torch.while_loop``, ``scan``, ``cond`` and the like, run as plain Python.

What Python runs, the recorder sees turn by turn, like any other loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from scaleaudit.capture._torch_private import pytree
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
        case "map_impl" | "map":
            return _map(*args)
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
) -> tuple[Any, ...]:
    """Step through sequences; an exported body returns a flat list, a user's a pair of structures."""
    state, made = list(initial), []
    for turn in range(sequences[0].shape[0]):
        made.append(combine(*state, *(sequence[turn] for sequence in sequences), *fixed))
        state = pytree.tree_leaves(made[-1])[: len(initial)]
    if isinstance(combine, torch.nn.Module):
        return (*state, *_stacked([list(each)[len(initial) :] for each in made]))
    carried, _ = made[-1]
    return carried, _stacked([output for _, output in made])


def _stacked(made: list[Any]) -> Any:
    """Stack what every turn made, leaf by leaf."""
    columns = zip(*map(pytree.tree_leaves, made), strict=True)
    return pytree.tree_unflatten([torch.stack(c) for c in columns], pytree.tree_structure(made[0]))


def _map(
    function: Callable[..., Any], sequences: list[torch.Tensor], fixed: tuple[Any, ...] = ()
) -> Any:
    return _stacked([function(*parts, *fixed) for parts in zip(*sequences, strict=True)])


def associative_scan(
    combine: Callable[[Any, Any], Any], sequences: Any, dim: int, *, reverse: bool = False
) -> Any:
    """Combine one element after the other, and return every intermediate result.

    torch combines in another order, halving the sequence; the combination is associative, so
    the results are the same, and the recurrence that is meant can be seen.
    """
    leaves, spec = pytree.tree_flatten(sequences)
    columns = [list(leaf.unbind(dim)) for leaf in leaves]
    order = range(len(columns[0]))[:: -1 if reverse else 1]
    made: dict[int, list[torch.Tensor]] = {}
    present: Any = None
    for turn in order:
        element = pytree.tree_unflatten([column[turn] for column in columns], spec)
        present = element if present is None else combine(present, element)
        made[turn] = pytree.tree_leaves(present)
    results = zip(*(made[turn] for turn in sorted(made)), strict=True)
    return pytree.tree_unflatten([torch.stack(result, dim) for result in results], spec)


def _cond(
    test: Any,
    if_true: Callable[..., Any],
    if_false: Callable[..., Any],
    operands: tuple[Any, ...] = (),
    *,
    decide: Decide,
) -> Any:
    return (if_true if decide(test, True) else if_false)(*operands)  # noqa: FBT003 - as declared
