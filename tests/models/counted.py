"""Loops by what decides how often they turn, and states by the bits in which they go around."""

from __future__ import annotations

import random
from typing import Any

import torch
from parts import TURNS, D, Language, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class Deep(Language):
    """A looped block whose turns subclasses count; each names the answer that is due."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = TURNS
        self.blocks = nn.ModuleList([self.block, type(self.block)()])

    def iterated(self, h: Tensor, turns: int, bias: float = 0.0) -> Tensor:
        for _ in range(turns):
            h = self.block(h) + bias
        return h


class ArgumentAroundLayers(Deep):
    def forward(self, tokens: Tensor, turns: int = TURNS) -> Tensor:
        h = self.embed(tokens)
        for _ in range(turns):
            for block in self.blocks:
                h = block(h)
        return self.head(self.norm(h))


class ArgumentOrDefault(Deep):
    def forward(self, tokens: Tensor, turns: int | None = None) -> Tensor:
        most = turns or self.turns
        h = self.embed(tokens)
        done = 0
        while done < most:
            h = self.block(h)
            done += 1
        return self.head(self.norm(h))


class ArgumentOfHelper(Deep):
    def forward(self, tokens: Tensor, *, steps: int = TURNS) -> Tensor:
        return self.head(self.norm(self.iterated(self.embed(tokens), max(1, int(steps)))))


class RandomWhileTraining(Deep):
    def forward(self, tokens: Tensor) -> Tensor:
        turns = random.randint(3, 6) if self.training else self.turns
        return self.head(self.norm(self.iterated(self.embed(tokens), turns)))


class FixedOfHelper(Deep):
    """The model has an argument, which the loop is not given."""

    def forward(self, tokens: Tensor, turns: int = 1) -> Tensor:
        return turns * self.head(self.norm(self.iterated(self.embed(tokens), self.turns)))


class FixedAroundLayers(Deep):
    def forward(self, tokens: Tensor, turns: int = 1) -> Tensor:
        h = self.embed(tokens)
        for _ in range(self.turns):
            for block in self.blocks:
                h = block(h)
        return turns * self.head(self.norm(h))


class DataSteps(Deep):
    def __init__(self) -> None:
        super().__init__()
        self.recur = nn.Linear(D, D)

    def forward(self, tokens: Tensor, turns: int = 1) -> Tensor:
        given = self.embed(tokens)
        h, states = torch.zeros_like(given[:, 0]), []
        for step in range(tokens.shape[1]):
            h = self.recur(h) + given[:, step]
            states.append(h)
        return turns * self.head(torch.stack(states, 1))


class UnknownThroughAnotherCall(Deep):
    """The helper's first argument is not the helper."""

    def forward(self, tokens: Tensor, turns: int = TURNS) -> Tensor:
        h = self.embed(tokens)
        h = checkpoint(self.iterated, h, self.turns, use_reentrant=False)
        return turns * self.head(self.norm(h))


class UnknownEarlyEnd(Deep):
    def forward(self, tokens: Tensor, turns: int = TURNS) -> Tensor:
        h = self.embed(tokens)
        for _ in range(turns):
            before, h = h, self.block(h)
            if (h - before).norm() < 1e-3:
                break
        return self.head(self.norm(h))


class UnknownAttribute(Deep):
    """What is kept on the model is written at every call."""

    def forward(self, tokens: Tensor, turns: int = TURNS) -> Tensor:
        self.current = turns
        h = self.embed(tokens)
        for _ in range(self.current):
            h = self.block(h)
        return self.head(self.norm(h))


class UnknownSegments(Deep):
    """Both loops carry the state, and one of them turns as often as it is told."""

    def forward(self, tokens: Tensor, segments: int = 2) -> Tensor:
        h = self.embed(tokens)
        for _ in range(segments):
            h = h.detach()
            for _ in range(self.turns):
                h = self.block(h)
        return self.head(self.norm(h))


class UnknownInsideOfTorch(Deep):
    """The steps of a GRU are no turns of the loop around it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.GRU(D, D, batch_first=True) for _ in range(2))

    def forward(self, tokens: Tensor, layers: int = 2) -> Tensor:
        h = self.embed(tokens)
        for index in range(layers):
            h, _ = self.layers[index](h)
        return self.head(self.norm(h))


class UnknownTensor(Deep):
    """A count that is a tensor of the data is not the caller's choice alone."""

    def forward(self, tokens: Tensor, counts: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(counts):
            h = self.block(h)
        return self.head(self.norm(h))


ANSWERS = {
    ArgumentAroundLayers: "argument",
    ArgumentOrDefault: "argument",
    ArgumentOfHelper: "argument",
    RandomWhileTraining: "random",
    FixedOfHelper: "fixed",
    FixedAroundLayers: "fixed",
    DataSteps: "data",
    UnknownThroughAnotherCall: None,
    UnknownEarlyEnd: None,
    UnknownAttribute: None,
    UnknownSegments: None,
    UnknownInsideOfTorch: None,
    UnknownTensor: None,
}


class SumInBfloat16(Deep):
    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(self.turns):
            x = h.bfloat16()
            h = (x + self.block.mlp(self.norm(h)).bfloat16()).float()
        return self.head(h)


class CastBetweenTurns(Deep):
    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(self.turns):
            h = self.block(h.float()).half()
        return self.head(h.float())


class BranchInBfloat16(Deep):
    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(self.turns):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                h = h + self.block.mlp(self.norm(h))
        return self.head(h)


class AutocastFromTheStart(Deep):
    """The first projection makes it bfloat16, and the sums leave it so."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(D, D)

    def forward(self, tokens: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h = self.project(self.embed(tokens))
            for _ in range(self.turns):
                h = h + self.block.mlp(F.rms_norm(h, (D,)))
            return self.head(h).float()


class NormedBesideALowBranch(Deep):
    """A matrix in bfloat16 hands the length on as well, beside the sum in float32."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(self.turns):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                h = h + self.block.mlp.down(F.gelu(self.block.mlp.up(h)))
        return self.head(h)


DTYPES = {
    SumInBfloat16: "bfloat16",
    CastBetweenTurns: "float16",
    BranchInBfloat16: "float32",
    AutocastFromTheStart: "bfloat16",
    NormedBesideALowBranch: "float32",
}


def counted(model: type[Deep]) -> dict[str, Any]:
    """A target of one of these; the count that is a tensor is handed over."""
    given = target(model())
    if model is not UnknownTensor:
        return given

    def loss(model: nn.Module, tokens: Tensor, counts: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(model(tokens, counts), targets)

    tokens, targets = given["loss_args"]
    counts = torch.tensor(TURNS)
    return {**given, "args": (tokens, counts), "loss": loss, "loss_args": (tokens, counts, targets)}


def _declare(model: type[Deep]) -> None:
    def scaleaudit_target() -> dict[str, Any]:
        return counted(model)

    globals()[f"scaleaudit_target_{model.__name__}"] = scaleaudit_target


for _model in (*ANSWERS, *DTYPES):
    _declare(_model)
