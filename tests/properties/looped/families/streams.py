"""Hyper-connections: a stack of streams, mixed by learned weights around a branch."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from looped.families.base import Branch, Family, Shape, between
from looped.parts import Norm

STREAMS = 3


class Streams(Family):
    CHANGES: ClassVar = {"exits": ("last", "all")}
    CHOICES: ClassVar = {
        "mix": ("none", "free", "rows", "rows and columns", "corrected", "listed"),
        "write": ("free", "bounded"),
        "read": ("sum", "mean", "first", "weighted"),
        "after": ("nothing", "nothing", "nothing", "norm"),
    }

    @property
    def shape(self) -> Shape:
        """Streams in a list may count as a state each."""
        return Shape(states=between(1, STREAMS if self.own["mix"] == "listed" else 1))

    def prepare(self) -> None:
        width = self.draw.width
        self.branch = Branch(self.draw)
        self.between = Norm(self.draw.norm, width)
        self.mix = nn.Parameter(torch.eye(STREAMS))
        self.to_mix = nn.Parameter(torch.randn(width, STREAMS))
        self.take, self.give = (nn.Parameter(torch.ones(STREAMS)) for _ in range(2))
        self.collect = nn.Parameter(torch.ones(STREAMS))

    def states(self, e: Tensor) -> list[Tensor]:
        if self.own["mix"] == "listed":
            return self.listed(e)
        h = e.unsqueeze(-2).repeat(1, 1, STREAMS, 1)  # (batch, length, STREAMS, width)
        read = []
        for _ in range(self.draw.turns):
            y = self.branch((self.take.unsqueeze(-1) * h).sum(dim=-2))
            h = self.mixed(h) + self.given().unsqueeze(-1) * y.unsqueeze(-2)
            if self.own["after"] == "norm":
                h = self.between(h)
            read.append(self.read(h))
        return read

    def listed(self, e: Tensor) -> list[Tensor]:
        """The streams as variables of their own; each hands on a part to the next one."""
        streams, read = [e] * STREAMS, []
        for _ in range(self.draw.turns):
            y = self.branch(sum(w * h for w, h in zip(self.take, streams, strict=True)))
            given, shares = self.given(), self.mix.softmax(dim=-1)
            streams = [
                shares[n, n] * h + (1 - shares[n, n]) * streams[n - 1] + given[n] * y
                for n, h in enumerate(streams)
            ]
            if self.own["after"] == "norm":
                streams = [self.between(h) for h in streams]
            read.append(self.read(torch.stack(streams, dim=-2)))
        return read

    def given(self) -> Tensor:
        return 2 * torch.sigmoid(self.give) if self.own["write"] == "bounded" else self.give

    def mixed(self, h: Tensor) -> Tensor:
        match self.own["mix"]:
            case "free":
                return self.mix @ h
            case "rows":
                return self.mix.softmax(dim=-1) @ h
            case "rows and columns":
                return sinkhorn(self.mix) @ h
            case "corrected":
                return (self.mix + 0.1 * torch.tanh(self.between(h) @ self.to_mix)) @ h
        return h

    def read(self, h: Tensor) -> Tensor:
        match self.own["read"]:
            case "mean":
                return h.mean(dim=-2)
            case "first":
                return h[..., 0, :]
            case "weighted":
                return (self.collect.unsqueeze(-1) * h).sum(dim=-2)
        return h.sum(dim=-2)


def sinkhorn(logits: Tensor) -> Tensor:
    """Rows and columns that add up to 1, in turns."""
    mix = logits.exp()
    for _ in range(3):
        mix = mix / mix.sum(dim=-2, keepdim=True)
        mix = mix / mix.sum(dim=-1, keepdim=True)
    return mix
