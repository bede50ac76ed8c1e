"""Blocks that look pre-norm: part of what the branch reads has seen no norm."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind
from parts import TURNS, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 2
EXPERTS = 3


class LookAlike(Language):
    """A turn adds a branch to the state; what the branch reads is the question."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + self.branch(h)
        return self.head(self.readout(h))

    def readout(self, h: Tensor) -> Tensor:
        return self.norm(h)

    def branch(self, h: Tensor) -> Tensor:
        raise NotImplementedError


class QueryKeyNorm(LookAlike):
    """RMSNorm on queries and keys per head, as in OLMo 2 and Qwen 3, and no norm before."""

    def __init__(self) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(D, 3 * D, bias=False)
        self.to_out = nn.Linear(D, D, bias=False)
        self.q_norm, self.k_norm = nn.RMSNorm(D // HEADS), nn.RMSNorm(D // HEADS)

    def before(self, h: Tensor) -> Tensor:
        return h

    def branch(self, h: Tensor) -> Tensor:
        q, k, v = self.to_qkv(self.before(h)).chunk(3, dim=-1)
        q, k, v = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (q, k, v))
        y = F.scaled_dot_product_attention(self.q_norm(q), self.k_norm(k), v, is_causal=True)
        return self.to_out(y.transpose(1, 2).flatten(2))


class QueryKeyNormBelowNorm(QueryKeyNorm):
    """The same below a norm, as Qwen 3 has it."""

    def before(self, h: Tensor) -> Tensor:
        return F.rms_norm(h, (D,))


class QueryKeyNormThenNorm(QueryKeyNorm):
    """The same with a norm on what the branch writes, as OLMo 2 has it."""

    def branch(self, h: Tensor) -> Tensor:
        return F.rms_norm(super().branch(h), (D,))


class RoutedExperts(LookAlike):
    """Top-two experts; the router is normed, the experts are given the raw tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(D, EXPERTS, bias=False)
        self.experts = nn.ModuleList(Mlp() for _ in range(EXPERTS))
        self.router_norm = nn.LayerNorm(D)

    def given(self, h: Tensor) -> Tensor:
        return h

    def branch(self, h: Tensor) -> Tensor:
        scores = self.router(self.router_norm(h)).softmax(dim=-1)
        weights, chosen = scores.topk(2, dim=-1)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        x, out = self.given(h), torch.zeros_like(h)
        for index, expert in enumerate(self.experts):
            share = (weights * (chosen == index)).sum(dim=-1, keepdim=True)
            out = out + share * expert(x)
        return out


class NormedExperts(RoutedExperts):
    def given(self, h: Tensor) -> Tensor:
        return self.router_norm(h)


class GatedUnit(LookAlike):
    """SwiGLU whose gate is normed and whose other half is raw."""

    def __init__(self) -> None:
        super().__init__()
        self.to_gate = nn.Linear(D, 2 * D, bias=False)
        self.to_up = nn.Linear(D, 2 * D, bias=False)
        self.down = nn.Linear(2 * D, D, bias=False)
        self.pre = nn.RMSNorm(D)

    def branch(self, h: Tensor) -> Tensor:
        return self.down(F.silu(self.to_gate(self.pre(h))) * self.to_up(h))


class RawGate(GatedUnit):
    """The other way round: what is gated is normed, the gate is not and does not saturate."""

    def branch(self, h: Tensor) -> Tensor:
        return self.down(F.silu(self.to_gate(h)) * self.to_up(self.pre(h)))


class RawSigmoidGate(GatedUnit):
    """A gate that saturates may read the raw state: the branch stays bounded."""

    def branch(self, h: Tensor) -> Tensor:
        return self.down(torch.sigmoid(self.to_gate(h)) * self.to_up(self.pre(h)))


class Bilinear(GatedUnit):
    """Both halves raw: the branch grows with the square of the state."""

    def branch(self, h: Tensor) -> Tensor:
        return self.down(self.to_gate(h) * self.to_up(h))


class NormedUnit(GatedUnit):
    def branch(self, h: Tensor) -> Tensor:
        x = self.pre(h)
        return self.down(F.silu(self.to_gate(x)) * self.to_up(x))


class Parallel(LookAlike):
    """Attention below a norm beside an MLP that was forgotten there."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = QueryKeyNormBelowNorm()
        self.mlp = Mlp()

    def branch(self, h: Tensor) -> Tensor:
        return self.attention.branch(h) + self.mlp(h)


class NormKeptForReadout(LookAlike):
    """The block has a norm and applies it to what it returns for the head alone."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()
        self.pre = nn.LayerNorm(D)

    def branch(self, h: Tensor) -> Tensor:
        self.pre(h)
        return self.mlp(h)


class RawQueryKeyNorm(QueryKeyNorm):
    def readout(self, h: Tensor) -> Tensor:
        return h


EXPANDING = blind("expanding", also="SCL201")

EXPECT = {
    "query_key_norm": EXPANDING,
    "query_key_norm_raw_head": Expect((State("expanding", "visible"),), "SCL201"),
    "query_key_norm_below_norm": blind(),
    "query_key_norm_then_norm": blind(),
    "routed_raw_experts": EXPANDING,
    "routed_normed_experts": blind(),
    "gated_unit_raw_half": EXPANDING,
    "gated_unit_raw_gate": EXPANDING,
    "gated_unit_raw_sigmoid": blind(),
    "bilinear_unit": EXPANDING,
    "gated_unit_normed": blind(),
    "parallel_raw_mlp": EXPANDING,
    "norm_kept_for_nothing": EXPANDING,
}


def scaleaudit_target_query_key_norm() -> dict[str, Any]:
    return target(QueryKeyNorm())


def scaleaudit_target_query_key_norm_raw_head() -> dict[str, Any]:
    return target(RawQueryKeyNorm())


def scaleaudit_target_query_key_norm_below_norm() -> dict[str, Any]:
    return target(QueryKeyNormBelowNorm())


def scaleaudit_target_query_key_norm_then_norm() -> dict[str, Any]:
    return target(QueryKeyNormThenNorm())


def scaleaudit_target_routed_raw_experts() -> dict[str, Any]:
    return target(RoutedExperts())


def scaleaudit_target_routed_normed_experts() -> dict[str, Any]:
    return target(NormedExperts())


def scaleaudit_target_gated_unit_raw_half() -> dict[str, Any]:
    return target(GatedUnit())


def scaleaudit_target_gated_unit_raw_gate() -> dict[str, Any]:
    return target(RawGate())


def scaleaudit_target_gated_unit_raw_sigmoid() -> dict[str, Any]:
    return target(RawSigmoidGate())


def scaleaudit_target_bilinear_unit() -> dict[str, Any]:
    return target(Bilinear())


def scaleaudit_target_gated_unit_normed() -> dict[str, Any]:
    return target(NormedUnit())


def scaleaudit_target_parallel_raw_mlp() -> dict[str, Any]:
    return target(Parallel())


def scaleaudit_target_norm_kept_for_nothing() -> dict[str, Any]:
    return target(NormKeptForReadout())
