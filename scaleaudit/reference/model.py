"""A looped decoder: causal pre-norm blocks, run K times over one state, logits at every turn.

References:
    Sharma and Vu, "Dense Supervision Is Not Enough: The Readout Blind Spot in Looped Language
    Models", arXiv 2606.24898.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scaleaudit.reference.config import Readout, ReferenceConfig, Size


@dataclass(frozen=True, slots=True)
class LoopedOutput:
    """What one forward pass leaves: the state after every turn, and the logits read from it."""

    states: tuple[Tensor, ...]  # K of (batch, tokens, dim)
    logits: tuple[Tensor, ...]  # K of (batch, tokens, vocabulary)


class CausalAttention(nn.Module):
    """Multi-head self-attention without biases; every token sees itself and the past."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim {dim} does not divide into {heads} heads")
        self.heads = heads
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the tokens of x, (batch, tokens, dim)."""
        batch, tokens, dim = x.shape
        q, k, v = (
            part.view(batch, tokens, self.heads, dim // self.heads).transpose(1, 2)
            for part in self.to_qkv(x).split(dim, dim=-1)
        )  # each (batch, heads, tokens, dim / heads)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        joined = mixed.transpose(1, 2).reshape(batch, tokens, dim)
        out: Tensor = self.to_out(joined)
        return out


class SwiGLU(nn.Module):
    """A gated feed-forward layer without biases: down(silu(gate(x)) * up(x))."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, hidden, bias=False)
        self.up = nn.Linear(dim, hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transform every token of x, (batch, tokens, dim), by itself."""
        out: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return out


class Block(nn.Module):
    """Pre-norm residual block: what it writes sees a normed state, the state itself passes by."""

    def __init__(self, size: Size, eps: float) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(size.dim, eps=eps)
        self.attention = CausalAttention(size.dim, size.heads)
        self.feed_forward_norm = nn.RMSNorm(size.dim, eps=eps)
        self.feed_forward = SwiGLU(size.dim, size.hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Add attention, then the feed-forward layer, to x, (batch, tokens, dim)."""
        x = x + self.attention(self.attention_norm(x))
        out: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return out


class LoopedDecoder(nn.Module):
    """All blocks in turn, K times over; the head is the token embedding, transposed.

    Notes:
        Embeddings start at N(0, 1), torch's default, as in the paper's code.
    """

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        size, condition = config.size, config.condition
        self.config = config
        self.token_embedding = nn.Embedding(size.vocabulary, size.dim)
        self.position_embedding = nn.Embedding(size.context, size.dim)
        self.blocks = nn.ModuleList(Block(size, config.eps) for _ in range(size.layers))
        self.loop_norm = (
            nn.RMSNorm(size.dim, eps=config.eps) if condition.norm_between else nn.Identity()
        )
        self.readout_norm = (
            nn.Identity()
            if condition.readout is Readout.RAW
            else nn.RMSNorm(size.dim, eps=config.eps)
        )

    def forward(self, tokens: Tensor) -> LoopedOutput:
        """Run the loop over tokens, (batch, tokens) of int64, at most ``context`` long."""
        h = self.embed(tokens)
        states, logits = [], []
        for turn in range(1, self.config.turns + 1):
            h = self.turn(h)
            states.append(h)
            logits.append(self.read(h, last=turn == self.config.turns))
        return LoopedOutput(states=tuple(states), logits=tuple(logits))

    def embed(self, tokens: Tensor) -> Tensor:
        """Make the initial state, (batch, tokens, dim), of tokens, (batch, tokens)."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        out: Tensor = self.token_embedding(tokens) + self.position_embedding(positions)
        return out

    def turn(self, h: Tensor) -> Tensor:
        """Run all blocks once over a state, (batch, tokens, dim)."""
        for block in self.blocks:
            h = block(h)
        out: Tensor = self.loop_norm(h)
        return out

    def read(self, h: Tensor, *, last: bool) -> Tensor:
        """Decode a state, (batch, tokens, dim), into logits, (batch, tokens, vocabulary)."""
        if last or self.config.condition.readout is not Readout.FINAL_NORM:
            h = self.readout_norm(h)
        return F.linear(h, self.token_embedding.weight)
