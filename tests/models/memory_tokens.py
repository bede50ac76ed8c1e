"""Memory that stands beside the tokens in the sequence, and is cut out of it after every turn."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State
from parts import TURNS, Language, Layer, cross_entropy, target
from torch import Tensor, nn

SLOTS = 3


class MemoryTokens(Language):
    """A layer over memory and tokens: every turn starts from the memory and the same tokens."""

    def __init__(self, *, final: bool = True) -> None:
        super().__init__()
        self.layer = Layer()
        self.memory = nn.Parameter(torch.randn(SLOTS, self.norm.weight.shape[0]))
        self.final = self.norm if final else nn.Identity()

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        memory, x = self.memory.expand(len(tokens), -1, -1), self.embed(tokens)
        for _ in range(TURNS):
            y = self.layer(torch.cat([memory, x], dim=1))
            memory = y[:, :SLOTS]
        return self.head(self.final(y[:, SLOTS:])), memory


class MemoryLast(MemoryTokens):
    """The memory stands after the tokens, and a split takes both apart again."""

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        memory, x = self.memory.expand(len(tokens), -1, -1), self.embed(tokens)
        for _ in range(TURNS):
            y = self.layer(torch.cat([x, memory], dim=1))
            read, memory = y.split([x.shape[1], SLOTS], dim=1)
        return self.head(self.final(read)), memory


class BothCarried(MemoryTokens):
    """The tokens are carried too; each goes back to its own places."""

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        memory, x = self.memory.expand(len(tokens), -1, -1), self.embed(tokens)
        for _ in range(TURNS):
            y = self.layer(torch.cat([memory, x], dim=1))
            memory, x = y[:, :SLOTS], y[:, SLOTS:]
        return self.head(self.final(x)), memory


def read(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    logits, _ = model(tokens)
    return cross_entropy(logits, targets)


def penalised(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    logits, memory = model(tokens)
    return cross_entropy(logits, targets) + 0.01 * memory.pow(2).mean()


# Normed as one row with the tokens, the memory is called fading where it is invariant.
FADING = (State("carried", "invariant|asymptotic"),)
EXPECT = {
    "blind": Expect(FADING, "SCL101", carries=("memory",)),
    # The raw head reads tokens, to which attention writes what it reads of a normed memory.
    "raw_tokens": Expect(FADING, "SCL101", carries=("memory",)),
    "last": Expect(FADING, "SCL101", carries=("memory",)),
    "penalised": Expect(
        (State("carried", "invariant|asymptotic", effective=1),), carries=("memory",)
    ),
    "both_carried": Expect(
        (State("carried", "invariant|asymptotic"), State("carried", "visible")),
        "SCL101",
        carries=("memory", "x"),
    ),
}


def scaleaudit_target_blind() -> dict[str, Any]:
    return target(MemoryTokens(), read)


def scaleaudit_target_raw_tokens() -> dict[str, Any]:
    return target(MemoryTokens(final=False), read)


def scaleaudit_target_last() -> dict[str, Any]:
    return target(MemoryLast(), read)


def scaleaudit_target_penalised() -> dict[str, Any]:
    return target(MemoryTokens(), penalised)


def scaleaudit_target_both_carried() -> dict[str, Any]:
    return target(BothCarried(final=False), read)
