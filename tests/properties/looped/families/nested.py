"""Turns within turns: fast and slow states, or one state and two networks."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from looped.families.base import Family, Shape, between
from looped.turns import Turn

CYCLES = 3


class Nested(Family):
    CHANGES: ClassVar = {
        "inject": ("add", "adapter", "into the write"),
        "exits": ("last", "all"),
        "after": ("nothing", "nothing", "nothing", "norm between", "scaled"),
        "turns": (CYCLES,),
    }
    CHOICES: ClassVar = {
        "how": ("fast and slow", "fast and slow", "one network", "one state"),
        "steps": ("2", "3"),
        "recorded": ("all", "last cycle", "last cycle detached", "detached between"),
    }

    @property
    def shape(self) -> Shape:
        """The theory admits a loop or a nest of two, and the slow state may be in each.

        What one network makes at every call may count as one state, whatever it is given.
        """
        least = 2 if self.own["how"] == "fast and slow" else 1
        return Shape(between(1, 2), between(least, 4))

    def prepare(self) -> None:
        self.fast = Turn(self.draw)
        self.slow = self.fast if self.own["how"] == "one network" else Turn(self.draw)

    def states(self, e: Tensor) -> list[Tensor]:
        low, high = torch.zeros_like(e), torch.zeros_like(e) + e
        read = []
        for cycle in range(CYCLES):
            last = cycle == CYCLES - 1
            with torch.set_grad_enabled(last or not self.own["recorded"].startswith("last cycle")):
                low, high = self.cycle(low, high, e)
            read.append(high)
            if self.own["recorded"] == "detached between" or (
                self.own["recorded"] == "last cycle detached" and cycle == CYCLES - 2
            ):
                low, high = low.detach(), high.detach()
        return read

    def cycle(self, low: Tensor, high: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        steps = int(self.own["steps"])
        if self.own["how"] == "one state":
            for _ in range(steps):
                high = self.fast(high, e, 0)
            return low, self.slow(high, e, 0)
        for _ in range(steps):
            low = self.fast(low, high + e, 0)
        return low, self.slow(high, low, 0)
