"""Pieces that the models of the zoo are made of, as small as they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY = 11
D = 16
LENGTH = 8
BATCH = 2
TURNS = 4


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int = D) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x)))


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(D)
        self.mlp = Mlp()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm(x))


class Attention(nn.Module):
    """Causal self-attention with two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(D, 3 * D, bias=False)
        self.out = nn.Linear(D, D, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, -1)).transpose(1, 3).unbind(2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (batch, head, length, D / 2)
        return self.out(y.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Pre-norm transformer layer."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.mlp = Attention(), Mlp()
        self.before, self.between = nn.RMSNorm(D), nn.RMSNorm(D)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.before(x))
        return x + self.mlp(self.between(x))


class PostNormLayer(Layer):
    """The same with its norms after the additions."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x + self.attention(x))
        return self.between(x + self.mlp(x))


class Language(nn.Module):
    """Embedding, block, norm and head; every model of the zoo writes its own forward."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, D)
        self.block = Block()
        self.norm = nn.RMSNorm(D)
        self.head = nn.Linear(D, VOCABULARY)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of (batch, length, VOCABULARY) logits."""
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten())


def next_token(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    """The loss of a model that returns logits."""
    return cross_entropy(model(tokens), targets)


Loss = Callable[..., Tensor]


def target(model: nn.Module, loss: Loss | None = next_token) -> dict[str, Any]:
    """A target with random tokens; without a loss where None is given."""
    tokens = torch.randint(VOCABULARY, (BATCH, LENGTH + 1))
    inputs, answers = tokens[:, :-1], tokens[:, 1:]
    if loss is None:
        return {"model": model, "args": (inputs,)}
    return {"model": model, "args": (inputs,), "loss": loss, "loss_args": (inputs, answers)}
