"""Mixtures of experts as a turn's branch, and what their routers add to the loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from looped.parts import Mlp

EXPERTS, CHOSEN = 3, 2
WEIGHT = 0.01


class Router(nn.Module):
    """A score for every expert."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scores = nn.Linear(width, EXPERTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.scores(x)

    def best(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of the best experts, which add up to 1, and their numbers."""
        weights, chosen = self(x).softmax(dim=-1).topk(CHOSEN, dim=-1)
        return weights / weights.sum(dim=-1, keepdim=True), chosen


class Mixture(nn.Module):
    """Experts by a router, in one of the spellings of the field."""

    def __init__(self, kind: str, width: int, activation: str) -> None:
        super().__init__()
        self.kind = kind
        self.router = Router(width)
        self.experts = nn.ModuleList(Mlp(width, activation) for _ in range(EXPERTS))

    def forward(self, x: Tensor, routed: Tensor) -> Tensor:
        """Let the experts work on ``x`` as the router says of ``routed``."""
        if "soft" in self.kind:
            return (self.router(routed).softmax(dim=-1).unsqueeze(-2) * self.all_of(x)).sum(dim=-1)
        weights, chosen = self.router.best(routed)
        if "dispatched" in self.kind:
            return self.dispatched(x, weights, chosen)
        full = torch.zeros_like(self.router(routed)).scatter(-1, chosen, weights)
        return torch.einsum("blde,ble->bld", self.all_of(x), full)

    def all_of(self, x: Tensor) -> Tensor:
        """What every expert says: (batch, length, width, EXPERTS)."""
        return torch.stack([expert(x) for expert in self.experts], dim=-1)

    def dispatched(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """Call every expert with its own tokens alone."""
        rows, weights, chosen = x.flatten(0, 1), weights.flatten(0, 1), chosen.flatten(0, 1)
        y = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            row, slot = torch.where(chosen == number)
            y = y.index_add(0, row, weights[row, slot, None] * expert(rows[row]))
        return y.view_as(x)


def router_loss(kind: str, logits: Tensor) -> Tensor:
    """The auxiliary loss of a router's logits (batch, length, EXPERTS)."""
    logits = logits.flatten(0, 1)
    p = logits.softmax(dim=-1)
    if "balance" in kind:
        share = F.one_hot(logits.topk(CHOSEN, dim=-1).indices, EXPERTS).to(p.dtype).mean((0, 1))
        return WEIGHT * EXPERTS * (share * p.mean(dim=0)).sum()
    if "entropy" in kind:
        return WEIGHT * -(p * (p + 1e-9).log()).sum(dim=-1).mean()
    return WEIGHT * logits.logsumexp(dim=-1).square().mean()
