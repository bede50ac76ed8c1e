"""An ordinary pre-norm GPT: every layer has weights of its own, so nothing is carried by a loop.

Line by line it looks like ``looped_gpt_blind.py``: the residual stream is only ever added to, and the one
readout divides its length out. Its depth is fixed, though. Layer five has never been run but behind
layer four, has learnt the length that arrives there, and nobody can run the model deeper than it was
trained. The embedding tied to the head is used twice and feeds no next occurrence of itself; a weight that
recurs is no loop.

The audit passes: it finds no loop. It has nothing to say of whether a residual stream without loops may
grow large.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY = 256
WIDTH = 96
HEADS = 4
LAYERS = 5
LENGTH = 48


class Layer(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def attend(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        # (3, batch, heads, length, WIDTH / heads)
        q, k, v = self.qkv(x).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, WIDTH))


class UntiedGPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(LENGTH, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        x = self.embed(tokens) + self.positions.weight[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x)
        logits = self.head(self.norm(x))  # (batch, length, VOCABULARY)
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def scaleaudit_target() -> dict[str, Any]:
    tokens = torch.randint(VOCABULARY, (4, LENGTH + 1))
    return {"model": UntiedGPT(), "args": (tokens[:, :-1], tokens[:, 1:])}


def main(steps: int = 20) -> None:
    """Train for a moment on the bytes of this file."""
    text = torch.tensor(list(Path(__file__).read_bytes()))
    model = UntiedGPT()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(steps):
        starts = torch.randint(len(text) - LENGTH - 1, (8,))
        window = torch.stack([text[start : start + LENGTH + 1] for start in starts])
        _, objective = model(window[:, :-1], window[:, 1:])
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()
        print(f"step {step:3d}  loss {objective.item():.3f}")


if __name__ == "__main__":
    main()
