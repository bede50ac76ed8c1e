"""Norms, branches and gates that the turns and readouts share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
}


def hand_rms(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + 1e-8)


def hand_length(x: Tensor) -> Tensor:
    return x / (x.norm(dim=-1, keepdim=True) + 1e-8)


def functional_layer(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:])


def plain_rms(x: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], eps=1e-8)


class Norm(nn.Module):
    """Any of the norms over the channels, with or without a gain of its own."""

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.call: Callable[[Tensor], Tensor]
        if kind == "rms":
            self.call = nn.RMSNorm(width, eps=1e-6)
        elif kind == "layer":
            self.call = nn.LayerNorm(width)
        else:
            self.call = {
                "plain rms": plain_rms,
                "functional layer": functional_layer,
                "hand rms": hand_rms,
                "hand length": hand_length,
            }[kind]

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x)


class Mlp(nn.Module):
    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.act = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.act(self.up(x)))


class SwiGlu(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, 2 * width, bias=False)
        self.up = nn.Linear(width, 2 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        heads = (z.unflatten(-1, (2, -1)).transpose(1, 2) for z in self.qkv(x).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(*heads, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(-2))


class MaskedAttention(Attention):
    """Attention by hand, with what a token must not see masked by a constant or an infinity."""

    def __init__(self, kind: str, width: int) -> None:
        super().__init__(width)
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        heads = (z.unflatten(-1, (2, -1)).transpose(1, 2) for z in self.qkv(x).chunk(3, dim=-1))
        q, k, v = heads
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        apart = torch.arange(x.shape[1])[:, None] - torch.arange(x.shape[1])
        if self.kind == "prefix masked attention":  # the first two tokens see one another
            hidden = (apart < 0) & (torch.arange(x.shape[1]) >= 2)
            scores = scores.masked_fill(hidden, float("-inf"))
        else:  # a window of three tokens
            scores = scores + torch.where((apart < 0) | (apart > 2), -1e30, 0.0).to(scores.dtype)
        mixed = scores.softmax(dim=-1) @ v
        return self.out(mixed.transpose(1, 2).flatten(-2))


class LowRank(nn.Module):
    """A network that all turns share, and two thin matrices of every turn's own beside it."""

    def __init__(self, width: int, activation: str, turns: int) -> None:
        super().__init__()
        self.shared = Mlp(width, activation)
        self.down = nn.ModuleList(nn.Linear(width, 2, bias=False) for _ in range(turns))
        self.up = nn.ModuleList(nn.Linear(2, width, bias=False) for _ in range(turns))

    def forward(self, x: Tensor, corrected: Tensor, k: int) -> Tensor:
        """Let the shared network work on ``x`` and turn k's own on ``corrected``."""
        return self.shared(x) + self.up[k](self.down[k](corrected))
