"""Loops through which the gradient does not flow everywhere."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, D, Language, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class WarmUp(Language):
    """All turns but the last run without gradient."""

    def __init__(self, *, normed: bool) -> None:
        super().__init__()
        self.normed = normed

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        with torch.no_grad():
            for _ in range(TURNS - 1):
                h = self.block(h)
        h = self.block(h)
        return self.head(self.norm(h) if self.normed else h)


class Detached(Language):
    """Every turn is trained on its own: the state is detached between turns."""

    def __init__(self, *, normed: bool) -> None:
        super().__init__()
        self.normed = normed

    def forward(self, tokens: Tensor) -> list[Tensor]:
        h = self.embed(tokens)
        logits = []
        for _ in range(TURNS):
            h = self.block(h.detach())
            logits.append(self.head(self.norm(h) if self.normed else h))
        return logits


class LastDetached(Language):
    """Truncated: the gradient flows through the last two turns only."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for turn in range(TURNS):
            if turn == TURNS - 2:
                h = h.detach()
            h = self.block(h)
        return self.head(self.norm(h))


class Checkpointed(Language):
    """Activations are computed again in the backward pass."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = checkpoint(self.block, h, use_reentrant=False)
        return self.head(self.norm(h))


class DetachedBranch(Language):
    """The gradient flows through the identity path alone; what a turn writes still learns."""

    def __init__(self, *, raw: bool = False, visible: bool = False) -> None:
        super().__init__()
        self.raw, self.visible = raw, visible

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            seen = h.detach()
            h = h + self.block.mlp(seen if self.raw else self.block.norm(seen))
        return self.head(h if self.visible else self.norm(h))


class DetachedSource(Language):
    """The input is detached; the state is not."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens).detach()
        for _ in range(TURNS):
            h = self.block(h)
        return self.head(self.norm(h))


def every_turn(model: Detached, tokens: Tensor, targets: Tensor) -> Tensor:
    return torch.stack([cross_entropy(logits, targets) for logits in model(tokens)]).mean()


class Descending(Language):
    """Every turn goes down an energy of what it has normed: a step of its normed gradient."""

    def __init__(self, *, final: bool = True) -> None:
        super().__init__()
        self.inner, self.energy = nn.LayerNorm(D), nn.Linear(D, D)
        self.final = nn.RMSNorm(D) if final else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            energy = torch.tanh(self.energy(self.inner(h))).square().sum()
            (slope,) = torch.autograd.grad(energy, h, create_graph=True)
            h = h - 0.1 * F.layer_norm(slope, (D,))
        return self.head(self.final(h))


EXPECT = {
    "descending": blind(visibility="invariant|asymptotic"),
    "descending_raw_head": safe("carried", "visible"),
    "warm_up": Expect((State("carried", "invariant"),), "SCL101", carries=()),
    "warm_up_raw": Expect((State("carried", "visible"),), carries=()),
    "detached": blind(),
    # Each turn's own state is read raw with a gradient, before it is detached for the next.
    "detached_raw": safe("carried", "visible"),
    "last_detached": blind(),
    "checkpointed": blind(),
    "detached_branch": blind(),
    "detached_branch_raw": blind("expanding", also="SCL201"),
    "detached_branch_visible": safe("carried", "visible"),
    "detached_source": blind(),
}


def scaleaudit_target_warm_up() -> dict[str, Any]:
    return target(WarmUp(normed=True))


def scaleaudit_target_warm_up_raw() -> dict[str, Any]:
    return target(WarmUp(normed=False))


def scaleaudit_target_detached() -> dict[str, Any]:
    return target(Detached(normed=True), every_turn)


def scaleaudit_target_detached_raw() -> dict[str, Any]:
    return target(Detached(normed=False), every_turn)


def scaleaudit_target_last_detached() -> dict[str, Any]:
    return target(LastDetached())


def scaleaudit_target_checkpointed() -> dict[str, Any]:
    return target(Checkpointed())


def scaleaudit_target_detached_branch() -> dict[str, Any]:
    return target(DetachedBranch())


def scaleaudit_target_detached_branch_raw() -> dict[str, Any]:
    return target(DetachedBranch(raw=True))


def scaleaudit_target_detached_branch_visible() -> dict[str, Any]:
    return target(DetachedBranch(visible=True))


def scaleaudit_target_detached_source() -> dict[str, Any]:
    return target(DetachedSource())


def scaleaudit_target_descending() -> dict[str, Any]:
    return target(Descending())


def scaleaudit_target_descending_raw_head() -> dict[str, Any]:
    return target(Descending(final=False))
