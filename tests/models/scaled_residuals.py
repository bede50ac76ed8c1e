"""Branches and skips with factors: by depth, by a learned vector, by what starts at zero."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, Attention, D, Language, Mlp, cross_entropy, target
from torch import Tensor, nn


class Scaled(Language):
    """Attention and network; subclasses say how what they make joins the stream."""

    def __init__(self, *, final: bool = True) -> None:
        super().__init__()
        self.attention, self.mlp = Attention(), Mlp()
        self.before, self.between = nn.RMSNorm(D), nn.RMSNorm(D)
        self.final = nn.RMSNorm(D) if final else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.read(self.states(tokens)[-1])

    def states(self, tokens: Tensor) -> list[Tensor]:
        h = self.embed(tokens)
        found = []
        for _ in range(TURNS):
            h = self.turn(h)
            found.append(h)
        return found

    def turn(self, h: Tensor) -> Tensor:
        h = self.joined(h, self.attention(self.before(h)), 0)
        return self.joined(h, self.mlp(self.between(h)), 1)

    def joined(self, h: Tensor, y: Tensor, branch: int) -> Tensor:
        raise NotImplementedError

    def read(self, h: Tensor) -> Tensor:
        return self.head(self.final(h))


class ByDepth(Scaled):
    """One over the number of branches that a forward pass goes through, or its root."""

    def __init__(self, power: float, *, final: bool = True) -> None:
        super().__init__(final=final)
        self.factor = (2 * TURNS) ** -power

    def joined(self, h: Tensor, y: Tensor, branch: int) -> Tensor:
        return h + self.factor * y


class LayerScale(Scaled):
    """A learned factor a channel on every branch, small at first."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((2, D), 1e-4))

    def joined(self, h: Tensor, y: Tensor, branch: int) -> Tensor:
        return h + self.gamma[branch] * y


class ReZero(Scaled):
    """One learned factor on a branch, zero at first, and no norms: the branch reads the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.ParameterList(torch.zeros(()) for _ in range(2))

    def turn(self, h: Tensor) -> Tensor:
        h = self.joined(h, self.attention(h), 0)
        return self.joined(h, self.mlp(h), 1)

    def joined(self, h: Tensor, y: Tensor, branch: int) -> Tensor:
        return h + self.alpha[branch] * y


class Weighted(Scaled):
    """Fixed weights whose squares add up to 1: the stream keeps its length by decaying."""

    def joined(self, h: Tensor, y: Tensor, branch: int) -> Tensor:
        return (1 - 1 / (2 * TURNS)) ** 0.5 * h + (1 / (2 * TURNS)) ** 0.5 * y


class LearnedSkip(Scaled):
    """Learned factors on the stream itself, one at first."""

    def __init__(self) -> None:
        super().__init__()
        self.keep = nn.Parameter(torch.ones(2, D))

    def joined(self, h: Tensor, y: Tensor, branch: int) -> Tensor:
        return self.keep[branch] * h + y


class UpWeighted(Scaled):
    """The skip counts more than the branch, and a norm takes the sum."""

    def turn(self, h: Tensor) -> Tensor:
        alpha = (2 * TURNS) ** 0.25
        h = self.before(alpha * h + self.attention(h))
        return self.between(alpha * h + self.mlp(h))


def penalised(model: Scaled, tokens: Tensor, targets: Tensor) -> Tensor:
    found = model.states(tokens)
    length = torch.stack([h.square().mean() for h in found]).mean()
    return cross_entropy(model.read(found[-1]), targets) + 0.01 * length


EXPECT = {
    "by_depth": blind(),
    "by_depth_raw_head": safe("carried", "visible"),
    "by_root_of_depth_penalised": Expect((State("carried", "invariant", 1),)),
    "layer_scale": blind(),
    "re_zero": blind("expanding", also="SCL201"),
    "weighted": Expect((State("damped", "invariant"),), "SCL205"),
    "learned_skip": blind("linear", also="SCL204"),
    "up_weighted": safe("removed", "invariant"),
}


def scaleaudit_target_by_depth() -> dict[str, Any]:
    return target(ByDepth(1.0))


def scaleaudit_target_by_depth_raw_head() -> dict[str, Any]:
    return target(ByDepth(1.0, final=False))


def scaleaudit_target_by_root_of_depth_penalised() -> dict[str, Any]:
    return target(ByDepth(0.5), penalised)


def scaleaudit_target_layer_scale() -> dict[str, Any]:
    return target(LayerScale())


def scaleaudit_target_re_zero() -> dict[str, Any]:
    return target(ReZero())


def scaleaudit_target_weighted() -> dict[str, Any]:
    return target(Weighted())


def scaleaudit_target_learned_skip() -> dict[str, Any]:
    return target(LearnedSkip())


def scaleaudit_target_up_weighted() -> dict[str, Any]:
    return target(UpWeighted())
