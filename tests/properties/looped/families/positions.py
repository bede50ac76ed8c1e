"""Losses on some positions, updates of some positions, padding that nothing should see."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from looped.decoding import SCORES
from looped.families.base import Family
from looped.turns import Turn

PADDING = 0


class Positions(Family):
    CHANGES: ClassVar = {
        "readout": ("rms", "layer", "hand rms", "normalize", "raw", "raw mlp", "coda", "skip"),
    }
    CHOICES: ClassVar = {
        "read": ("last", "first half", "shifted", "not padded", "picked", "first raw"),
        "kept": ("nothing", "nothing", "padding", "settled", "zeroed"),
        "penalised": ("all", "last", "not padded"),
    }

    def prepare(self) -> None:
        self.turn = Turn(self.draw)
        self.head = nn.Linear(self.draw.width, SCORES)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        e, real = self.embed(tokens), tokens != PADDING
        h, states = e, []
        for k in range(self.draw.turns):
            h = self.kept(h, self.turn(h, e, k), real.unsqueeze(-1))
            states.append(h)
        read = {"last": states[-1:], "all": states, "some": [states[1], states[-1]]}
        losses = [self.read(h, e, real, targets) for h in read[self.draw.exits]]
        loss = torch.stack(losses).mean()
        return loss if self.draw.penalty == "none" else loss + self.penalty(h, real)

    def kept(self, before: Tensor, after: Tensor, real: Tensor) -> Tensor:
        """Let a turn's result count where it should."""
        match self.own["kept"]:
            case "padding":
                return torch.where(real, after, before)
            case "settled":
                moved = (after - before).square().mean(dim=-1, keepdim=True)
                return torch.where(moved > 1e-6, after, before)
            case "zeroed":
                return after * real.to(after.dtype)
        return after

    def read(self, h: Tensor, e: Tensor, real: Tensor, targets: Tensor) -> Tensor:
        scores = self.decoder(h, e)
        match self.own["read"]:
            case "last":
                return F.cross_entropy(scores[:, -1], targets[:, -1])
            case "first half":
                half = h.shape[1] // 2
                return F.cross_entropy(scores[:, :half].flatten(0, 1), targets[:, :half].flatten())
            case "shifted":
                return F.cross_entropy(scores[:, :-1].flatten(0, 1), targets[:, 1:].flatten())
            case "picked":
                return F.cross_entropy(scores[real], targets[real])
        each = F.cross_entropy(scores.transpose(1, 2), targets, reduction="none")
        if self.own["read"] == "first raw":
            return each.mean() + F.cross_entropy(self.head(h[:, 0]), targets[:, 0])
        weights = real.to(each.dtype)
        return (each * weights).sum() / weights.sum().clamp(min=1)

    def penalty(self, h: Tensor, real: Tensor) -> Tensor:
        match self.own["penalised"]:
            case "last":
                return 0.01 * h[:, -1].square().mean()
            case "not padded":
                return 0.01 * h[real].square().mean()
        return 0.01 * h.square().mean()
