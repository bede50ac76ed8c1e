"""Records a small model when it is imported, so that forked children find everything at hand.

The first recording in a process takes twice as long as the next: torch looks operators up, finds
their decompositions and remembers what fakes become. Children forget that with every model, unless
the process that they are forked from has done it once.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaleaudit.capture.building import Building
from scaleaudit.capture.capturing import capture_by
from scaleaudit.capture.engines import FakeEngine
from scaleaudit.capture.targets import Target
from scaleaudit.domain.attempts import Attempt

_WIDTH, _WORDS, _TURNS = 8, 16, 2


class _Model(nn.Module):
    """What many models have in common."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_WORDS, _WIDTH)
        self.before, self.between = nn.RMSNorm(_WIDTH), nn.LayerNorm(_WIDTH)
        self.mixing, self.writing = nn.Linear(_WIDTH, 3 * _WIDTH), nn.Linear(_WIDTH, _WIDTH)
        self.gate = nn.Parameter(torch.zeros(()))
        self.head = nn.Linear(_WIDTH, _WORDS, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        h = self.embedding(tokens) + self.embedding(positions)
        for _ in range(_TURNS):
            h = self._turn(h)
        logits: Tensor = self.head(self.between(h))
        return logits

    def _turn(self, h: Tensor) -> Tensor:
        q, k, v = self.mixing(self.before(h)).unflatten(-1, (3, 2, -1)).transpose(1, 3).unbind(2)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.writing(mixed.transpose(1, 2).flatten(-2))
        h = h + torch.sigmoid(self.gate) * functional.gelu(self.writing(self.before(h)))
        return torch.cat([h[:, :1], h[:, 1:] + torch.tanh(functional.silu(h[:, 1:]))], dim=1)


def _loss(model: nn.Module, tokens: Tensor) -> Tensor:
    logits: Tensor = model(tokens)
    found = functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
    return found + logits.float().square().mean()


def _target(*, fake: bool) -> Target:
    assert fake
    engine = FakeEngine(building=True)
    with Building(engine):
        model, tokens = _Model(), torch.randint(0, _WORDS, (2, 4))
    args: tuple[Any, ...] = (tokens,)
    return Target(Path(__file__), "rehearsal", model, args, {}, _loss, args, None, engine, _target)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    capture_by(Attempt.FAKES, _target(fake=True))
