"""What weights say of carried states without training: at initialisation, or on a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from scaleaudit.domain.diagnostics import (
    SWEEP,
    Diagnostics,
    ReadoutResponse,
    StateDiagnostics,
    TurnStep,
)
from scaleaudit.probe.cut import Cut
from scaleaudit.probe.depth import cycles
from scaleaudit.probe.program import Crossing, Program
from scaleaudit.probe.radius import spectral_radius
from scaleaudit.probe.trajectory import clamp, follow, growth, turning

# Readouts that are looked at one by one; of more, so many between the first and the last.
_MOST_READOUTS = 8


def diagnose(
    program: Program,
    feed: Mapping[str, Tensor],
    weights: str = "",
    linear: Collection[tuple[int, int]] = (),
) -> Diagnostics:
    """Measure every carried state of a program.

    Args:
        program: Made ``wide``, so that small gradients are not lost in rounding.
        feed: Parameters, buffers and inputs by name.
        weights: Where the weights come from, in words.
        linear: The states that linear maps carry, by the positions of loop and state.
    """
    feed = {name: value.detach() for name, value in feed.items()}
    with _repeatable(program):
        cut = Cut(program, feed)
        loss = float(cut.loss({}))
    states = []
    for i in range(len(program.nest.loops)):
        with _repeatable(program):
            followed = follow(program, i, feed)
        mine = [state for loop, state in linear if loop == i]
        with _repeatable(program):
            radius = spectral_radius(program, i, feed) if mine else None
        states += [
            replace(
                _state(program, feed, cut, Crossing(i, j, 0), steps),
                radius=radius if j in mine else None,
            )
            for j, steps in enumerate(followed)
        ]
    return Diagnostics(weights, loss, tuple(states))


def sweep(cut: Cut, scaled: Mapping[Crossing, Tensor]) -> tuple[float, ...]:
    """Return the objective as values are scaled together by each factor."""
    with torch.no_grad():
        return tuple(
            float(cut.loss({crossing: value * a for crossing, value in scaled.items()}))
            for a in SWEEP
        )


def radial_gradients(
    cut: Cut, values: Mapping[Crossing, Tensor]
) -> Mapping[Crossing, float | None]:
    """Return for every readout the share of its gradient that points along the state."""
    leaves = {crossing: value.detach().requires_grad_() for crossing, value in values.items()}
    with torch.enable_grad():
        loss = cut.loss(leaves)
    if not loss.requires_grad:
        return dict.fromkeys(values)
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return {
        crossing: _share(gradient, values[crossing])
        for crossing, gradient in zip(leaves, found, strict=True)
    }


def _share(gradient: Tensor | None, value: Tensor) -> float | None:
    if gradient is None:
        return None
    size = float(gradient.norm() * value.norm())
    return abs(float((gradient * value).sum())) / size if 0 < size < math.inf else None


def _state(
    program: Program, feed: Mapping[str, Tensor], cut: Cut, place: Crossing, steps: list[TurnStep]
) -> StateDiagnostics:
    """Measure one state, named by a crossing of no turn."""
    loop = program.nest.loops[place.loop]
    state = loop.states[place.state]
    values = {
        crossing: value
        for crossing, value in cut.values.items()
        if (crossing.loop, crossing.state) == (place.loop, place.state)
    }
    turns, _ = cycles(loop)
    found = StateDiagnostics(state.name, loop.name, turns, steps=tuple(steps))
    if not values:
        return replace(found, reason="it holds the same values as another state")
    if not all(value.is_floating_point() for value in values.values()):
        return replace(found, reason="its values are not real numbers")
    with _repeatable(program):
        losses, readouts = sweep(cut, values), tuple(_readouts(cut, values))
        edit = clamp(program, place.loop, place.state, feed)
    with _repeatable(program), torch.no_grad():
        clamped = float(program.run(feed, edit)[0])
    return replace(
        found,
        losses=losses,
        readouts=readouts,
        growth=growth(steps, turns),
        turning=turning(steps, turns),
        clamped=clamped,
    )


def _readouts(cut: Cut, values: Mapping[Crossing, Tensor]) -> Iterator[ReadoutResponse]:
    """Look at each turn after which the loss reads the state; at some, where there are many."""
    radial = radial_gradients(cut, values)
    for crossing in _some(list(values)):
        losses = sweep(cut, {crossing: values[crossing]})
        is_read = radial[crossing] is not None or any(loss != losses[0] for loss in losses)
        if is_read:
            yield ReadoutResponse(crossing.turn, losses, radial[crossing])


def _some(crossings: list[Crossing]) -> list[Crossing]:
    last = len(crossings) - 1
    if last < _MOST_READOUTS:
        return crossings
    return [crossings[round(k * last / (_MOST_READOUTS - 1))] for k in range(_MOST_READOUTS)]


@contextmanager
def _repeatable(program: Program) -> Iterator[None]:
    """Let what a program draws be the same each time, and whoever draws after it none the wiser."""
    kind = program.device.type
    devices = [] if kind == "cpu" else [program.device]
    with torch.random.fork_rng(devices, device_type="cuda" if kind == "cpu" else kind):
        torch.manual_seed(0)
        yield
