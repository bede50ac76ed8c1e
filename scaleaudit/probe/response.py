"""Is scale unconstrained? The objective as all carried values are scaled together.

The loop is cut: every h[k], k >= 1, is put in the place of what the program computes for it, times
a = 1, 1e2 and 1e4, in float64. Flat means that nothing in the loss restrains length, exactly or in
the limit; rising that something does. Small factors mislead: a raw readout at a small initialisation
first falls, an untied coda still answers at 8.

What no gradient passes (detached, computed under no_grad) restrains nothing, though the objective rises
with it. So where it rises, it is evaluated once more with all of that left as it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx

from scaleaudit.probe.group import ALONE, Group
from scaleaudit.probe.program import Crossing, Program, constantly

FACTORS = (1.0, 1e2, 1e4)
# The largest relative change from a = 1e2 to 1e4 that counts as none. Blind conditions of the
# reference family change by under 1e-3, controlled ones by 0.5 and more.
FLAT = 0.02


@dataclass(frozen=True, slots=True)
class Response:
    """The objective at each factor.

    Attributes:
        learnt: The same as training sees it: what no gradient passes is as it was at 1. None where
            that is no other.
    """

    values: tuple[float, ...]
    learnt: tuple[float, ...] | None = None

    @property
    def change(self) -> float:
        """The relative change from a = 1e2 to 1e4, of what training sees too."""
        return min(map(_change, (self.values, self.learnt or self.values)))

    @property
    def is_known(self) -> bool:
        """Whether the objective is a number where the state is as long as it is."""
        return all(map(math.isfinite, self.values[:-1])) and not math.isnan(self.values[-1])

    @property
    def is_flat(self) -> bool:
        """Whether nothing in the objective restrains the length."""
        return self.change < FLAT


def _change(values: Sequence[float]) -> float:
    before, after = values[-2], values[-1]
    if not (math.isfinite(before) and math.isfinite(after)):
        return math.inf
    return abs(after - before) / max(abs(before), abs(after), 1e-30)


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
    wide = {
        name: value.double() if value.is_floating_point() else value for name, value in feed.items()
    }
    mine = frozenset().union(*(program.crossings_of(loop, each) for each in states))
    stops = _stops(program)
    with torch.no_grad():
        _, before = program.run(wide, keep=[*program.crossings, *stops])
    crossed = {crossing: before[node] for node, crossing in program.crossings.items()}

    def scaled(of: Program, factor: float) -> float:
        def edit(crossing: Crossing, _: Tensor) -> Tensor:
            value: Tensor = crossed[crossing]
            scales = crossing in mine and value.is_floating_point()
            return value * factor if scales else value

        with torch.no_grad():
            return group.mean(float(of.run(wide, edit)[0]))

    found = Response(tuple(scaled(program, factor) for factor in FACTORS))
    if found.is_flat or not stops:
        return found
    learnt = program.with_calls({node: constantly(before[node]) for node in stops})
    return replace(found, learnt=tuple(scaled(learnt, factor) for factor in FACTORS))


def _stops(program: Program) -> list[fx.Node]:
    """The calls that no gradient passes and that read, in the end, what crosses."""
    reached: set[fx.Node] = set(program.crossings)
    found = []
    for step in program.steps:
        if step.node in reached or reached.isdisjoint(step.node.all_input_nodes):
            continue
        reached.add(step.node)
        if not step.grad or step.target is torch.ops.aten.detach.default:
            found.append(step.node)
    return found
