"""An anytime reader, supervised at every exit: dense supervision, and blind all the same.

Every turn is decoded and every exit is in the loss, which looks like tight control of the state.
But all exits share ``out_norm``, and the norm hides the length of the state from each of them. Many
blind readouts see no more than one. The gate does read the raw state and would notice growth, yet
it is used at inference only and no term of the loss contains it.

The audit finds SCL101 (blind-recurrent-scale) on ``state``, and SCL103 (unsupervised-visibility) on
the gate: scale is visible there, and nobody is looking. The embedding of the turn, different each
time round, changes nothing: the layer is tied, so this is a loop.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass
class Exits:
    logits: list[Tensor]  # one a turn, each (batch, length, VOCABULARY)
    confidence: list[Tensor]  # one a turn, each (batch, length)


class Layer(nn.Module):
    """Pre-norm transformer layer with a causal mask."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.norm2 = nn.RMSNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.SiLU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.norm1(x)
        y, _ = self.attention(y, y, y, attn_mask=mask, need_weights=False)
        x = x + y
        return x + self.mlp(self.norm2(x))


class AnytimeReader(nn.Module):
    """One layer, run up to TURNS times; at inference a token may leave early."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Parameter(torch.zeros(LENGTH, WIDTH))
        self.turn_embed = nn.Embedding(TURNS, WIDTH)
        self.layer = Layer()
        self.out_norm = nn.RMSNorm(WIDTH)
        self.out = nn.Linear(WIDTH, VOCABULARY)
        self.gate = nn.Linear(WIDTH, 1)

    def forward(self, tokens: Tensor) -> Exits:
        length = tokens.shape[1]
        # True where attention is not allowed: above the diagonal.
        mask = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
        state = self.embed(tokens) + self.positions[:length]  # (batch, length, WIDTH)
        exits = Exits(logits=[], confidence=[])
        for turn in range(TURNS):
            state = self.layer(state + self.turn_embed.weight[turn], mask)
            exits.logits.append(self.exit(state))
            exits.confidence.append(torch.sigmoid(self.gate(state)).squeeze(-1))
        return exits

    def exit(self, state: Tensor) -> Tensor:
        return self.out(self.out_norm(state))


def loss(model: AnytimeReader, tokens: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of every exit, later ones weighing more."""
    total = torch.zeros(())
    for turn, logits in enumerate(model(tokens).logits, start=1):
        total = total + turn * F.cross_entropy(logits.transpose(1, 2), targets)
    return total / sum(range(1, TURNS + 1))


def scaleaudit_target() -> dict[str, Any]:
    tokens = torch.randint(VOCABULARY, (4, LENGTH + 1))
    return {
        "model": AnytimeReader(),
        "args": (tokens[:, :-1],),
        "loss": loss,
        "loss_args": (tokens[:, :-1], tokens[:, 1:]),
    }


def main(steps: int = 20) -> None:
    """Train for a moment on the bytes of this file."""
    text = torch.tensor(list(Path(__file__).read_bytes()))
    model = AnytimeReader()
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
