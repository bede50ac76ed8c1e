"""Weights used twice, and no loop: copies, towers, and parts shared by layers that are not."""

from __future__ import annotations

import copy
from typing import Any

import torch
from expect import NO_LOOP
from parts import TURNS, Block, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F


class Untied(Language):
    """Six blocks, each with weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(6))

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


class DeepCopies(Untied):
    """Equal weights at the start, copied and not shared."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(copy.deepcopy(self.block) for _ in range(6))


class UntiedBareParameters(Language):
    """One matrix a turn, on the same line."""

    def __init__(self) -> None:
        super().__init__()
        self.ws = nn.ParameterList(torch.randn(D, D) / D**0.5 for _ in range(TURNS))

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for w in self.ws:
            h = h + torch.tanh(F.rms_norm(h, (D,)) @ w)
        return self.head(F.rms_norm(h, (D,)))


class StackedWeights(Language):
    """All turns' matrices in one tensor, sliced a turn: one parameter, and nothing shared."""

    def __init__(self) -> None:
        super().__init__()
        self.stacked = nn.Parameter(torch.randn(TURNS, D, D) / D**0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for turn in range(TURNS):
            h = h + torch.tanh(F.rms_norm(h, (D,)) @ self.stacked[turn])
        return self.head(F.rms_norm(h, (D,)))


class Siamese(Language):
    """Two inputs through one tower; neither feeds the other."""

    def forward(self, tokens: Tensor) -> Tensor:
        left = self.block(self.embed(tokens))
        right = self.block(self.embed(tokens.flip(1)))
        return self.head(self.norm(left * right))


class TiedHead(Untied):
    """The head is the embedding, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.head.weight = self.embed.weight


class SharedNorm(Language):
    """One norm object serves six untied layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Mlp() for _ in range(6))

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for layer in self.layers:
            h = h + layer(self.norm(h))
        return self.head(self.norm(h))


class SharedMatrix(Language):
    """One projection is shared by layers that are otherwise their own."""

    def __init__(self) -> None:
        super().__init__()
        self.ups = nn.ModuleList(nn.Linear(D, D) for _ in range(4))
        self.gates = nn.ModuleList(nn.Linear(D, D) for _ in range(4))
        self.norms = nn.ModuleList(nn.RMSNorm(D) for _ in range(4))
        self.shared = nn.Linear(D, D)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for up, gate, norm in zip(self.ups, self.gates, self.norms, strict=True):
            x = norm(h)
            h = h + self.shared(F.silu(gate(x)) * up(x))
        return self.head(self.norm(h))


class SharedBlock(Language):
    """Zamba: one block comes back between layers that are their own. Partial tying, no loop."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block() for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for layer in self.layers:
            h = self.block(layer(h))
        return self.head(self.norm(h))


EXPECT = {
    "untied": NO_LOOP,
    "deep_copies": NO_LOOP,
    "untied_bare_parameters": NO_LOOP,
    # A parameter is used four times, a different part of it each time. Identity alone says loop.
    "stacked_weights": NO_LOOP,
    "siamese": NO_LOOP,
    "tied_head": NO_LOOP,
    "shared_norm": NO_LOOP,
    "shared_matrix": NO_LOOP,
    "shared_block": NO_LOOP,
}


def scaleaudit_target_untied() -> dict[str, Any]:
    return target(Untied())


def scaleaudit_target_deep_copies() -> dict[str, Any]:
    return target(DeepCopies())


def scaleaudit_target_untied_bare_parameters() -> dict[str, Any]:
    return target(UntiedBareParameters())


def scaleaudit_target_stacked_weights() -> dict[str, Any]:
    return target(StackedWeights())


def scaleaudit_target_siamese() -> dict[str, Any]:
    return target(Siamese())


def scaleaudit_target_tied_head() -> dict[str, Any]:
    return target(TiedHead())


def scaleaudit_target_shared_norm() -> dict[str, Any]:
    return target(SharedNorm())


def scaleaudit_target_shared_matrix() -> dict[str, Any]:
    return target(SharedMatrix())


def scaleaudit_target_shared_block() -> dict[str, Any]:
    return target(SharedBlock())
