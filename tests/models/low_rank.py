"""Relaxed recursion: one layer for all turns, and a low-rank correction of its matrices per turn."""

from __future__ import annotations

from typing import Any

import torch
from expect import blind, safe
from parts import TURNS, D, Language, target
from torch import Tensor, nn
from torch.nn import functional as F

RANK, HEADS, ALPHA = 2, 2, 4.0


class LoraLinear(nn.Module):
    """A matrix that all turns share, and two thin ones for every turn; the second starts at zero."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.base = nn.Linear(inputs, outputs, bias=False)
        self.lora_a = nn.Parameter(torch.randn(TURNS, RANK, inputs) / inputs**0.5)
        self.lora_b = nn.Parameter(torch.zeros(TURNS, outputs, RANK))
        self.scaling = ALPHA / RANK

    def forward(self, x: Tensor, turn: int) -> Tensor:
        down = F.linear(x, self.lora_a[turn])
        return self.base(x) + self.scaling * F.linear(down, self.lora_b[turn])


class MergedLinear(LoraLinear):
    """The same, the correction added to the matrix first."""

    def forward(self, x: Tensor, turn: int) -> Tensor:
        delta = self.lora_b[turn] @ self.lora_a[turn]
        return F.linear(x, self.base.weight + self.scaling * delta)


class RelaxedLayer(nn.Module):
    """A pre-norm layer of corrected matrices, with norms of its own for every turn."""

    def __init__(self, linear: type[LoraLinear] = LoraLinear) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (linear(D, D) for _ in range(4))
        self.gate, self.up, self.down = linear(D, 2 * D), linear(D, 2 * D), linear(2 * D, D)
        self.before = nn.ModuleList(nn.RMSNorm(D) for _ in range(TURNS))
        self.between = nn.ModuleList(nn.RMSNorm(D) for _ in range(TURNS))

    def forward(self, h: Tensor, turn: int) -> Tensor:
        h = h + self.attended(self.before[turn](h), turn)
        x = self.between[turn](h)
        return h + self.down(F.silu(self.gate(x, turn)) * self.up(x, turn), turn)

    def attended(self, x: Tensor, turn: int) -> Tensor:
        q, k, v = (
            each(x, turn).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for each in (self.q, self.k, self.v)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(y.transpose(1, 2).flatten(2), turn)


class PostNormLayer(RelaxedLayer):
    def forward(self, h: Tensor, turn: int) -> Tensor:
        h = self.before[turn](h + self.attended(h, turn))
        return self.between[turn](h + self.down(F.gelu(self.up(h, turn)), turn))


class ParallelAdapter(RelaxedLayer):
    """The correction is a branch beside the layer, and reads the raw stream."""

    def __init__(self) -> None:
        super().__init__()
        self.side_a = nn.Parameter(torch.randn(TURNS, D, RANK) / D**0.5)
        self.side_b = nn.Parameter(torch.zeros(TURNS, RANK, D))

    def forward(self, h: Tensor, turn: int) -> Tensor:
        side = h @ self.side_a[turn] @ self.side_b[turn]
        return super().forward(h, turn) + side


class Relaxed(Language):
    """The layer, turn by turn."""

    def __init__(self, layer: nn.Module, *, final: bool = True) -> None:
        super().__init__()
        self.layer = layer
        self.final = nn.RMSNorm(D) if final else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for turn in range(TURNS):
            h = self.layer(h, turn)
        return self.head(self.final(h))


EXPECT = {
    "relaxed": blind(),
    "merged": blind(),
    "raw_head": safe("carried", "visible"),
    "post_norm": safe("removed", "invariant"),
    "parallel_adapter": blind("expanding", also="SCL201"),
}


def scaleaudit_target_relaxed() -> dict[str, Any]:
    return target(Relaxed(RelaxedLayer()))


def scaleaudit_target_merged() -> dict[str, Any]:
    return target(Relaxed(RelaxedLayer(MergedLinear)))


def scaleaudit_target_raw_head() -> dict[str, Any]:
    return target(Relaxed(RelaxedLayer(MergedLinear), final=False))


def scaleaudit_target_post_norm() -> dict[str, Any]:
    return target(Relaxed(PostNormLayer()))


def scaleaudit_target_parallel_adapter() -> dict[str, Any]:
    return target(Relaxed(ParallelAdapter()))
