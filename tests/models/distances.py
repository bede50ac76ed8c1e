"""Heads that a softmax follows: distances to class vectors, and logits that are moved together."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, VOCABULARY, D, Language, target
from torch import Tensor, nn
from torch.nn import functional as F


class Classes(Language):
    """A looped pre-norm block whose last state is held against a vector for every class."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Parameter(torch.randn(VOCABULARY, D))

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.block(h)
        return self.read(h)

    def read(self, h: Tensor) -> Tensor:
        return -self.differences(h).square().sum(-1)

    def differences(self, h: Tensor) -> Tensor:
        return h.unsqueeze(-2) - self.classes


class OfNormed(Classes):
    def read(self, h: Tensor) -> Tensor:
        return super().read(self.norm(h))


class WrittenOut(Classes):
    """The square of the state and that of the classes, and the product of both between them."""

    def read(self, h: Tensor) -> Tensor:
        own, theirs = h.square().sum(-1, keepdim=True), self.classes.square().sum(-1)
        return (2 * h @ self.classes.T - own - theirs) / 2


class SquaredCdist(Classes):
    def read(self, h: Tensor) -> Tensor:
        return -(torch.cdist(h, self.classes) ** 2)


class Cdist(Classes):
    """The root of the square: far away, distances differ by the angle alone."""

    def read(self, h: Tensor) -> Tensor:
        return -torch.cdist(h, self.classes)


class CityBlock(Classes):
    """Far away, the sign of every feature decides what is added to its size."""

    def read(self, h: Tensor) -> Tensor:
        return -self.differences(h).abs().sum(-1)


class OneByOne(Classes):
    def __init__(self) -> None:
        super().__init__()
        self.each = nn.ParameterList(nn.Parameter(torch.randn(D)) for _ in range(VOCABULARY))

    def read(self, h: Tensor) -> Tensor:
        return torch.stack([-(h - one).square().mean(-1) for one in self.each], -1)


class OneByOneNorm(OneByOne):
    def read(self, h: Tensor) -> Tensor:
        return torch.stack([-(h - one).norm(dim=-1) for one in self.each], -1)


class OfWidths(Classes):
    """Classes of a width of their own, by which the square of the state counts differently."""

    def __init__(self) -> None:
        super().__init__()
        self.widths = nn.Parameter(torch.zeros(VOCABULARY, D))

    def differences(self, h: Tensor) -> Tensor:
        return super().differences(h) / self.widths.exp()


class Nearest(Classes):
    """A soft choice of the nearest class, and values of the classes by it."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Linear(VOCABULARY, VOCABULARY)

    def read(self, h: Tensor) -> Tensor:
        return self.values(super().read(h).softmax(-1))


class NearestOfNormed(Nearest):
    def read(self, h: Tensor) -> Tensor:
        return super().read(self.norm(h))


class Shifted(Classes):
    """A number of the raw state is added to all logits, which are those of the normed one."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Linear(D, 1)

    def read(self, h: Tensor) -> Tensor:
        return self.head(self.norm(h)) + self.shift(h)


class ShiftedRaw(Shifted):
    def read(self, h: Tensor) -> Tensor:
        return self.head(h) + self.shift(h)


class ShiftedChoice(Shifted):
    """A choice that all scores are moved in together."""

    def read(self, h: Tensor) -> Tensor:
        return F.linear(super().read(h).softmax(-1), self.classes @ self.classes.T)


class Huber(Classes):
    """A function that is followed no further: what of it all classes have in common is not known."""

    def read(self, h: Tensor) -> Tensor:
        near, far = torch.broadcast_tensors(h.unsqueeze(-2), self.classes)
        return -F.smooth_l1_loss(near, far, reduction="none").sum(-1)


def by_hand(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    """The likelihood from a logsumexp."""
    logits = model(tokens)
    picked = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return (logits.logsumexp(-1) - picked).mean()


def by_peak(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    """The likelihood from exponentials, below the largest logit."""
    logits = model(tokens)
    logits = logits - logits.amax(-1, keepdim=True)
    logs = logits - logits.logsumexp(-1, keepdim=True)
    return -logs.gather(-1, targets.unsqueeze(-1)).mean()


EXPECT = {
    "raw": safe("carried", "visible"),
    "of_normed": blind(),
    "written_out": safe("carried", "visible"),
    "squared_cdist": safe("carried", "visible"),
    "cdist": blind(visibility="asymptotic"),
    "city_block": blind(visibility="asymptotic"),
    "one_by_one": safe("carried", "visible"),
    "one_by_one_norm": blind(visibility="asymptotic"),
    "of_widths": safe("carried", "visible"),
    "nearest": Expect((State("carried", "saturating"),), "SCL102"),
    "nearest_of_normed": blind(),
    "shifted": blind(),
    "shifted_raw": safe("carried", "visible"),
    "shifted_choice": blind(),
    "huber": Expect((State("carried", "unknown|asymptotic"),), verdict="unknown"),
    "raw_by_hand": safe("carried", "visible"),
    "shifted_by_hand": blind(),
    "raw_by_peak": safe("carried", "visible"),
    "shifted_by_peak": blind(),
}


def scaleaudit_target_raw() -> dict[str, Any]:
    return target(Classes())


def scaleaudit_target_of_normed() -> dict[str, Any]:
    return target(OfNormed())


def scaleaudit_target_written_out() -> dict[str, Any]:
    return target(WrittenOut())


def scaleaudit_target_squared_cdist() -> dict[str, Any]:
    return target(SquaredCdist())


def scaleaudit_target_cdist() -> dict[str, Any]:
    return target(Cdist())


def scaleaudit_target_city_block() -> dict[str, Any]:
    return target(CityBlock())


def scaleaudit_target_one_by_one() -> dict[str, Any]:
    return target(OneByOne())


def scaleaudit_target_one_by_one_norm() -> dict[str, Any]:
    return target(OneByOneNorm())


def scaleaudit_target_of_widths() -> dict[str, Any]:
    return target(OfWidths())


def scaleaudit_target_nearest() -> dict[str, Any]:
    return target(Nearest())


def scaleaudit_target_nearest_of_normed() -> dict[str, Any]:
    return target(NearestOfNormed())


def scaleaudit_target_shifted() -> dict[str, Any]:
    return target(Shifted())


def scaleaudit_target_shifted_raw() -> dict[str, Any]:
    return target(ShiftedRaw())


def scaleaudit_target_shifted_choice() -> dict[str, Any]:
    return target(ShiftedChoice())


def scaleaudit_target_huber() -> dict[str, Any]:
    return target(Huber())


def scaleaudit_target_raw_by_hand() -> dict[str, Any]:
    return target(Classes(), by_hand)


def scaleaudit_target_shifted_by_hand() -> dict[str, Any]:
    return target(Shifted(), by_hand)


def scaleaudit_target_raw_by_peak() -> dict[str, Any]:
    return target(Classes(), by_peak)


def scaleaudit_target_shifted_by_peak() -> dict[str, Any]:
    return target(Shifted(), by_peak)
