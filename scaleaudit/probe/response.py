"""Is scale unconstrained? The objective as all carried values are scaled together.

The loop is cut: every h[k], k >= 1, is put in the place of what the program computes for it, times
a = 1, 1e2 and 1e4, in float64. Flat means that nothing in the loss restrains length, exactly or in
the limit; rising that something does. Small factors mislead: a raw readout at a small initialisation
first falls, an untied coda still answers at 8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scaleaudit.probe.group import ALONE, Group
from scaleaudit.probe.program import Crossing, Program

FACTORS = (1.0, 1e2, 1e4)
# The largest relative change from a = 1e2 to 1e4 that counts as none. Blind conditions of the
# reference family change by under 1e-3, controlled ones by 0.5 and more.
FLAT = 0.02


@dataclass(frozen=True, slots=True)
class Response:
    """The objective at each factor."""

    values: tuple[float, ...]

    @property
    def change(self) -> float:
        """The relative change from a = 1e2 to 1e4."""
        before, after = self.values[-2], self.values[-1]
        if not (math.isfinite(before) and math.isfinite(after)):
            return math.inf
        return abs(after - before) / max(abs(before), abs(after), 1e-30)

    @property
    def is_known(self) -> bool:
        """Whether the objective is a number where the state is as long as it is."""
        return all(map(math.isfinite, self.values[:-1])) and not math.isnan(self.values[-1])

    @property
    def is_flat(self) -> bool:
        """Whether nothing in the objective restrains the length."""
        return self.change < FLAT


def respond(
    program: Program, feed: Mapping[str, Tensor], loop: int, state: int, group: Group = ALONE
) -> Response:
    """Scale one state at all of its boundaries and evaluate the objective.

    A state that reaches the loss through others of its loop alone is scaled together with them.

    Args:
        program: Made ``wide``, so that it runs in float64.
        feed: Parameters, buffers and inputs by name; what is floating is taken in float64.
        loop: Position of the loop.
        state: Position of the state in the loop.
        group: The processes that each have a part of the batch.
    """
    every = range(len(program.nest.loops[loop].states))
    states = (state,) if program.reads(loop, state) else every
    found = _responded(program, feed, loop, states)
    return Response(tuple(map(group.mean, found.values)))


def _responded(
    program: Program, feed: Mapping[str, Tensor], loop: int, states: Sequence[int]
) -> Response:
    wide = {
        name: value.double() if value.is_floating_point() else value for name, value in feed.items()
    }
    crossed: dict[Crossing, Tensor] = {}

    def remember(crossing: Crossing, value: Tensor) -> Tensor:
        crossed[crossing] = value
        return value

    with torch.no_grad():
        program.run(wide, remember)

        def scaled(factor: float) -> float:
            def edit(crossing: Crossing, _: Tensor) -> Tensor:
                value = crossed[crossing]
                mine = crossing.loop == loop and crossing.state in states
                return value * factor if mine and value.is_floating_point() else value

            return float(program.run(wide, edit)[0])

        return Response(tuple(map(scaled, FACTORS)))
