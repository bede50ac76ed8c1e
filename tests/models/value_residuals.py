"""Attention that keeps the values of the first turn, and mixes them into those of later ones."""

from __future__ import annotations

from typing import Any

import torch
from expect import blind, safe
from parts import TURNS, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 2


class Attention(nn.Module):
    """Causal attention with norms on queries and keys, its values mixed with earlier ones."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(D, D, bias=False) for _ in range(3))
        self.out = nn.Linear(D, D, bias=False)
        nn.init.zeros_(self.out.weight)
        self.lambdas = nn.Parameter(torch.tensor([0.5, 0.5]))

    def forward(self, x: Tensor, first: Tensor | None) -> tuple[Tensor, Tensor]:
        q, k, v = (heads(each(x)) for each in (self.q, self.k, self.v))
        first = v if first is None else first
        mixed = self.lambdas[0] * v + self.lambdas[1] * first
        q, k = F.rms_norm(q, (D // HEADS,)), F.rms_norm(k, (D // HEADS,))
        y = F.scaled_dot_product_attention(q, k, mixed, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2)), first


def heads(x: Tensor) -> Tensor:
    """(batch, length, D) to (batch, HEADS, length, D / HEADS)."""
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


class ValueResiduals(Language):
    """A looped layer; norms stand before its branches unless the attention is to read raw."""

    def __init__(self, *, raw: bool = False, final: bool = True, between: bool = False) -> None:
        super().__init__()
        self.attention, self.mlp = Attention(), Mlp()
        self.before = nn.Identity() if raw else nn.RMSNorm(D)
        self.norms = nn.ModuleList(nn.RMSNorm(D) for _ in range(2))
        self.final = nn.RMSNorm(D) if final else nn.Identity()
        self.between = between

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        first = None
        for _ in range(TURNS):
            y, first = self.attention(self.before(h), first)
            h = h + y
            h = h + self.mlp(self.norms[0](h))
            if self.between:
                h = self.norms[1](h)
        return self.head(self.final(h))


EXPECT = {
    "normed": blind(),
    "normed_raw_head": safe("carried", "visible"),
    "between": safe("removed", "invariant"),
    # Queries and keys are normed, the values are not: the layer looks pre-norm and is not.
    "raw_values": blind("expanding", also="SCL201"),
}


def scaleaudit_target_normed() -> dict[str, Any]:
    return target(ValueResiduals())


def scaleaudit_target_normed_raw_head() -> dict[str, Any]:
    return target(ValueResiduals(final=False))


def scaleaudit_target_between() -> dict[str, Any]:
    return target(ValueResiduals(between=True))


def scaleaudit_target_raw_values() -> dict[str, Any]:
    return target(ValueResiduals(raw=True))
