from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from .layers import PreNormBlock, RMSNorm, rotary


@dataclass
class RecurrentDepthConfig:
    vocab: int = 128
    dim: int = 64
    heads: int = 4
    block_size: int = 64
    n_prelude: int = 1
    n_core: int = 2
    n_coda: int = 2
    mean_recurrence: int = 5
    state_std: float = 0.4

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads


class RecurrentDepthLM(nn.Module):
    """Tokens go through the prelude once, through the core many times, through the coda once."""

    def __init__(self, config: RecurrentDepthConfig | None = None):
        super().__init__()
        self.config = config = config or RecurrentDepthConfig()
        self.wte = nn.Embedding(config.vocab, config.dim)
        self.prelude = nn.ModuleList(PreNormBlock(config.dim, config.heads) for _ in range(config.n_prelude))
        self.core = nn.ModuleList(PreNormBlock(config.dim, config.heads) for _ in range(config.n_core))
        self.coda = nn.ModuleList(PreNormBlock(config.dim, config.heads) for _ in range(config.n_coda))
        self.ln_f = RMSNorm(config.dim)
        self.lm_head = nn.Linear(config.dim, config.vocab, bias=False)
        self.register_buffer("freqs_cis", rotary(config.block_size, config.head_dim), persistent=False)
        self.apply(self._init)

    @staticmethod
    def _init(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)

    def initialize_state(self, like: torch.Tensor) -> torch.Tensor:
        state = torch.randn_like(like)
        return self.config.state_std * state

    def iterate(self, embeds: torch.Tensor, freqs: torch.Tensor, num_steps: int) -> torch.Tensor:
        s = self.initialize_state(embeds)
        for _ in range(num_steps):
            s = s + embeds
            for block in self.core:
                s = block(s, freqs)
        return s

    def forward(
        self,
        input_ids: torch.Tensor,
        labels: torch.Tensor | None = None,
        num_steps: int | None = None,
    ) -> dict[str, torch.Tensor | None]:
        freqs = self.freqs_cis[: input_ids.shape[1]]
        x = self.wte(input_ids)
        for block in self.prelude:
            x = block(x, freqs)
        x = self.iterate(x, freqs, num_steps or self.config.mean_recurrence)
        for block in self.coda:
            x = block(x, freqs)
        logits = self.lm_head(self.ln_f(x)).float()
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), labels.view(-1), ignore_index=-100)
        return {"loss": loss, "logits": logits}
