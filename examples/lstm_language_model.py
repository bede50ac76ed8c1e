"""An LSTM over bytes, trained in stretches: a loop in time whose state is bounded by its gates.

The same weights run at every byte and feed their own next step, so this is a loop like any other. What
an LSTM hands on is a gate times a tanh, between -1 and 1 whatever the weights are; its cell is forgotten
by a factor below 1 and written to by a bounded amount. Nothing needs to see a length that cannot drift,
and the LayerNorm before the head is harmless here.

The audit passes: the hidden state is ``bounded``, the cell ``damped`` with writes that are bounded by
construction. The state that is handed from stretch to stretch is detached, which limits gradients and
says nothing about length.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY = 256
WIDTH = 64
LENGTH = 24

State = tuple[Tensor, Tensor]  # hidden and cell, each (1, batch, WIDTH)


class ByteLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        outputs, state = self.lstm(self.embed(tokens), state)  # (batch, length, WIDTH)
        return self.head(self.norm(outputs)), state


def loss(model: ByteLSTM, tokens: Tensor, targets: Tensor) -> Tensor:
    logits, _ = model(tokens)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def scaleaudit_target() -> dict[str, Any]:
    tokens = torch.randint(VOCABULARY, (4, LENGTH + 1))
    return {
        "model": ByteLSTM(),
        "args": (tokens[:, :-1],),
        "loss": loss,
        "loss_args": (tokens[:, :-1], tokens[:, 1:]),
    }


def main(steps: int = 60) -> None:
    """Read this file from eight places at once, a stretch of bytes a step."""
    text = torch.tensor(list(Path(__file__).read_bytes()))
    columns = text[: len(text) // 8 * 8].view(8, -1)
    model = ByteLSTM()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    state: State | None = None
    for step in range(steps):
        start = step * LENGTH % (columns.shape[1] - LENGTH - 1)
        window = columns[:, start : start + LENGTH + 1]
        logits, (hidden, cell) = model(window[:, :-1], state)
        state = hidden.detach(), cell.detach()
        objective = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        objective.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 10 == 0:
            print(f"step {step:3d}  loss {objective.item():.3f}")


if __name__ == "__main__":
    main()
