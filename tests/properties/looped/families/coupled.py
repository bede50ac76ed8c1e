"""Two states side by side, each read by the other."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from looped.families.base import Branch, Family, Shape
from looped.turns import Turn

DECAY = 0.9


class Coupled(Family):
    CHANGES: ClassVar = {"inject": ("add", "adapter", "into the write"), "exits": ("last", "all")}
    CHOICES: ClassVar = {
        "how": ("mutual", "mutual", "mutual", "cell", "hand cell", "velocity", "average", "gate"),
        "seen": ("raw", "normed", "squashed"),
        "read": ("first", "second", "sum", "joined"),
    }

    @property
    def shape(self) -> Shape:
        return Shape(states=frozenset({2}))

    def prepare(self) -> None:
        width = self.draw.width
        self.first, self.second = Turn(self.draw), Turn(self.draw)
        self.branch = Branch(self.draw)
        self.cell = nn.LSTMCell(width, width)
        self.scores = nn.Linear(2 * width, 4 * width)
        self.inner, self.outer = (nn.Linear(width, width) for _ in range(2))
        self.gate = self.inner
        self.join = nn.Linear(2 * width, width)

    def states(self, e: Tensor) -> list[Tensor]:
        a, b = e, torch.zeros_like(e) if self.own["how"] != "mutual" else e
        read = []
        for k in range(self.draw.turns):
            a, b = self.turned(a, b, e, k)
            read.append(self.read(a, b))
        return read

    def turned(self, a: Tensor, b: Tensor, e: Tensor, k: int) -> tuple[Tensor, Tensor]:
        match self.own["how"]:
            case "cell":
                both = self.cell(e.flatten(0, 1), (a.flatten(0, 1), b.flatten(0, 1)))
                return both[0].view_as(a), both[1].view_as(b)
            case "hand cell":
                scores = self.scores(torch.cat([a, e], dim=-1)).chunk(4, dim=-1)
                i, f, o = (torch.sigmoid(score) for score in scores[:3])
                b = f * b + i * torch.tanh(scores[3])
                return o * (b if self.own["seen"] == "raw" else torch.tanh(b)), b
            case "velocity":
                b = DECAY * b + self.branch(a + e)
                return a + b, b
            case "average":
                b = DECAY * b + (1 - DECAY) * a
                return self.first(a, self.seen(b), k), b
            case "gate":
                b = torch.tanh(self.inner(b) + self.outer(self.seen(a)))
                return torch.sigmoid(self.gate(b)) * a + self.branch(a), b
        a = self.first(a, self.seen(b), k)
        return a, self.second(b, self.seen(a), k)

    def seen(self, x: Tensor) -> Tensor:
        """A state as the other one reads it."""
        match self.own["seen"]:
            case "normed":
                return F.rms_norm(x, x.shape[-1:], eps=1e-8)
            case "squashed":
                return torch.tanh(x)
        return x

    def read(self, a: Tensor, b: Tensor) -> Tensor:
        match self.own["read"]:
            case "first":
                return a
            case "second":
                return b
            case "sum":
                return a + b
        return self.join(torch.cat([a, b], dim=-1))
