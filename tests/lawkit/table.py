"""The form of an operation: how a test calls an operator on values of any shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch

from lawkit.programs import Program
from scaleaudit.domain.graph import Ref

Apply: TypeAlias = Callable[..., Ref]


@dataclass(frozen=True, slots=True)
class Operation:
    """A way to call one operator.

    Attributes:
        op: The operator in full, as ``aten.add.Tensor``.
        arity: How many float operands it takes.
        loose: Whether its law is a bound that these calls do not reach.
        rough: Whether its law tells the degree but not how literally it holds.
        common: Whether random expressions use it.
        differentiable: Whether autograd knows a derivative.
    """

    op: str
    arity: int
    apply: Apply
    loose: bool
    common: bool
    differentiable: bool
    rough: bool


class OperationTable:
    """Operations in order; an operator may have several."""

    def __init__(self) -> None:
        self.rows: list[Operation] = []

    def add(
        self,
        *ops: str,
        arity: int = 1,
        loose: bool = False,
        common: bool = True,
        differentiable: bool = True,
        rough: bool = False,
    ) -> Callable[[Callable[..., Ref]], Callable[..., Ref]]:
        """File a way to call each of the operators: it takes the operator's name first."""

        def register(function: Callable[..., Ref]) -> Callable[..., Ref]:
            for op in ops:
                apply = _bound(function, op)
                row = Operation(op, arity, apply, loose, common, differentiable, rough)
                self.rows.append(row)
            return function

        return register


def _bound(function: Callable[..., Ref], op: str) -> Apply:
    def apply(p: Program, *operands: Ref) -> Ref:
        return function(p, op, *operands)

    return apply


# Helpers that bring operands into the shape that an operator wants.


def view(p: Program, x: Ref, *shape: int) -> Ref:
    """Return the same elements in another shape."""
    return (
        x
        if p.shape(x) == shape
        else p("aten.view.default", p("aten.clone.default", x), list(shape))
    )


def fit(p: Program, x: Ref, *shape: int) -> Ref:
    """Return a value of the shape, with as many elements of x as there is room for."""
    if p.shape(x) == shape:
        return x
    wanted, have = math.prod(shape), math.prod(p.shape(x))
    flat = p("aten.reshape.default", x, [-1])
    if have < wanted:
        flat = p("aten.repeat.default", flat, [-(-wanted // have)])
        flat = p("aten.mul.Tensor", flat, p.parameter(*p.shape(flat)))  # no two are equal
    if math.prod(p.shape(flat)) > wanted:
        flat = p("aten.slice.Tensor", flat, 0, 0, wanted)
    return view(p, flat, *shape)


def grid(p: Program, x: Ref) -> Ref:
    """Return x with three dims: itself where it has three, none of them short."""
    shape = p.shape(x)
    return x if len(shape) == 3 and min(shape) >= 2 else fit(p, x, 2, 5, 6)


def matrix(p: Program, x: Ref) -> Ref:
    """Return x with two dims."""
    shape = p.shape(x)
    return x if len(shape) == 2 and min(shape) >= 2 else fit(p, x, 10, 6)


def vector(p: Program, x: Ref) -> Ref:
    """Return x with one dim of at least two elements."""
    shape = p.shape(x)
    return x if len(shape) == 1 and shape[0] >= 2 else fit(p, x, 12)


def magnitude(p: Program, x: Ref) -> Ref:
    """Return |x|."""
    return p("aten.abs.default", x)


def dim(p: Program, x: Ref) -> int:
    """Draw a dim of x, negative as often as not."""
    rank = len(p.shape(x))
    chosen = p.random.randrange(rank) if rank else 0
    return chosen - rank if p.random.random() < 0.5 and rank else chosen


def mask(p: Program, *shape: int) -> Ref:
    """Add a constant truth value of either kind, never all equal."""
    count = max(math.prod(shape), 1)
    bits = torch.tensor([p.random.random() < 0.5 for _ in range(count)])
    if count > 1:
        bits[0], bits[-1] = True, False
    return p.constant(bits.reshape(shape))


def indices(p: Program, high: int, *shape: int) -> Ref:
    """Add constant indices below a bound."""
    count = math.prod(shape)
    # No index twice while there are others: equal elements are not in general position.
    drawn = torch.tensor((p.random.sample(range(high), high) * (count // high + 1))[:count])
    return p.constant(drawn.reshape(shape))
