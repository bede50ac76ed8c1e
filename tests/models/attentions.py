"""Attention in the loop, as people write it: none of it may change the answer."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind
from parts import LENGTH, TURNS, D, Language, target
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 2


class Attention(Language):
    """Causal attention in the loop, by way of ``mix``."""

    def __init__(self) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(D, 3 * D, bias=False)
        self.to_out = nn.Linear(D, D, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + self.attend(F.rms_norm(h, (D,)))
            h = self.block(h)
        return self.head(self.norm(h))

    def attend(self, x: Tensor) -> Tensor:
        q, k, v = self.to_qkv(x).unflatten(-1, (3, HEADS, -1)).unbind(dim=2)
        y = self.mix(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        return self.to_out(y.transpose(1, 2).flatten(2))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


class MaskedEinsum(Attention):
    """Scores by einsum, a mask made in forward and filled with minus infinity."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / q.shape[-1] ** 0.5
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        scores = scores.masked_fill(~mask, float("-inf"))
        return torch.einsum("bhqk,bhkd->bhqd", scores.softmax(dim=-1), v)


class ComplexRotary(Attention):
    """Rotary embeddings as complex numbers, as in LLaMA's code."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        half = q.shape[-1] // 2
        frequencies = 1.0 / 100.0 ** (torch.arange(half) / half)
        angles = torch.outer(torch.arange(q.shape[-2]).float(), frequencies)
        turn = torch.polar(torch.ones_like(angles), angles)  # (length, half), complex
        return F.scaled_dot_product_attention(rotate(q, turn), rotate(k, turn), v, is_causal=True)


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn).flatten(-2).type_as(x)


class RealRotary(Attention):
    """Rotary embeddings from a buffer made when first needed."""

    def __init__(self) -> None:
        super().__init__()
        half = D // HEADS // 2
        angles = torch.outer(torch.arange(LENGTH).float(), 0.01 ** (torch.arange(half) / half))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(self.rotated(q), self.rotated(k), v, is_causal=True)

    def rotated(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * self.cos - b * self.sin, a * self.sin + b * self.cos), dim=-1)


EXPECT = {
    "attention": blind(),
    "masked_einsum": blind(),
    "complex_rotary": Expect((State("carried", "invariant"),), "SCL101", carries=()),
    "real_rotary": blind(),
}


def scaleaudit_target_attention() -> dict[str, Any]:
    return target(Attention())


def scaleaudit_target_masked_einsum() -> dict[str, Any]:
    return target(MaskedEinsum())


def scaleaudit_target_complex_rotary() -> dict[str, Any]:
    return target(ComplexRotary())


def scaleaudit_target_real_rotary() -> dict[str, Any]:
    return target(RealRotary())
