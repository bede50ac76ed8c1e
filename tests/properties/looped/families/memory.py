"""Memory tokens that are laid beside the sequence."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from looped.families.base import Family, Shape, between
from looped.turns import Turn

MEMORY = 2


class Memory(Family):
    CHANGES: ClassVar = {
        "combine": (*("sum",) * 4, "convex", "lerp"),
        "write": ("prenorm attention", "prenorm attention", "raw attention"),
    }
    CHOICES: ClassVar = {
        "how": ("joined once", "joined every turn", "fresh memory", "fresh tokens"),
        "read": ("tokens", "tokens", "memory", "all"),
    }

    @property
    def shape(self) -> Shape:
        """Memory and tokens that are joined anew every turn may count as two states."""
        return Shape(states=between(1, 2 if self.own["how"] == "joined every turn" else 1))

    def prepare(self) -> None:
        self.memory = nn.Parameter(torch.randn(MEMORY, self.draw.width))
        self.turn = Turn(self.draw)

    def states(self, e: Tensor) -> list[Tensor]:
        fresh = self.memory.expand(e.shape[0], -1, -1)
        first = x = torch.cat([e, fresh], dim=1)
        read = []
        for k in range(self.draw.turns):
            x = self.turn(self.entering(x, e, fresh), first, k)
            read.append(self.read(x))
        return read

    def entering(self, x: Tensor, e: Tensor, fresh: Tensor) -> Tensor:
        """What a turn is given of what the last one made."""
        tokens, memory = x[:, :-MEMORY], x[:, -MEMORY:]
        match self.own["how"]:
            case "joined every turn":
                return torch.cat([tokens, memory], dim=1)
            case "fresh memory":
                return torch.cat([tokens, fresh], dim=1)
            case "fresh tokens":
                return torch.cat([e, memory], dim=1)
        return x

    def read(self, x: Tensor) -> Tensor:
        """What is decoded: as long as the sequence, or shorter."""
        if self.own["how"] == "fresh memory" or self.own["read"] == "tokens":
            return x[:, :-MEMORY]
        if self.own["read"] == "memory":
            return x[:, -MEMORY:]
        return x[:, :-MEMORY] + x[:, -MEMORY:].mean(dim=1, keepdim=True)
