"""Residual streams side by side: hyper-connections, static, dynamic and kept on a manifold."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, Attention, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F

STREAMS = 3
ROUNDS = 4


class HyperConnection(nn.Module):
    """A branch around streams: reads a mix of them, mixes them, writes to all, weights learned."""

    def __init__(self, branch: nn.Module, index: int) -> None:
        super().__init__()
        self.branch, self.norm = branch, nn.RMSNorm(D)
        read = torch.zeros(STREAMS)
        read[index % STREAMS] = 1.0
        self.read = nn.Parameter(read)
        self.mix = nn.Parameter(torch.eye(STREAMS))
        self.write = nn.Parameter(torch.ones(STREAMS))

    def forward(self, h: Tensor) -> Tensor:
        read, mix, write = self.weights(h)
        x = (read.unsqueeze(-1) * h).sum(dim=-2)  # (batch, length, D)
        y = self.branch(self.norm(x))
        return self.mixed(mix, h) + write.unsqueeze(-1) * y.unsqueeze(-2)

    def weights(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What to read, how to mix, where to write."""
        return self.read, self.mix, self.write

    def mixed(self, mix: Tensor, h: Tensor) -> Tensor:
        return mix @ h


class Dynamic(HyperConnection):
    """The weights are corrected, within bounds, by what the streams say; at first by nothing."""

    def __init__(self, branch: nn.Module, index: int) -> None:
        super().__init__(branch, index)
        self.stream_norm = nn.LayerNorm(D)
        self.to_mix = nn.Parameter(torch.zeros(D, STREAMS))
        self.to_write = nn.Parameter(torch.zeros(D))
        self.scale = nn.Parameter(torch.full((2,), 0.01))

    def weights(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        normed = self.stream_norm(h)
        mix = self.mix + self.scale[0] * torch.tanh(normed @ self.to_mix)
        write = self.write + self.scale[1] * torch.tanh(normed @ self.to_write)
        return self.read, mix, write


class Manifold(HyperConnection):
    """The mix is doubly stochastic: it moves length between streams and adds none."""

    def __init__(self, branch: nn.Module, index: int) -> None:
        super().__init__(branch, index)
        self.mix = nn.Parameter(4 * torch.eye(STREAMS))

    def weights(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        read, write = torch.sigmoid(self.read), 2 * torch.sigmoid(self.write)
        return read, sinkhorn(self.logits(h)), write

    def logits(self, h: Tensor) -> Tensor:
        return self.mix


class DynamicManifold(Manifold):
    """The same, the logits of the mix corrected by what the streams say."""

    def __init__(self, branch: nn.Module, index: int) -> None:
        super().__init__(branch, index)
        self.alpha = nn.Parameter(torch.tensor(0.01))
        self.project = nn.Linear(STREAMS * D, STREAMS * STREAMS, bias=False)

    def logits(self, h: Tensor) -> Tensor:
        flat = F.rms_norm(h.flatten(-2), (STREAMS * D,))
        return self.mix + self.alpha * self.project(flat).unflatten(-1, (STREAMS, STREAMS))


def sinkhorn(logits: Tensor) -> Tensor:
    """Rows and columns that add up to 1, in turns; rows come last."""
    mix = (logits - logits.amax((-2, -1), keepdim=True)).exp()
    for _ in range(ROUNDS):
        mix = mix / mix.sum(dim=-2, keepdim=True)
        mix = mix / mix.sum(dim=-1, keepdim=True)
    return mix


class Streams(Language):
    """A looped layer of attention and network, each with connections of its own."""

    def __init__(
        self, connection: type[HyperConnection], *, final: bool = True, between: bool = False
    ) -> None:
        super().__init__()
        self.attention, self.network = connection(Attention(), 0), connection(Mlp(), 1)
        self.final = nn.RMSNorm(D) if final else nn.Identity()
        self.between = nn.RMSNorm(D) if between else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens).unsqueeze(-2).repeat(1, 1, STREAMS, 1)
        for _ in range(TURNS):
            h = self.between(self.network(self.attention(h)))
        return self.head(self.final(h.sum(dim=-2)))


EXPECT = {
    "static": blind("linear", also="SCL202"),
    "static_raw_head": Expect((State("linear", "visible"),), "SCL202"),
    "static_between": safe("removed", "invariant"),
    "dynamic": blind("linear", also="SCL202"),
    "manifold": blind(),
    "manifold_raw_head": safe("carried", "visible"),
    "dynamic_manifold": blind(),
}


def scaleaudit_target_static() -> dict[str, Any]:
    return target(Streams(HyperConnection))


def scaleaudit_target_static_raw_head() -> dict[str, Any]:
    return target(Streams(HyperConnection, final=False))


def scaleaudit_target_static_between() -> dict[str, Any]:
    return target(Streams(HyperConnection, between=True))


def scaleaudit_target_dynamic() -> dict[str, Any]:
    return target(Streams(Dynamic))


def scaleaudit_target_manifold() -> dict[str, Any]:
    return target(Streams(Manifold))


def scaleaudit_target_manifold_raw_head() -> dict[str, Any]:
    return target(Streams(Manifold, final=False))


def scaleaudit_target_dynamic_manifold() -> dict[str, Any]:
    return target(Streams(DynamicManifold))
