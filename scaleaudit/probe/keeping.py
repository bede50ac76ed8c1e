"""What the turns of a program keep of long states, and what they can be trained to keep.

The program runs once with long states at all boundaries, so that every turn is given what it would be
given by turns that had lengthened the state, and says what it makes of that. Any loop can be asked so,
one whose turns differ as well, or whose turns read all earlier ones.

How much is kept is a matter of weights. So weights are moved, not to lower the loss but to keep as much
as they can: what they then leave of a long state is what no training goes beyond by much.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from itertools import pairwise

import torch
from torch import Tensor

from scaleaudit.probe.parts import Measured
from scaleaudit.probe.program import Crossing, Program

# What states are multiplied by: float64 still has eight digits for what is written to them.
LONG = 1e8
# Steps of Adam at this rate, by which a gate opens all the way and a matrix grows tenfold.
_STEPS, _RATE = 40, 0.1


class Keeping:
    """A loop with long states at all of its boundaries."""

    def __init__(
        self, program: Program, feed: Mapping[str, Tensor], loop: int, measured: Measured
    ) -> None:
        """Run the program once.

        Args:
            program: Made ``wide``, so that it runs in float64.
            feed: Trained weights, buffers and inputs by name.
        """
        self._program, self._feed, self._loop = program, feed, loop
        self._measured, self._group = measured, measured.group
        self._states = program.nest.loops[loop].states
        mine = {node: at for node, at in program.crossings.items() if at.loop == loop}
        with torch.no_grad():
            _, crossed = program.run(feed, keep=mine)
        self._long = {
            at: crossed[node].detach() * LONG
            for node, at in mine.items()
            if crossed[node].is_floating_point()
        }

    def factors(self) -> list[list[float]]:
        """Return for every state what each turn but the first multiplies its length by."""
        with torch.no_grad():
            found = self._factors(self._feed)
        means = [[self._group.mean(float(each)) for each in factors] for factors in found]
        return [[mean for mean in each if 0 < mean < math.inf] for each in means]

    def attainable(self, trained: Collection[str]) -> list[float | None]:
        """Return for every state the most that turns keep of its length as weights are moved.

        Args:
            trained: The names of the weights that training moves.
        """
        weights = {
            name: self._feed[name].detach().double().clone().requires_grad_()
            for name in dict.fromkeys(trained)
            if self._feed[name].is_floating_point()
        }
        best = [-math.inf] * len(self._states)
        optimiser = torch.optim.Adam(weights.values(), lr=_RATE)
        for _ in range(_STEPS):
            with torch.enable_grad():
                kept = list(map(_mean_log, self._factors({**self._feed, **weights})))
                aim = sum((each for each in kept if torch.isfinite(each)), torch.zeros(()))
            # Every process asks the others as often, whatever it finds.
            values = [self._group.mean(float(each.detach())) for each in kept]
            best = [
                max(each, b) if math.isfinite(each) else b
                for each, b in zip(values, best, strict=True)
            ]
            moves = self._group.mean(1.0 if aim.requires_grad else math.nan)
            if math.isnan(moves):
                break
            for each in weights.values():
                each.grad = torch.zeros_like(each)
            torch.autograd.backward(-aim)
            self._group.average([each.grad for each in weights.values() if each.grad is not None])
            optimiser.step()
        return [math.exp(each) if math.isfinite(each) else None for each in best]

    def _factors(self, feed: Mapping[str, Tensor]) -> list[list[Tensor]]:
        """Return the factors with their gradients; no number where there was no length."""
        made: dict[Crossing, Tensor] = {}

        def edit(crossing: Crossing, value: Tensor) -> Tensor:
            if crossing not in self._long:
                return value
            made[crossing] = value
            given: Tensor = self._long[crossing].clone()  # which the program may write to
            return given

        self._program.run(feed, edit)
        found = []
        for place, state in enumerate(self._states):
            names = [
                self._program.crossing(self._loop, place, turn)
                for turn in range(1, len(state.boundary) + 1)
            ]
            found.append(
                [
                    self._measured.mean(place, made[after])
                    / self._measured.mean(place, self._long[before])
                    for before, after in pairwise(names)
                    if before in self._long and after in made
                ]
            )
        return found


def _mean_log(factors: list[Tensor]) -> Tensor:
    """Return the mean logarithm; no number where a factor is none or zero."""
    if not factors:
        return torch.tensor(math.nan)
    return torch.stack(factors).log().mean()
