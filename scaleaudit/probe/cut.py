"""The objective as a function of carried values alone: every loop is cut at its boundaries.

What lies behind a boundary is then what reads it, and no further turn: a readout by itself. Only
that part is run again for other values, so a sweep costs little beside a forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, fx

from scaleaudit.probe.program import Crossing, Program, Step


class Cut:
    """A program of which the carried values are given.

    Attributes:
        values: What crosses when the program runs by itself.
    """

    def __init__(self, program: Program, feed: Mapping[str, Tensor]) -> None:
        """Run a program once and keep what the readouts need."""
        self._program = program
        self._steps = self._behind()
        outside = {node for step in self._steps for node in step.node.all_input_nodes}
        with torch.no_grad():
            _, self._env = program.run(feed, keep={*outside, *program.crossings})
        self.values: dict[Crossing, Tensor] = {
            crossing: self._env[node] for node, crossing in program.crossings.items()
        }

    def loss(self, values: Mapping[Crossing, Tensor]) -> Tensor:
        """Return the objective where some of the carried values are these."""
        env = dict(self._env)
        for node, crossing in self._program.crossings.items():
            if crossing in values:
                env[node] = values[crossing]
        loss = self._program.loss
        return cast("Tensor", self._program.advance(env, self._steps, None, {loss})[loss])

    def _behind(self) -> tuple[Step, ...]:
        """The steps that lead from the boundaries to the loss without passing another boundary."""
        crossings = self._program.crossings
        reached: set[fx.Node] = set(crossings)
        for step in self._program.steps:
            if not reached.isdisjoint(step.node.all_input_nodes):
                reached.add(step.node)
        needed = {self._program.loss}
        kept = []
        for step in reversed(self._program.steps):
            if step.node in needed and step.node in reached and step.node not in crossings:
                needed.update(step.node.all_input_nodes)
                kept.append(step)
        return tuple(reversed(kept))
