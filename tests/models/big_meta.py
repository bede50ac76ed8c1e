"""A looped decoder of 70 billion parameters, built on the meta device: nothing is allocated."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY = 32_000
WIDTH = 8192
HEADS = 64
HIDDEN = 3 * WIDTH
LAYERS = 80
TURNS = 2
LENGTH = 128


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        # three of (batch, heads, length, WIDTH / heads)
        q, k, v = self.qkv(x).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, length, WIDTH))


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.attention = Attention()
        self.gate = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.up = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class BigLoopedDecoder(nn.Module):
    """Eighty layers, run twice, and a tied head behind a norm: blind."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)  # (batch, length, WIDTH)
        for _ in range(TURNS):
            for layer in self.layers:
                h = layer(h)
        return F.linear(self.norm(h), self.embed.weight)


def loss(model: BigLoopedDecoder, tokens: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())


EXPECT = {
    "big_meta": Expect((State("carried", "invariant"),), "SCL101", carries=(), turns=(TURNS,))
}


def scaleaudit_target_big_meta() -> dict[str, Any]:
    with torch.device("meta"):
        model = BigLoopedDecoder()
        tokens = torch.zeros(1, LENGTH, dtype=torch.long)
    return {"model": model, "args": (tokens,), "loss": loss, "loss_args": (tokens, tokens)}
