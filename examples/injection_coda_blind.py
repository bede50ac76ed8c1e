"""A latent reasoner with prelude, looped core, input injection and coda: sight that fades.

The loop adds ``source`` at every turn and hands its latent to a coda, two untied pre-norm layers,
before the last norm. While the latent is short, the coda's writes compete with it and the loss does
feel its length. As it grows they shrink to nothing beside it: the norm of (latent + writes) tends to
the norm of the latent alone, and the radial gradient dies just when it is needed. Input injection
does not help: the same constant is added at every turn and nothing is divided out in between.

The audit finds SCL101 (blind-recurrent-scale) and calls the readout fading (visibility
``asymptotic``), not invariant.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY = 64
WIDTH = 64
HEADS = 4
TURNS = 5
LENGTH = 32


def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-6) -> Tensor:
    """Give every token unit mean square, then a learned gain a channel."""
    return x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + eps) * weight


class Layer(nn.Module):
    """Pre-norm attention and MLP, every token over all tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.g1 = nn.Parameter(torch.ones(WIDTH))
        self.g2 = nn.Parameter(torch.ones(WIDTH))
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.w_in = nn.Linear(WIDTH, 8 * WIDTH, bias=False)
        self.w_out = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def attend(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        # (3, batch, heads, length, WIDTH / heads)
        q, k, v = self.qkv(x).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5
        mixed = torch.softmax(scores, dim=-1) @ v
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(rms_norm(x, self.g1))
        gate, up = self.w_in(rms_norm(x, self.g2)).chunk(2, dim=-1)
        return x + self.w_out(F.silu(gate) * up)


class LatentReasoner(nn.Module):
    """Prelude, a looped core with the input injected at every turn, coda."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.position = nn.Embedding(LENGTH, WIDTH)
        self.prelude = Layer()
        self.core = nn.Sequential(Layer(), Layer())
        self.coda = nn.Sequential(Layer(), Layer())
        self.out_gain = nn.Parameter(torch.ones(WIDTH))
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens: Tensor) -> dict[str, Any]:
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        source = self.prelude(self.embed(tokens) + self.position(positions))
        latent = torch.zeros_like(source)  # (batch, length, WIDTH)
        latents = []
        for _ in range(TURNS):
            latent = self.core(latent + source)
            latents.append(latent)
        decoded = rms_norm(self.coda(latent), self.out_gain)
        return {"logits": self.head(decoded), "latents": latents}


def loss(model: LatentReasoner, tokens: Tensor, targets: Tensor) -> Tensor:
    output = model(tokens)
    logits = output["logits"]  # (batch, length, VOCABULARY)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def scaleaudit_target() -> dict[str, Any]:
    tokens = torch.randint(VOCABULARY, (4, LENGTH))
    return {
        "model": LatentReasoner(),
        "args": (tokens,),
        "loss": loss,
        "loss_args": (tokens, tokens.flip(1)),
    }


def main(steps: int = 20) -> None:
    """Train for a moment on turning sequences round."""
    model = LatentReasoner()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(steps):
        tokens = torch.randint(VOCABULARY, (16, LENGTH))
        objective = loss(model, tokens, tokens.flip(1))
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()
        print(f"step {step:3d}  loss {objective.item():.3f}")


if __name__ == "__main__":
    main()
