"""What enters a turn besides the state: embeddings of the turn, adapters, the input again."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, Block, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F


class TurnEmbedding(Language):
    """Each turn adds a vector of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = nn.Embedding(TURNS, D)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for turn in range(TURNS):
            h = self.block(h + self.turns.weight[turn])
        return self.head(self.norm(h))


class TurnModulation(Language):
    """Each turn scales and shifts the branch's input, as adaptive norms do."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(TURNS, D))
        self.shift = nn.Parameter(torch.zeros(TURNS, D))
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for turn in range(TURNS):
            y = F.layer_norm(h, (D,)) * (1 + self.scale[turn]) + self.shift[turn]
            h = h + self.mlp(y)
        return self.head(self.norm(h))


class Lora(nn.Module):
    """A shared matrix with a low-rank correction for every turn."""

    def __init__(self, rank: int = 2) -> None:
        super().__init__()
        self.shared = nn.Linear(D, D)
        self.down = nn.ParameterList(torch.randn(D, rank) / D**0.5 for _ in range(TURNS))
        self.up = nn.ParameterList(torch.zeros(rank, D) for _ in range(TURNS))

    def forward(self, x: Tensor, turn: int) -> Tensor:
        return self.shared(x) + x @ self.down[turn] @ self.up[turn]


class Adapters(Language):
    """Relaxed recursive transformer: tied layers, untied low-rank adapters."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Lora(), Lora()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for turn in range(TURNS):
            y = self.first(F.rms_norm(h, (D,)), turn)
            h = h + self.second(F.silu(y), turn)
        return self.head(self.norm(h))


class UntiedNorms(Language):
    """Tied weights with norms of their own a turn."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.RMSNorm(D) for _ in range(TURNS))
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for norm in self.norms:
            h = h + self.mlp(norm(h))
        return self.head(self.norm(h))


class Injected(Language):
    """The embedded input is added at every turn."""

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens)
        h = torch.zeros_like(source)
        for _ in range(TURNS):
            h = self.block(h + source)
        return self.head(self.norm(h))


class InjectedIntoBranch(Language):
    """Only the branch sees the input; the skip carries the state alone."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens)
        h = source
        for _ in range(TURNS):
            h = h + self.mlp(self.norm(h + source))
        return self.head(self.norm(h))


class Concatenated(Language):
    """An adapter maps state and input, side by side, back to the width: a learned linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.adapter = nn.Linear(2 * D, D)

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens)
        h = torch.randn_like(source)
        for _ in range(TURNS):
            h = self.block(self.adapter(torch.cat((h, source), dim=-1)))
        return self.head(self.norm(h))


class ConcatenatedNormed(Concatenated):
    """The same, with a norm on what the adapter says."""

    def __init__(self) -> None:
        super().__init__()
        self.after = nn.RMSNorm(D)

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens)
        h = torch.randn_like(source)
        for _ in range(TURNS):
            x = self.after(self.adapter(torch.cat((h, source), dim=-1)))
            h = self.block(x)
        return self.head(self.norm(h))


class PreludeAndCoda(Language):
    """Untied layers before and after, the input injected between: the usual large design."""

    def __init__(self) -> None:
        super().__init__()
        self.prelude, self.coda = Block(), Block()

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.prelude(self.embed(tokens))
        h = torch.zeros_like(source)
        for _ in range(TURNS):
            h = self.block(h + source)
        return self.head(self.norm(self.coda(h)))


class CodaBetweenNorms(PreludeAndCoda):
    """A norm at the end of every turn makes the same coda harmless."""

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.prelude(self.embed(tokens))
        h = torch.zeros_like(source)
        for _ in range(TURNS):
            h = F.rms_norm(self.block(h + source), (D,))
        return self.head(self.norm(self.coda(h)))


class CrossAttended(Language):
    """Queries from the state, keys and values from the input."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(D, 2, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens)
        h = torch.zeros_like(source)
        for _ in range(TURNS):
            y, _ = self.attention(self.norm(h), source, source, need_weights=False)
            h = h + y
        return self.head(self.norm(h))


EXPECT = {
    "turn_embedding": blind(),
    "turn_modulation": blind(),
    "adapters": blind(),
    "untied_norms": blind(),
    "injected": blind(),
    "injected_into_branch": blind(),
    "concatenated": blind("linear", also="SCL202"),
    "concatenated_normed": safe("removed", "invariant"),
    "prelude_and_coda": blind(visibility="asymptotic"),
    # The coda adds a fixed amount to a state of fixed length: seen, and of no consequence.
    "coda_between_norms": Expect((State("removed", "asymptotic"),)),
    "cross_attended": blind(),
}


def scaleaudit_target_turn_embedding() -> dict[str, Any]:
    return target(TurnEmbedding())


def scaleaudit_target_turn_modulation() -> dict[str, Any]:
    return target(TurnModulation())


def scaleaudit_target_adapters() -> dict[str, Any]:
    return target(Adapters())


def scaleaudit_target_untied_norms() -> dict[str, Any]:
    return target(UntiedNorms())


def scaleaudit_target_injected() -> dict[str, Any]:
    return target(Injected())


def scaleaudit_target_injected_into_branch() -> dict[str, Any]:
    return target(InjectedIntoBranch())


def scaleaudit_target_concatenated() -> dict[str, Any]:
    return target(Concatenated())


def scaleaudit_target_concatenated_normed() -> dict[str, Any]:
    return target(ConcatenatedNormed())


def scaleaudit_target_prelude_and_coda() -> dict[str, Any]:
    return target(PreludeAndCoda())


def scaleaudit_target_coda_between_norms() -> dict[str, Any]:
    return target(CodaBetweenNorms())


def scaleaudit_target_cross_attended() -> dict[str, Any]:
    return target(CrossAttended())
