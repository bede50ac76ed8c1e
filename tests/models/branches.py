"""What is added beside the skip: branches that read a normed state, or the raw one."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, Block, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F


class Turn(Language):
    """One turn is ``step``, given the state and the embedded input; the readout is normed."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.RMSNorm(D)
        self.mlp = Mlp()
        self.w = nn.Linear(D, D)

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens)
        h = source
        for _ in range(TURNS):
            h = self.step(h, source)
        return self.head(self.norm(h))

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return h + self.write(h)

    def write(self, h: Tensor) -> Tensor:
        return self.mlp(self.inner(h))


class Sandwich(Turn):
    """A norm on either side of the branch; the skip is outside of both."""

    def __init__(self) -> None:
        super().__init__()
        self.after = nn.RMSNorm(D)

    def write(self, h: Tensor) -> Tensor:
        return self.after(self.mlp(self.inner(h)))


class RawMlp(Turn):
    """No norm before the MLP: the branch grows with the state."""

    def write(self, h: Tensor) -> Tensor:
        return self.mlp(h)


class RawMlpRawHead(RawMlp):
    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + self.mlp(h)
        return self.head(h)


class BoundedBranch(Turn):
    def write(self, h: Tensor) -> Tensor:
        return torch.tanh(self.w(h))


class RawExperts(Turn):
    """The router reads a normed copy, the experts the raw state."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(Mlp() for _ in range(3))
        self.router = nn.Linear(D, 3)

    def write(self, h: Tensor) -> Tensor:
        weights = self.router(self.inner(h)).softmax(dim=-1)  # (batch, length, 3)
        outputs = torch.stack([expert(h) for expert in self.experts], dim=-1)
        return (outputs * weights.unsqueeze(-2)).sum(dim=-1)


class NormedQueriesKeys(Turn):
    """QK-norm, with values that read the raw state."""

    def __init__(self) -> None:
        super().__init__()
        self.q = nn.Linear(D, D, bias=False)
        self.k = nn.Linear(D, D, bias=False)
        self.v = nn.Linear(D, D, bias=False)

    def write(self, h: Tensor) -> Tensor:
        q, k = F.normalize(self.q(h), dim=-1), F.normalize(self.k(h), dim=-1)
        return F.scaled_dot_product_attention(10 * q, k, self.v(h), is_causal=True)


class RawAttention(NormedQueriesKeys):
    def write(self, h: Tensor) -> Tensor:
        scores = self.q(h) @ self.k(h).transpose(-1, -2) / D**0.5
        return scores.softmax(dim=-1) @ self.v(h)


class PreNormLayer(Turn):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            D, 2, 2 * D, dropout=0.0, batch_first=True, norm_first=True
        )

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return self.layer(h)


class PostNormLayer(PreNormLayer):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(D, 2, 2 * D, dropout=0.0, batch_first=True)


class ReZero(Turn):
    """A free factor on the branch that starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(()))

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return h + self.a * self.write(h)


class ZeroProjection(Turn):
    """The last projection of the branch starts at zero: nothing grows at initialisation."""

    def __init__(self) -> None:
        super().__init__()
        nn.init.zeros_(self.mlp.down.weight)
        nn.init.zeros_(self.mlp.down.bias)


class Resumed(Turn):
    """A norm halves nothing here: two blocks in a row, the same skip."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Block(), Block()

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return self.second(self.first(h))


EXPECT = {
    "pre_norm": blind(),
    "sandwich": blind(),
    "raw_mlp": blind("expanding", also="SCL201"),
    "raw_mlp_raw_head": Expect((State("expanding", "visible"),), "SCL201"),
    "bounded_branch": blind(),
    "raw_experts": blind("expanding", also="SCL201"),
    "normed_queries_keys": blind("expanding", also="SCL201"),
    "raw_attention": blind("expanding", also="SCL201"),
    "pre_norm_layer": blind(),
    # Attention that reads the raw state saturates, so the norm's input is not homogeneous: its
    # output is bounded, and its length forgotten all the same.
    "post_norm_layer": safe("removed|bounded", "invariant"),
    "re_zero": blind(),
    "zero_projection": blind(),
    "resumed": blind(),
}


def scaleaudit_target_pre_norm() -> dict[str, Any]:
    return target(Turn())


def scaleaudit_target_sandwich() -> dict[str, Any]:
    return target(Sandwich())


def scaleaudit_target_raw_mlp() -> dict[str, Any]:
    return target(RawMlp())


def scaleaudit_target_raw_mlp_raw_head() -> dict[str, Any]:
    return target(RawMlpRawHead())


def scaleaudit_target_bounded_branch() -> dict[str, Any]:
    return target(BoundedBranch())


def scaleaudit_target_raw_experts() -> dict[str, Any]:
    return target(RawExperts())


def scaleaudit_target_normed_queries_keys() -> dict[str, Any]:
    return target(NormedQueriesKeys())


def scaleaudit_target_raw_attention() -> dict[str, Any]:
    return target(RawAttention())


def scaleaudit_target_pre_norm_layer() -> dict[str, Any]:
    return target(PreNormLayer())


def scaleaudit_target_post_norm_layer() -> dict[str, Any]:
    return target(PostNormLayer())


def scaleaudit_target_re_zero() -> dict[str, Any]:
    return target(ReZero())


def scaleaudit_target_zero_projection() -> dict[str, Any]:
    return target(ZeroProjection())


def scaleaudit_target_resumed() -> dict[str, Any]:
    return target(Resumed())
