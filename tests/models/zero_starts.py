"""Projections and gains that start at zero: nothing grows at first, and everything may later."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, Attention, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F


class ZeroStart(Language):
    """A turn that begins as the identity."""

    def forward(self, tokens: Tensor) -> Tensor:
        source = h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.step(h, source)
        return self.head(self.readout(h))

    def readout(self, h: Tensor) -> Tensor:
        return self.norm(h)

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        raise NotImplementedError


class ZeroOutput(ZeroStart):
    """The last projection of every branch is filled with zeros, as in modded-nanogpt."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.mlp = Attention(), Mlp()
        nn.init.zeros_(self.attention.out.weight)
        nn.init.zeros_(self.mlp.down.weight)
        nn.init.zeros_(self.mlp.down.bias)

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        h = h + self.attention(F.rms_norm(h, (D,)))
        return h + self.mlp(F.rms_norm(h, (D,)))


class ZeroOutputRaw(ZeroOutput):
    """The same without norms: at the start it is the identity all the same."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        h = h + self.attention(h)
        return h + self.mlp(h)


class ZeroOutputRawHead(ZeroOutput):
    def readout(self, h: Tensor) -> Tensor:
        return h


class ReZero(ZeroStart):
    """x + alpha f(x) with alpha at zero, and no norm anywhere in the body."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()
        self.alpha = nn.Parameter(torch.zeros(1))

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return h + self.alpha * self.mlp(h)


class ReZeroNormed(ReZero):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return h + self.alpha * self.mlp(F.layer_norm(h, (D,)))


class LayerScale(ReZero):
    """A gain for every channel, small at first, as in CaiT."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(1e-5 * torch.ones(D))

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return h + self.gamma * self.mlp(F.layer_norm(h, (D,)))


class SkipInit(ReZero):
    """A gain on the skip that starts at one, beside a branch that starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(1))

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return self.beta * h + self.alpha * self.mlp(F.layer_norm(h, (D,)))


class Tanh(ReZero):
    """Flamingo's gate: tanh of a parameter that starts at zero."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return h + torch.tanh(self.alpha) * self.mlp(F.layer_norm(h, (D,)))


class AdaptiveZero(ZeroStart):
    """DiT's adaLN-Zero: shift, scale and gate from the input, by a projection that starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.mlp = Attention(), Mlp()
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(D, 6 * D))
        nn.init.zeros_(self.modulation[-1].weight)
        nn.init.zeros_(self.modulation[-1].bias)
        self.plain = nn.LayerNorm(D, elementwise_affine=False)

    def condition(self, h: Tensor, source: Tensor) -> Tensor:
        return source.mean(dim=1, keepdim=True)

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        c = self.modulation(self.condition(h, source))
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = c.chunk(6, dim=-1)
        h = h + gate_a * self.attention(modulated(self.plain(h), shift_a, scale_a))
        return h + gate_m * self.mlp(modulated(self.plain(h), shift_m, scale_m))


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale) + shift


class AdaptiveZeroOfState(AdaptiveZero):
    """The condition is a mean of the raw state: the gates grow with it."""

    def condition(self, h: Tensor, source: Tensor) -> Tensor:
        return h.mean(dim=1, keepdim=True)


class AdaptiveZeroBetween(AdaptiveZero):
    """A norm at the end of every turn."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return self.plain(super().step(h, source))


class ZeroHead(ZeroOutput):
    """A head of zeros on the raw state: no loss at the start sees anything."""

    def __init__(self) -> None:
        super().__init__()
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def readout(self, h: Tensor) -> Tensor:
        return h


EXPANDING = blind("expanding", also="SCL201")

EXPECT = {
    "zero_output": blind(),
    "zero_output_raw": EXPANDING,
    "zero_output_raw_head": safe("carried", "visible"),
    "re_zero": EXPANDING,
    "re_zero_normed": blind(),
    "layer_scale": blind(),
    "skip_init": blind("linear", also="SCL204"),
    "tanh_gate": blind(),
    "adaptive_zero": blind(),
    "adaptive_zero_of_state": Expect((State("expanding", "invariant"),), "SCL101 SCL201"),
    "adaptive_zero_between": safe("removed", "invariant"),
    "zero_head": safe("carried", "visible"),
}


def scaleaudit_target_zero_output() -> dict[str, Any]:
    return target(ZeroOutput())


def scaleaudit_target_zero_output_raw() -> dict[str, Any]:
    return target(ZeroOutputRaw())


def scaleaudit_target_zero_output_raw_head() -> dict[str, Any]:
    return target(ZeroOutputRawHead())


def scaleaudit_target_re_zero() -> dict[str, Any]:
    return target(ReZero())


def scaleaudit_target_re_zero_normed() -> dict[str, Any]:
    return target(ReZeroNormed())


def scaleaudit_target_layer_scale() -> dict[str, Any]:
    return target(LayerScale())


def scaleaudit_target_skip_init() -> dict[str, Any]:
    return target(SkipInit())


def scaleaudit_target_tanh_gate() -> dict[str, Any]:
    return target(Tanh())


def scaleaudit_target_adaptive_zero() -> dict[str, Any]:
    return target(AdaptiveZero())


def scaleaudit_target_adaptive_zero_of_state() -> dict[str, Any]:
    return target(AdaptiveZeroOfState())


def scaleaudit_target_adaptive_zero_between() -> dict[str, Any]:
    return target(AdaptiveZeroBetween())


def scaleaudit_target_zero_head() -> dict[str, Any]:
    return target(ZeroHead())
