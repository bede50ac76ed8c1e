"""Turns that read what earlier turns left: lists of states, keys and values that grow."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from looped.families.base import Branch, Family, Shape, between
from looped.parts import Norm


class Caches(Family):
    CHANGES: ClassVar = {"exits": ("last", "all")}
    CHOICES: ClassVar = {
        "how": ("weighted", "shares", "attended", "grown", "two back", "written"),
        "after": ("nothing", "nothing", "nothing", "norm"),
    }

    @property
    def shape(self) -> Shape:
        """What a turn left may count as a state of its own wherever several are read."""
        return Shape(states=between(1, self.draw.turns))

    def prepare(self) -> None:
        width, turns = self.draw.width, self.draw.turns
        self.branch = Branch(self.draw)
        self.before, self.between = Norm(self.draw.norm, width), Norm(self.draw.norm, width)
        self.weights = nn.Parameter(torch.randn(turns, turns + 1))
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def states(self, e: Tensor) -> list[Tensor]:
        if self.own["how"] == "grown":
            return self.grown(e)
        left, read = [e], []
        for k in range(self.draw.turns):
            h = self.mixed(left, k)
            y = self.branch(h)
            made = y if self.own["how"] == "written" else h + y
            if self.own["after"] == "norm":
                made = self.between(made)
            left.append(made)
            read.append(sum(left) if self.own["how"] == "written" else made)
        return read

    def mixed(self, left: list[Tensor], k: int) -> Tensor:
        """What turn k makes of all that was left so far."""
        match self.own["how"]:
            case "weighted":
                weights = self.weights[k, : k + 1]
                return sum(w * h for w, h in zip(weights, left, strict=True))
            case "shares":
                weights = self.weights[k, : k + 1].softmax(dim=0)
                return torch.einsum("k,kbld->bld", weights, torch.stack(left))
            case "attended":
                past = torch.stack(left, dim=-2)  # (batch, length, turns so far, width)
                scores = self.key(self.before(past)) @ self.query(self.before(left[-1]))[..., None]
                return left[-1] + (scores.softmax(dim=-2) * self.value(self.before(past))).sum(-2)
            case "two back":
                return left[-1] + 0.5 * left[max(0, k - 1)]
        return sum(left) if self.own["how"] == "written" else left[-1]

    def grown(self, e: Tensor) -> list[Tensor]:
        """Every turn attends to the keys and values of all turns up to it."""
        h, keys, values, read = e, [], [], []
        for _ in range(self.draw.turns):
            x = self.before(h)
            keys.append(self.key(x))
            values.append(self.value(x))
            mixed = F.scaled_dot_product_attention(
                self.query(x), torch.cat(keys, dim=1), torch.cat(values, dim=1)
            )
            h = h + self.out(mixed)
            h = h + self.branch(h)
            if self.own["after"] == "norm":
                h = self.between(h)
            read.append(h)
        return read
