"""How carried states move from turn to turn, in length and direction, and by what law."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice, pairwise

import torch
from torch import Tensor, fx

from scaleaudit.domain.diagnostics import PowerLaw, TurnStep
from scaleaudit.probe.depth import Deeper, cycles
from scaleaudit.probe.geometry import angular_step, radial_step, swallowed, unlengthened
from scaleaudit.probe.norms import lengths
from scaleaudit.probe.program import Crossing, Edit, Program

# To how many times the turns of the program states are followed.
DEEPER = 4
# Logarithms that spread by less say nothing of how anything depends on them.
_STEADY = 0.1
# Points that a law is fitted to at least.
_FEWEST = 3


def follow(program: Program, loop: int, feed: Mapping[str, Tensor]) -> list[list[TurnStep]]:
    """Measure every turn of a loop, out to four times its own turns.

    A turn is that of the slowest state: a faster one inside it is measured where both have crossed.

    Returns:
        For each state its turns, none where it does not hold real numbers; those beyond the
        program's own are missing where the loop has no turn that follows another.
    """
    found = program.nest.loops[loop]
    initial: list[fx.Node | None] = [
        program.node(state.initial) if state.initial else None for state in found.states
    ]
    turns, strides = cycles(found)
    made = [
        [program.node(ref) for ref in state.boundary[max(0, n - 1) :: n or 1]]
        for state, n in zip(found.states, strides, strict=True)
    ]
    keep = {node for node in (*initial, *chain(*made)) if node is not None}
    with torch.no_grad():
        _, env = program.run(feed, keep=keep)
        paths = [
            [env.get(first) if first else None, *(env[node] for node in nodes)]
            for first, nodes in zip(initial, made, strict=True)
        ]
        steps = [_stepped(path, 1) for path in paths]
        deeper = Deeper(program, loop)
        if not deeper.possible:
            return steps
        last = [path[-1] for path in paths]
        # What is yielded first is the state after the program's last turn.
        further = islice(deeper.states(feed), 1, (DEEPER - 1) * turns + 1)
        for turn, states in enumerate(further, turns + 1):
            for place, pair in enumerate(zip(last, states, strict=True)):
                steps[place] += _stepped(pair, turn)
            last = [*states]
    return steps


def _stepped(path: Sequence[Tensor | None], turn: int) -> list[TurnStep]:
    return [
        step_between(before, after, k)
        for k, (before, after) in enumerate(pairwise(path), turn)
        if after is not None and after.is_floating_point()
    ]


def step_between(before: Tensor | None, after: Tensor, turn: int) -> TurnStep:
    """Measure one turn.

    Args:
        before: The state that it was given; None where that is not known.
        after: The state that it made.
    """
    after = after.double()
    norm, largest = float(lengths(after).mean()), float(after.abs().max())
    if before is None or before.shape != after.shape or not after.dim():
        return TurnStep(turn, norm, None, None, None, largest)
    before = before.double()
    radial, angular = radial_step(before, after), angular_step(before, after)
    return TurnStep(turn, norm, radial, angular, swallowed(before, after), largest)


def growth(steps: Iterable[TurnStep], turns: int) -> PowerLaw | None:
    """Fit the length over turns, from the program's last turn on."""
    return fitted((step.turn, step.norm) for step in steps if step.turn >= turns)


def turning(steps: Iterable[TurnStep], turns: int) -> PowerLaw | None:
    """Fit the angle of a step over the length before it, from the program's last turn on."""
    return fitted(
        (before.norm, after.angular)
        for before, after in pairwise(steps)
        if before.turn >= turns and after.angular is not None
    )


def fitted(points: Iterable[tuple[float, float]]) -> PowerLaw | None:
    """Fit a power law; None where too few points are positive numbers, or all x are alike."""
    logs = [(math.log(x), math.log(y)) for x, y in points if 0 < x < math.inf and 0 < y < math.inf]
    if len(logs) < _FEWEST:
        return None
    mean_x, mean_y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    if math.sqrt(spread / len(logs)) < _STEADY:
        return None
    exponent = sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread
    left = (y - mean_y - exponent * (x - mean_x) for x, y in logs)
    return PowerLaw(exponent, math.sqrt(sum(each**2 for each in left) / len(logs)))


def clamp(program: Program, loop: int, state: int, feed: Mapping[str, Tensor]) -> Edit:
    """Return an edit that lets no turn lengthen a state along its own direction."""
    initial = program.nest.loops[loop].states[state].initial
    before: Tensor | None = None
    if initial is not None:
        node = program.node(initial)
        with torch.no_grad():
            before = program.run(feed, keep=[node])[1].get(node)

    def edit(crossing: Crossing, value: Tensor) -> Tensor:
        nonlocal before
        if (crossing.loop, crossing.state) != (loop, state):
            return value
        if before is not None and before.shape == value.shape:
            value = unlengthened(before, value)
        before = value
        return value

    return edit
