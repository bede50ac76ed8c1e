"""Measure a model's answer to scale in plain torch, without the audit.

A copy of the model's file is compiled in which every loop over turns hands its states over:
``h = _carry("h", h)``, right after the last assignment in its body. A first run records what
crosses. A second one cuts the loop there: each recorded value, times one factor for all, becomes a
free input of the next turn and of all that reads it. Everything is done in float64, on perturbed
weights, so that projections that start at zero hide nothing.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from zoo import Case

PERTURBATION = 0.1
"""Standard deviation of what is added to every weight."""


@dataclass(frozen=True, slots=True)
class Response:
    """What one factor does.

    Attributes:
        slope: Derivative of the loss by log(factor), along gradient paths only.
        gains: For every turn but the first, its length at the end over that at its start.
    """

    slope: float
    gains: tuple[float, ...]


@dataclass
class Carry:
    """Stands at the boundaries: passes values on and records them, or replaces them.

    Where a part is given (true for what is meant), that part of them is scaled by itself.
    """

    factor: Tensor | None = None
    part: Tensor | None = None
    recorded: dict[str, list[Tensor]] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    gains: list[float] = field(default_factory=list)

    def __call__(self, name: str, state: Tensor) -> Tensor:
        turn = self.turns.get(name, 0)
        self.turns[name] = turn + 1
        known = self.recorded.setdefault(name, [])
        if self.factor is None:
            known.append(state.detach())
            return state
        if self.part is not None:
            return torch.where(self.part, self.factor, 1.0) * known[turn]
        if turn:
            entered = float((self.factor * length(known[turn - 1])).detach())
            self.gains.append(float(length(state).detach()) / entered)
        return self.factor * known[turn]


def length(state: Tensor) -> Tensor:
    """Mean over positions of the length over channels."""
    return state.norm(dim=-1).mean()


class AtLoopEnds(ast.NodeTransformer):
    """Hand the states over in every loop that assigns one in its own body."""

    def __init__(self, states: tuple[str, ...]) -> None:
        self.states = states
        self.found = 0

    def visit_For(self, node: ast.For) -> ast.For:
        return self.instrument(node)

    def visit_While(self, node: ast.While) -> ast.While:
        return self.instrument(node)

    def instrument(self, node: Any) -> Any:
        self.generic_visit(node)
        for state in self.states:
            places = [i for i, each in enumerate(node.body) if assigns(each, state)]
            if places:
                self.found += 1
                call = ast.parse(f"{state} = _carry('{state}', {state})").body[0]
                node.body.insert(places[-1] + 1, call)
        return node


def assigns(statement: ast.stmt, name: str) -> bool:
    """Whether the statement assigns the name, other than in a loop inside of it."""
    if isinstance(statement, ast.For | ast.While):
        return False
    return any(
        isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name
        for node in ast.walk(statement)
    )


def respond(
    case: Case, factors: tuple[float, ...], part: Tensor | None = None
) -> tuple[Response, ...]:
    """Measure the target's loss with all its states, or a part, scaled by every factor in turn."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        carry = Carry()
        built = instrumented(case, carry)
        run(built)
        carry.part = part
        return tuple(scaled(built, carry, factor) for factor in factors)
    finally:
        torch.set_default_dtype(dtype)


def scaled(built: dict[str, Any], carry: Carry, factor: float) -> Response:
    log_factor = torch.tensor(factor).log().requires_grad_()
    carry.factor, carry.turns, carry.gains = log_factor.exp(), {}, []
    loss = run(built)
    slope = None
    if loss.requires_grad:
        (slope,) = torch.autograd.grad(loss, log_factor, allow_unused=True)
    return Response(0.0 if slope is None else float(slope), tuple(carry.gains))


def instrumented(case: Case, carry: Carry) -> dict[str, Any]:
    """Build the target from a copy of its file that calls ``carry`` at the boundaries."""
    tree = ast.parse(case.path.read_text(encoding="utf-8"), str(case.path))
    transformer = AtLoopEnds(case.expect.carries)
    tree = ast.fix_missing_locations(transformer.visit(tree))
    assert transformer.found, f"no loop in {case.path} assigns {case.expect.carries}"
    module = ModuleType(f"measured_{case.theme}")
    vars(module)["_carry"] = carry
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(tree, str(case.path), "exec"), vars(module))
    torch.manual_seed(0)
    built: dict[str, Any] = vars(module)[case.function]()
    perturb(built["model"].double())
    return built


def perturb(model: nn.Module) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(PERTURBATION * torch.randn_like(weight))


def run(built: dict[str, Any]) -> Tensor:
    """Return the target's loss, its own or the one that its forward returns."""
    torch.manual_seed(1)
    model = built["model"]
    if "loss" in built:
        loss: Tensor = built["loss"](model, *built["loss_args"])
        return loss
    output = model(*built["args"], **built.get("kwargs", {}))
    found = getattr(output, "loss", None)
    return output[1] if found is None else found
