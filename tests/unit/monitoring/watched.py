"""Looped models whose states no module returns, each beside what a user would measure by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

WIDTH, CLASSES, TURNS = 8, 4, 3


class Residual(nn.Module):
    """The state is a local variable of the parent's forward: x = f(x) + x."""

    def __init__(self, dropout: float = 0.0, *, checkpointed: bool = False) -> None:
        super().__init__()
        self.norm, self.block = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)
        self.drop, self.head = nn.Dropout(dropout), nn.Linear(WIDTH, CLASSES)
        self.batch = nn.BatchNorm1d(WIDTH)
        self.checkpointed = checkpointed
        self.shift = torch.linspace(0, 1, WIDTH)  # what no module registers

    def turn(self, x: Tensor) -> Tensor:
        return self.drop(self.block(self.norm(x)))

    def states(self, x: Tensor, turns: int = TURNS) -> list[Tensor]:
        """The states as a user would collect them in the forward."""
        x, found = self.batch(x) + self.shift.to(x.device), []
        for _ in range(turns):
            if self.checkpointed:
                x = checkpoint(self.turn, x, use_reentrant=False) + x
            else:
                x = self.turn(x) + x
            found.append(x)
        return found

    def forward(self, x: Tensor, turns: int = TURNS) -> Tensor:
        return self.head(self.norm(self.states(x, turns)[-1]))


class Pair(nn.Module):
    """Two loops, each with a state of the same name."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for _ in range(2):
            h = h + torch.tanh(self.first(h))
        for _ in range(3):
            h = torch.tanh(self.second(h))
        return self.head(h)


class Plain(nn.Module):
    """No loop at all."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x)


def loss_of(model: nn.Module, x: Tensor, y: Tensor, **given: int) -> Tensor:
    return nn.functional.cross_entropy(model(x, **given), y)


def batch_of(count: int = 6) -> tuple[Tensor, Tensor]:
    return torch.randn(count, WIDTH), torch.randint(CLASSES, (count,))


def by_hand(model: Residual, x: Tensor, turns: int = TURNS) -> list[float]:
    """Mean lengths after every turn, without a trace of that in the model or the generators."""
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        found = [float(h.float().norm(dim=-1).mean()) for h in model.states(x, turns)]
    model.load_state_dict(kept)
    return found
