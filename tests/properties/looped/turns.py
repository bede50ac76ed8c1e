"""One turn of a random loop."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from looped.draws import Draw
from looped.experts import Mixture
from looped.parts import Attention, LowRank, MaskedAttention, Mlp, Norm, SwiGlu

CELLS = {
    "gru": lambda width: nn.GRUCell(width, width),
    "rnn tanh": lambda width: nn.RNNCell(width, width),
    "rnn relu": lambda width: nn.RNNCell(width, width, nonlinearity="relu"),
}
MIXES = ("convex", "towards", "lerp")


class Turn(nn.Module):
    """What every turn does, with the same weights; ``write=False`` leaves its writes out."""

    def __init__(self, draw: Draw) -> None:
        super().__init__()
        self.draw = draw
        width = draw.width
        self.before = Norm(draw.norm, width)
        self.between = Norm(draw.norm, width)
        self.after_branch = nn.RMSNorm(width, eps=1e-6)
        self.gate = nn.Linear(width, width)
        self.level = nn.Parameter(torch.randn(width))
        self.gain = nn.Parameter(torch.randn(width if draw.keep == "free channels" else ()))
        self.adapter = nn.Linear(2 * width, width)
        self.steps = nn.Embedding(draw.turns, width)
        self.drop = nn.Dropout(0.3 if draw.dropout else 0.0)
        self.candidate = nn.Linear(width, width)
        if draw.combine in CELLS:
            self.cell = CELLS[draw.combine](width)
        self.branch = self._branch()

    def _branch(self) -> nn.Module:
        width = self.draw.width
        if self.draw.write.endswith("experts"):
            return Mixture(self.draw.write, width, self.draw.activation)
        if self.draw.write.endswith("low rank"):
            return LowRank(width, self.draw.activation, self.draw.turns)
        if "masked" in self.draw.write:
            return MaskedAttention(self.draw.write, width)
        if self.draw.write.endswith("attention"):
            return Attention(width)
        if self.draw.write.endswith("swiglu"):
            return SwiGlu(width)
        return Mlp(width, self.draw.activation)

    def forward(self, h: Tensor, e: Tensor, k: int, *, write: bool = True) -> Tensor:
        h = self.combined(self.entered(h, e, k), e, k, write=write)
        if self.draw.after == "scaled":
            h = h / 2**0.5
        if self.normed_after(k):
            h = self.between(h)
        return h

    def normed_after(self, k: int) -> bool:
        return self.draw.after == "norm between" or (
            self.draw.after == "norm every second" and k % 2 == 1
        )

    def entered(self, h: Tensor, e: Tensor, k: int) -> Tensor:
        if self.draw.after == "norm before the first" and k == 0:
            h = self.between(h)
        match self.draw.inject:
            case "add":
                return h + e
            case "adapter":
                return self.adapter(torch.cat([h, e], dim=-1))
            case "step embedding":
                return h + self.steps.weight[k]
        return h

    def combined(self, h: Tensor, e: Tensor, k: int, *, write: bool) -> Tensor:
        if self.draw.combine in ("linear", "relu", *CELLS):
            return self.mapped(h, e) if write else self.kept_by_map(h, e)
        w = self.written(h, e, k) if write else torch.zeros_like(h)
        match self.draw.combine:
            case "convex":
                z = self.gated(h, e)
                return z * h + (1 - z) * w
            case "towards":
                return h + self.gated(h, e) * (w - h)
            case "lerp":
                return torch.lerp(h, w, self.gated(h, e).expand_as(h))
        return self.kept(h, e) + w

    def mapped(self, h: Tensor, e: Tensor) -> Tensor:
        if self.draw.combine == "linear":
            return self.candidate(h) + e
        if self.draw.combine == "relu":
            return F.relu(self.candidate(h) + e)
        flat = self.cell(e.flatten(0, 1), h.flatten(0, 1))
        return flat.unflatten(0, h.shape[:2])

    def kept_by_map(self, h: Tensor, e: Tensor) -> Tensor:
        """What a map keeps of the state as it is: a GRU's share of it, else nothing."""
        if self.draw.combine != "gru":
            return torch.zeros_like(h)
        cell = self.cell
        scores = F.linear(e, cell.weight_ih, cell.bias_ih) + F.linear(
            h, cell.weight_hh, cell.bias_hh
        )
        return torch.sigmoid(scores.chunk(3, dim=-1)[1]) * h

    def kept(self, h: Tensor, e: Tensor) -> Tensor:
        match self.draw.keep:
            case "double":
                return 2 * h
            case "half":
                return 0.5 * h
            case "free" | "free channels":
                return self.gain * h
            case "above one":
                return (1 + torch.sigmoid(self.level)) * h
            case "nothing":
                return torch.zeros_like(h)
            case "gated":
                return self.gated(h, e) * h
        return h

    def gated(self, h: Tensor, e: Tensor) -> Tensor:
        match self.draw.gate:
            case "raw":
                return torch.sigmoid(self.gate(h))
            case "normed":
                return torch.sigmoid(self.gate(self.before(h)))
            case "parameter":
                return torch.sigmoid(self.level)
            case "exp softplus":
                return torch.exp(-F.softplus(self.level))
            case "raw exp softplus":
                return torch.exp(-F.softplus(self.gate(h)))
        return torch.sigmoid(self.gate(e))

    def written(self, h: Tensor, e: Tensor, k: int) -> Tensor:
        x = h + e if self.draw.inject == "into the write" else h
        match self.draw.write:
            case "raw mlp" | "raw swiglu" | "raw attention" | "raw masked attention":
                w = self.branch(x)
            case "soft experts" | "scattered experts" | "dispatched experts":
                normed = self.before(x)
                w = self.branch(normed, normed)
            case "soft raw experts" | "scattered raw experts" | "dispatched raw experts":
                w = self.branch(x, self.before(x))
            case "soft raw routed experts" | "dispatched raw routed experts":
                w = self.branch(self.before(x), x)
            case "low rank":
                normed = self.before(x)
                w = self.branch(normed, normed, k)
            case "raw low rank":
                w = self.branch(self.before(x), x, k)
            case "sandwich":
                w = self.after_branch(self.branch(self.before(x)))
            case "unit":
                w = self.between(self.branch(self.before(x)))
            case "tanh":
                w = torch.tanh(self.candidate(x) + e)
            case _:
                w = self.branch(self.before(x))
        return self.drop(w) if self.draw.write != "tanh" else w
