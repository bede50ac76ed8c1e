"""A two-speed solver of small puzzles: the fast state is hidden behind the slow one, and both are blind.

In every cycle a fast state takes a few steps under the guidance of a slow one, then the slow state
takes one step and reads what the fast one has found. Both are pre-norm residuals: lengths are carried
on and only ever added to. The loss reads the slow state alone, through an RMSNorm. The fast state has
no readout at all; whatever the loss sees of it goes through the slow state's layer, whose norm hides
the length of the fast state, and through the readout, whose norm hides the length of both.

The audit finds SCL101 (blind-recurrent-scale) twice, on ``fast`` and on ``slow``: a state that reaches
the loss only through another one takes that one's answer. The usual cure is the post-norm of the
hierarchical reasoners, ``fast = norm(fast + ...)``, for both states.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 4  # a Latin square of SIDE x SIDE cells; 0 is an empty cell
CELLS = SIDE * SIDE
WIDTH = 64
CYCLES = 3
FAST_STEPS = 2


class Mixer(nn.Module):
    """Reads a normed copy, mixes cells, then channels; the caller adds the result to its state."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(WIDTH)
        self.cells = nn.Linear(CELLS, CELLS)
        self.channels = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)  # (batch, CELLS, WIDTH)
        return self.channels(x + self.cells(x.mT).mT)


class TwoSpeedSolver(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.digits = nn.Embedding(SIDE + 1, WIDTH)
        self.places = nn.Parameter(torch.randn(CELLS, WIDTH))
        self.fast_start = nn.Parameter(torch.randn(WIDTH))
        self.slow_start = nn.Parameter(torch.randn(WIDTH))
        self.fast_layer = Mixer()
        self.slow_layer = Mixer()
        self.out_norm = nn.RMSNorm(WIDTH)
        self.out = nn.Linear(WIDTH, SIDE + 1)

    def forward(self, puzzle: Tensor) -> Tensor:
        given = self.digits(puzzle) + self.places  # (batch, CELLS, WIDTH)
        fast = self.fast_start.expand_as(given)
        slow = self.slow_start.expand_as(given)
        for _ in range(CYCLES):
            for _ in range(FAST_STEPS):
                fast = fast + self.fast_layer(fast + slow + given)
            slow = slow + self.slow_layer(slow + fast)
        return self.out(self.out_norm(slow))  # (batch, CELLS, SIDE + 1)


def loss(model: TwoSpeedSolver, puzzle: Tensor, solution: Tensor) -> Tensor:
    return F.cross_entropy(model(puzzle).flatten(0, 1), solution.flatten())


def scaleaudit_target() -> dict[str, Any]:
    puzzle, solution = batch(8)
    return {
        "model": TwoSpeedSolver(),
        "args": (puzzle,),
        "loss": loss,
        "loss_args": (puzzle, solution),
    }


def batch(size: int) -> tuple[Tensor, Tensor]:
    """Rename the digits of one Latin square at random and leave half of the cells empty."""
    row = torch.arange(SIDE)
    square = ((row[:, None] + row) % SIDE).flatten()
    names = torch.rand(size, SIDE).argsort(dim=1) + 1
    solution = names[:, square]
    return solution.masked_fill(torch.rand(size, CELLS) > 0.5, 0), solution


def main(steps: int = 100) -> None:
    """Train for a moment on random Latin squares."""
    model = TwoSpeedSolver()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(steps):
        objective = loss(model, *batch(32))
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()
        if step % 10 == 0:
            print(f"step {step:3d}  loss {objective.item():.3f}")


if __name__ == "__main__":
    main()
