"""Mixture-of-Recursions: a shared block is applied again to the tokens that a router picks.

Expert-choice routing with a shrinking budget: all tokens take the first step, two thirds of them
the second, one third the third.
"""
from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class MoRConfig:
    vocab_size: int = 150
    hidden_size: int = 64
    num_heads: int = 4
    num_recursion: int = 3
    layers_per_recursion: int = 1
    capacity: list[float] = field(default_factory=lambda: [1.0, 0.67, 0.34])
    alpha: float = 0.1
    max_seq_len: int = 128

    def __post_init__(self) -> None:
        if len(self.capacity) != self.num_recursion:
            warnings.warn("capacity does not fit num_recursion", stacklevel=2)
            self.capacity = [1.0] * self.num_recursion


class SelfAttention(nn.Module):
    def __init__(self, config: MoRConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.q = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.kv = nn.Linear(config.hidden_size, 2 * config.hidden_size, bias=False)
        self.o = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        b, s, d = x.shape
        q = self.q(x).view(b, s, self.num_heads, -1).transpose(1, 2)
        k, v = self.kv(x).view(b, s, 2, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        # a picked token sees picked tokens at or before its own position
        mask = positions[:, None, :, None] >= positions[:, None, None, :]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.o(y.transpose(1, 2).reshape(b, s, d))


class DecoderLayer(nn.Module):
    def __init__(self, config: MoRConfig) -> None:
        super().__init__()
        self.ln1 = nn.RMSNorm(config.hidden_size)
        self.attn = SelfAttention(config)
        self.ln2 = nn.RMSNorm(config.hidden_size)
        self.mlp = nn.Sequential(
            nn.Linear(config.hidden_size, 4 * config.hidden_size),
            nn.SiLU(),
            nn.Linear(4 * config.hidden_size, config.hidden_size),
        )

    def forward(self, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln1(x), positions)
        return x + self.mlp(self.ln2(x))


class ExpertChoiceRouter(nn.Module):
    def __init__(self, config: MoRConfig) -> None:
        super().__init__()
        self.alpha = config.alpha
        self.norm = nn.RMSNorm(config.hidden_size)
        self.weight = nn.Linear(config.hidden_size, 1, bias=False)

    def forward(self, h: torch.Tensor, capacity: float) -> tuple[torch.Tensor, torch.Tensor]:
        k = max(1, int(capacity * h.shape[1]))
        scores = self.alpha * torch.sigmoid(self.weight(self.norm(h))).squeeze(-1)
        values, picked = torch.topk(scores, k, dim=1, sorted=False)
        picked, order = picked.sort(dim=1)
        return values.gather(1, order), picked


class MoRForCausalLM(nn.Module):
    def __init__(self, config: MoRConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.pos = nn.Embedding(config.max_seq_len, config.hidden_size)
        self.layers = nn.ModuleList([DecoderLayer(config) for _ in range(config.layers_per_recursion)])
        self.routers = nn.ModuleList([ExpertChoiceRouter(config) for _ in range(config.num_recursion)])
        self.norm = nn.RMSNorm(config.hidden_size)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def recurse(self, h: torch.Tensor, step: int) -> torch.Tensor:
        gate, picked = self.routers[step](h, self.config.capacity[step])
        index = picked.unsqueeze(-1).expand(-1, -1, h.shape[-1])
        selected = torch.gather(h, 1, index)
        out = selected
        for layer in self.layers:
            out = layer(out, picked)
        # only what the layers wrote goes back, weighted by the router
        return torch.scatter_add(h, 1, index, (out - selected) * gate.unsqueeze(-1))

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None):
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        h = self.embed(input_ids) + self.pos(positions)
        for step in range(self.config.num_recursion):
            h = self.recurse(h, step)
        logits = self.lm_head(self.norm(h))
        if labels is None:
            return {"logits": logits}
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return {"logits": logits, "loss": loss}

    @torch.no_grad()
    def generate(self, input_ids: torch.Tensor, max_new_tokens: int = 8) -> torch.Tensor:
        for _ in range(max_new_tokens):
            logits = self(input_ids[:, -self.config.max_seq_len :])["logits"][:, -1]
            input_ids = torch.cat([input_ids, logits.argmax(-1, keepdim=True)], dim=1)
        return input_ids


if os.environ.get("MOR_DEBUG"):
    print(MoRForCausalLM(MoRConfig()))
