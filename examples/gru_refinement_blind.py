"""Iterative refinement with a GRU cell inside a skip connection: blind to scale.

A GRU cell alone keeps its state between -1 and 1. Here it is used as a residual branch instead: it
reads a normed hypothesis and its output is added to the raw one, "to help gradients flow". The sum
has no bound, every turn can add up to 1 a channel, and the head starts with a LayerNorm that
divides the length out before the loss.

The audit finds SCL101 (blind-recurrent-scale). That there is a GRU in the loop does not decide
anything; what crosses from turn to turn does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEATURES = 12
CLASSES = 5
WIDTH = 64
TURNS = 8


class Refiner(nn.Module):
    """Look at the same evidence TURNS times, and revise a hypothesis each time."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
        self.cell = nn.GRUCell(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        evidence = self.encoder(x)  # (batch, WIDTH)
        hypothesis = torch.zeros_like(evidence)
        for _ in range(TURNS):
            hypothesis = hypothesis + self.cell(evidence, self.norm(hypothesis))
        return self.head(hypothesis)  # (batch, CLASSES)


def loss(model: Refiner, x: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(model(x), labels, label_smoothing=0.1)


def scaleaudit_target() -> dict[str, Any]:
    x, labels = batch(16)
    return {"model": Refiner(), "args": (x,), "loss": loss, "loss_args": (x, labels)}


def batch(size: int) -> tuple[Tensor, Tensor]:
    """Draw points and label them by the strongest of their first few features."""
    x = torch.randn(size, FEATURES)
    return x, x[:, :CLASSES].argmax(dim=-1)


def main(steps: int = 100) -> None:
    """Train for a moment on synthetic points."""
    model = Refiner()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(steps):
        objective = loss(model, *batch(64))
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()
        if step % 10 == 0:
            print(f"step {step:3d}  loss {objective.item():.3f}")


if __name__ == "__main__":
    main()
