"""Losses that hold the state against fixed targets, and floors and ceilings on its length."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind
from parts import TURNS, D, Language
from torch import Tensor, nn
from torch.nn import functional as F


class Embedded(Language):
    """Returns the state itself; what becomes of it is the loss's affair."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = nn.Buffer(torch.randn(5, D))

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + self.block.mlp(F.rms_norm(h, (D,)))
        return h


def contrast(model: Embedded, tokens: Tensor) -> Tensor:
    similar = F.normalize(model(tokens).mean(1), dim=-1) @ F.normalize(model.keys, dim=-1).T
    return F.cross_entropy(similar / 0.1, torch.arange(tokens.shape[0]))


def direction(model: Embedded, tokens: Tensor) -> Tensor:
    return aimed(model(tokens), model.keys[0])


def aimed(h: Tensor, key: Tensor) -> Tensor:
    return (F.rms_norm(h, (D,)) - key).square().mean()


def floored(model: Embedded, tokens: Tensor) -> Tensor:
    h = model(tokens)
    return aimed(h, model.keys[0]) + 0.1 * F.relu(1 - h.norm(dim=-1)).mean()


def spread(model: Embedded, tokens: Tensor) -> Tensor:
    h = model(tokens)
    return aimed(h, model.keys[0]) + 0.1 * (1 - h.std(dim=0)).clamp(min=0).square().mean()


def capped(model: Embedded, tokens: Tensor) -> Tensor:
    h = model(tokens)
    return aimed(h, model.keys[0]) + 0.1 * F.relu(h.norm(dim=-1) - 10).mean()


# A floor is felt by short states only: nothing keeps long ones from growing.
FLOOR = Expect((State("carried", "invariant", 0, ("saturating",)),), "SCL101 SCL104", carries=())

EXPECT = {
    "contrast": blind(),
    "direction": blind(),
    "floored": FLOOR,
    "spread": FLOOR,
    "capped": Expect((State("carried", "invariant", 1),), carries=()),
}


def judged_by(loss: Any) -> dict[str, Any]:
    args = (torch.randint(0, 11, (2, 8)),)
    return {"model": Embedded(), "args": args, "loss": loss, "loss_args": args}


def scaleaudit_target_contrast() -> dict[str, Any]:
    return judged_by(contrast)


def scaleaudit_target_direction() -> dict[str, Any]:
    return judged_by(direction)


def scaleaudit_target_floored() -> dict[str, Any]:
    return judged_by(floored)


def scaleaudit_target_spread() -> dict[str, Any]:
    return judged_by(spread)


def scaleaudit_target_capped() -> dict[str, Any]:
    return judged_by(capped)
