"""A recurrent-depth byte model with a damped carry: stable for any depth, and still not controlled.

Each channel of the state decays by a learned factor, written as exp(-rate) with a rate above 0, so it
lies strictly between 0 and 1 whatever training does. The input is injected at every turn and a
transformer layer, reading a normed copy, writes to the state. No depth makes this explode: the length
settles at write size / (1 - factor).

What it settles at, nobody decides. The readout goes through an RMSNorm, so the loss sees neither the
size of the writes nor how close the factor has come to 1. A damped loop of this kind was seen to
train to norms of several hundred.

The audit warns with SCL205 (damped-but-blind) on ``latent``: transition ``damped``, visibility
``invariant``. It is a warning and no error, since running deeper than trained adds nothing to the
length. A penalty on the latent or writes that are bounded, as by a tanh, would settle the matter.
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
TURNS = 6
LENGTH = 48


class Writer(nn.Module):
    """Attention and MLP side by side, over one normed copy; no skip connection of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.SiLU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        batch, length, _ = x.shape
        # (3, batch, heads, length, WIDTH / heads)
        q, k, v = self.qkv(x).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, WIDTH)) + self.mlp(x)


class DampedReasoner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Parameter(torch.zeros(LENGTH, WIDTH))
        self.rate = nn.Parameter(torch.linspace(-3.0, 0.0, WIDTH))
        self.inject = nn.Linear(WIDTH, WIDTH, bias=False)
        self.write = Writer()
        self.out_norm = nn.RMSNorm(WIDTH)
        self.out = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens: Tensor, turns: int = TURNS) -> Tensor:
        source = self.embed(tokens) + self.positions[: tokens.shape[1]]  # (batch, length, WIDTH)
        keep = torch.exp(-F.softplus(self.rate))  # (WIDTH,), between 0 and 1
        latent = torch.zeros_like(source)
        for _ in range(turns):
            latent = keep * latent + self.inject(source) + self.write(latent)
        return self.out(self.out_norm(latent))


def loss(model: DampedReasoner, tokens: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())


def scaleaudit_target() -> dict[str, Any]:
    tokens = torch.randint(VOCABULARY, (4, LENGTH + 1))
    return {
        "model": DampedReasoner(),
        "args": (tokens[:, :-1],),
        "loss": loss,
        "loss_args": (tokens[:, :-1], tokens[:, 1:]),
    }


def main(steps: int = 20) -> None:
    """Train for a moment on the bytes of this file."""
    text = torch.tensor(list(Path(__file__).read_bytes()))
    model = DampedReasoner()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(steps):
        starts = torch.randint(len(text) - LENGTH - 1, (8,))
        window = torch.stack([text[start : start + LENGTH + 1] for start in starts])
        objective = loss(model, window[:, :-1], window[:, 1:])
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()
        print(f"step {step:3d}  loss {objective.item():.3f}")


if __name__ == "__main__":
    main()
