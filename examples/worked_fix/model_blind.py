"""A byte-level language model that runs its two layers four times over, as one would write it.

Every turn's logits are in the loss, through one norm and a head tied to the embedding. The state ``x``
is no module's output: ``forward`` itself adds to it what attention and MLP make of a normed copy.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HEADS, CONTEXT, TURNS = 64, 4, 64, 4


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, HEADS, C // HEADS).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, heads, T, C / heads)
        return self.out(y.transpose(1, 2).reshape(B, T, C))


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.attention = Attention()
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def mlp(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x)))


class LoopedLM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        self.layers = nn.ModuleList([Layer(), Layer()])
        self.norm = nn.RMSNorm(WIDTH)
        for table in (self.embedding, self.positions):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, tokens: Tensor, turns: int = TURNS) -> list[Tensor]:
        logits = []
        x = self.embedding(tokens) + self.positions.weight[: tokens.shape[1]]  # (B, T, WIDTH)
        for _ in range(turns):
            for layer in self.layers:
                x = x + layer.attention(layer.norm_1(x))
                x = x + layer.mlp(layer.norm_2(x))
            logits.append(F.linear(self.norm(x), self.embedding.weight))  # (B, T, 256)
        return logits


def loss(model: nn.Module, tokens: Tensor, targets: Tensor, turns: int = TURNS) -> Tensor:
    logits = model(tokens, turns)
    each = [F.cross_entropy(turn.flatten(0, 1), targets.flatten()) for turn in logits]
    return torch.stack(each).mean()


def scaleaudit_target() -> dict[str, Any]:
    window = torch.randint(256, (8, CONTEXT + 1))
    return {
        "model": LoopedLM(),
        "args": (window[:, :-1],),
        "loss": loss,
        "loss_args": (window[:, :-1], window[:, 1:]),
    }
