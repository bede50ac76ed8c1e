"""Readouts of a random looped model: from a state to scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from looped.draws import Draw
from looped.parts import Mlp, hand_length, hand_rms

SCORES = 7
EPS = 1e-9
"""So small that what it does is no more than rounding beside what saturation does."""


class Decoder(nn.Module):
    """Decodes one state: (batch, length, width) to (batch, length or 1, SCORES)."""

    def __init__(self, draw: Draw) -> None:
        super().__init__()
        self.kind = draw.readout
        self.rms = nn.RMSNorm(draw.width, eps=EPS)
        self.layer = nn.LayerNorm(draw.width, eps=EPS)
        self.head = nn.Linear(draw.width, SCORES)
        self.mlp = Mlp(draw.width, "gelu")
        self.drop = nn.Dropout(0.3 if draw.dropout else 0.0)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        h = self.drop(h)
        match self.kind:
            case "raw":
                return self.head(h)
            case "raw mlp":
                return self.head(self.mlp(h))
            case "soft cap":
                return 5 * torch.tanh(self.head(h) / 5)
            case "tanh":
                return self.head(torch.tanh(h))
            case "coda":
                x = h + self.mlp(self.layer(h))
                return self.head(self.rms(x))
            case "skip":
                return self.head(self.rms(h + e))
            case "cosine":
                return 8 * F.normalize(h, dim=-1) @ F.normalize(self.head.weight, dim=-1).T
            case "pooled then normed":
                return self.head(self.rms(h.mean(dim=1, keepdim=True)))
            case "normed then pooled":
                return self.head(self.rms(h).mean(dim=1, keepdim=True))
            case "raw pooled":
                return self.head(h).mean(dim=1, keepdim=True)
            case "normed mlp":
                return self.head(torch.tanh(self.mlp(self.rms(h))))
        return self.head(self.normed(h))

    def normed(self, h: Tensor) -> Tensor:
        match self.kind:
            case "layer":
                return self.layer(h)
            case "hand rms":
                return hand_rms(h)
            case "hand length":
                return hand_length(h)
            case "clamped length":
                return h / h.pow(2).sum(dim=-1, keepdim=True).sqrt().clamp_min(EPS)
            case "hand layer":
                centred = h - h.mean(dim=-1, keepdim=True)
                return centred / torch.sqrt(h.var(dim=-1, keepdim=True, correction=0) + EPS)
            case "largest":
                return h / h.abs().amax(dim=-1, keepdim=True)
            case "sum of sizes":
                return h / h.abs().sum(dim=-1, keepdim=True)
            case "normalize":
                return F.normalize(h, dim=-1)
            case "whole tensor":
                return h / h.square().mean().sqrt()
            case "square root":
                return h / h.square().mean(dim=-1, keepdim=True).pow(0.25)
        return self.rms(h)
