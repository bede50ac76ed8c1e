"""A looped model that keeps, draws, counts and caches wherever Python lets it."""

from __future__ import annotations

import functools
import random
from collections import OrderedDict, deque

import numpy as np
import torch
from torch import nn

SEEN: dict[int, torch.Tensor] = {}
CALLS = 0


@functools.lru_cache
def positions(length: int) -> torch.Tensor:
    return torch.arange(length, dtype=torch.float32)


class Slotted:
    __slots__ = ("last",)


class Shared:
    """Settings of which a class attribute counts."""

    uses = 0


class Restless(nn.Module):
    total = 0

    def __init__(self, way: str = "fakes") -> None:
        super().__init__()
        self.way = way
        self.block = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.batch = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 4)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("steps", torch.zeros(()))
        self.plain = torch.zeros(3)
        self.pair = (torch.zeros(2), "a")
        self.cache: dict[str, torch.Tensor] = {}
        self.order: OrderedDict[str, int] = OrderedDict(a=1, b=2)
        self.lengths: list[int] = []
        self.recent: deque[int] = deque(maxlen=2)
        self.kinds: set[str] = {"a"}
        self.slotted = Slotted()
        self.slotted.last = 0
        self.dice = random.Random(3)
        self.numpys = np.random.default_rng(3)
        self.torchs = torch.Generator().manual_seed(3)
        self.blocks = [self.block] * 2  # what no module registers
        self.weights = [self.block.weight]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        global CALLS  # noqa: PLW0603 - what is to be undone
        CALLS += 1
        Restless.total += 1
        Shared.uses += 1
        self.steps += 1
        self.plain.add_(1)
        self.pair[0].add_(1)
        self.order.move_to_end("a")
        self.lengths.append(len(x))
        self.recent.append(len(x))
        self.kinds.add("b")
        self.slotted.last += 1
        self.new = x * 2
        self.dice.random()
        random.random()
        np.random.random()  # noqa: NPY002 - the same
        self.numpys.random()
        torch.rand(2, generator=self.torchs)
        SEEN[x.shape[0]] = positions(x.shape[-1]).to(x.device)
        h = self.batch(x) + SEEN[x.shape[0]]
        for block in self.blocks:
            h = h + self.drop(block(self.norm(h)))
        self.cache["h"] = h
        self.norm.eval()
        self.head.weight.requires_grad_(False)
        self.register_forward_hook(lambda *_: None)
        if self.way == "fails":
            raise RuntimeError("no more")
        if self.way == "real":
            x.numpy()
            self.block.bias.data.add_(1)
            self.batch.running_mean.mul_(2)
        return self.head(self.norm(h))


def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(model(x), y)
