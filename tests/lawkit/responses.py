"""Measure how a looped model answers to scale, and compare that with what the audit says."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lawkit.recipes import TURNS, WIDTH, LoopedModel, Recipe, build
from scaleaudit.domain.facts import Gain, Penalty, StateFacts, Transition, Visibility

FACTORS = (1.0, 1e2, 1e4, 1e6)
# A relative change that a norm's eps, or a constant beside a large state, still makes.
SMALL = 1e-3
# Holds what tanh and a norm with its weights put out.
LARGE_BOX = 4.0 * WIDTH**0.5


@dataclass(frozen=True, slots=True)
class Response:
    """What scaling every boundary value by each of the factors does.

    Attributes:
        readouts: The loss without penalties.
        pull: Derivative of the penalty by log(factor), where a gradient path leads; else None.
        weight: The penalty's value.
    """

    readouts: tuple[float, ...]
    penalty: tuple[float, ...]
    pull: tuple[float | None, ...]


def respond(recipe: Recipe) -> Response:
    """Cut the loop at every boundary and scale all that crosses together."""
    model, tokens = build(recipe)
    states = run(model, tokens)
    readouts, penalties, pulls = [], [], []
    for factor in FACTORS:
        log_factor = torch.tensor(factor, dtype=torch.float64).log().requires_grad_()
        scaled = [log_factor.exp() * h for h in states]
        loss = model.loss_of(scaled, tokens)
        readouts.append(float(loss.readouts.detach()))
        if loss.penalty is not None:
            penalties.append(float(loss.penalty.detach()))
            pulls.append(_pull(loss.penalty, log_factor))
    return Response(tuple(readouts), tuple(penalties), tuple(pulls))


def _pull(penalty: Tensor, log_factor: Tensor) -> float | None:
    if not penalty.requires_grad:
        return None
    (slope,) = torch.autograd.grad(penalty, log_factor, allow_unused=True)
    return None if slope is None else float(slope)


def run(model: LoopedModel, tokens: Tensor) -> list[Tensor]:
    """Return the states after every turn."""
    h = e = model.start(tokens)
    states = []
    with torch.no_grad():
        for k in range(TURNS):
            h = model.turn(h, e, k)
            states.append(h)
    return states


# Visibility.


def visibility_complaints(found: Visibility, response: Response) -> list[str]:
    """Compare what the loss is said to see of the length with its values."""
    early, late, last = response.readouts[1:]
    flat = abs(last - late) <= SMALL * max(abs(last), 1e-9)
    grows = abs(last) > 10 * abs(late) and abs(late) > 10 * abs(early)
    match found:
        case Visibility.INVARIANT:
            same = abs(late - early) <= SMALL * abs(early) and flat
            return [] if same else [f"called invariant, but goes {response.readouts}"]
        case Visibility.ASYMPTOTIC | Visibility.SATURATING:
            return [] if flat else [f"called {found.value}, but goes {response.readouts}"]
        case Visibility.VISIBLE:
            return [] if grows else [f"called visible, but goes {response.readouts}"]
        case Visibility.UNKNOWN:
            return ["visibility is unknown"]


# Penalties.


def penalty_complaints(penalties: tuple[Penalty, ...], response: Response) -> list[str]:
    """Compare which penalties are said to hold the length with the pull that they have."""
    if not response.penalty:
        return [f"a penalty where there is none: {p}" for p in penalties]
    pulls = response.pull
    holds = (
        all(p is not None and p > 0 for p in pulls[1:])
        and (pulls[-1] or 0) >= (pulls[1] or 0) * 0.9
    )
    said = any(penalty.effective for penalty in penalties)
    if not penalties:
        return ["the penalty is not found"]
    return [] if said == holds else [f"effective: {said}, but its pulls are {pulls}"]


# Transition.


def transition_complaints(facts: StateFacts, recipe: Recipe) -> list[str]:
    """Compare what a turn is said to do to the length with what it does to long states."""
    model, tokens = build(recipe)
    e = model.start(tokens).detach()
    h = run(model, tokens)[-1]
    with torch.no_grad():
        outs = [_period(model, factor * h, e) for factor in FACTORS]
    match facts.transition:
        case Transition.REMOVED:
            return _bounded(outs, "removed")
        case Transition.BOUNDED:
            return _maps_into_itself(outs, h)
        case Transition.CARRIED | Transition.DAMPED | Transition.EXPANDING | Transition.LINEAR:
            return _carries(facts.transition, facts.gain, facts.branch_degree, outs, h)
        case Transition.UNKNOWN:
            return ["transition is unknown"]


def _period(model: LoopedModel, h: Tensor, e: Tensor) -> Tensor:
    """Two turns where the loop repeats after two, else one."""
    if model.recipe.between == "norm at every second turn":
        return model.turn(model.turn(h, e, 0), e, 1)
    return model.turn(h, e, 0)


def _bounded(outs: list[Tensor], said: str) -> list[str]:
    growth = float(outs[-1].norm() / outs[-2].norm())
    return [] if growth < 2 else [f"called {said}, but grows {growth:.3g} times"]


def _maps_into_itself(outs: list[Tensor], h: Tensor) -> list[str]:
    """No turn leaves the box of the state's largest element, once it is large enough."""
    for factor, out in zip(FACTORS, outs, strict=True):
        size = max(factor * float(h.abs().max()), LARGE_BOX)
        if float(out.abs().max()) > size * (1 + 1e-9):
            return [f"called bounded, but leaves a box of {size:.3g}"]
    return []


def _carries(
    said: Transition, gain: Gain | None, branch: float | None, outs: list[Tensor], h: Tensor
) -> list[str]:
    degree = math.log(float(outs[-1].norm() / outs[-2].norm())) / math.log(
        FACTORS[-1] / FACTORS[-2]
    )
    if abs(degree - 1) > 0.05:
        return [f"called {said.value}, but the turn has degree {degree:.3f}"]
    factors = outs[-1] / (FACTORS[-1] * h)  # (B, T, C), the identity path where no branch is raw
    low, high = float(factors.abs().min()), float(factors.abs().max())
    if branch is not None and branch < 1 and gain is not None:
        if low < gain.low - SMALL or high > gain.high + SMALL:
            return [f"gain {gain}, but factors from {low:.4f} to {high:.4f}"]
        if said is Transition.DAMPED and high >= 1:
            return [f"called damped, but multiplies by {high:.4f}"]
        if said is Transition.CARRIED and not (high <= 1 + SMALL and high > 0.99):
            return [f"called carried, but multiplies by {high:.4f} at most"]
        if said is Transition.EXPANDING and high <= 1 + SMALL:
            return [f"called expanding, but multiplies by {high:.4f} at most"]
        return []
    scaled = bool(torch.allclose(factors, factors[0, 0, 0].expand_as(factors), rtol=SMALL))
    return [f"called {said.value}, but only multiplies"] if scaled else []


# Gradient path.


def has_gradient(recipe: Recipe) -> bool:
    """Whether the readouts lead any gradient back to the states, by autograd."""
    model, tokens = build(recipe)
    states = [h.requires_grad_() for h in run(model, tokens)]
    loss = model.loss_of(states, tokens)
    found = torch.autograd.grad(loss.readouts, states, allow_unused=True)
    return any(g is not None and bool((g != 0).any()) for g in found)
