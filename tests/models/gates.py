"""Gates on the identity path and convex mixes: what their range is, and what they read."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F


class Gated(Language):
    """One turn is ``step``; every readout is normed."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.RMSNorm(D)
        self.mlp = Mlp()
        self.gate = nn.Linear(D, D)
        self.candidate = nn.Linear(2 * D, D)
        self.a = nn.Parameter(torch.zeros(D))

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens)
        h = source
        for _ in range(TURNS):
            h = self.step(h, source)
        return self.head(self.norm(h))

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        raise NotImplementedError

    def write(self, h: Tensor) -> Tensor:
        return self.mlp(self.inner(h))

    def proposal(self, h: Tensor, source: Tensor) -> Tensor:
        return torch.tanh(self.candidate(torch.cat((h, source), dim=-1)))


class SigmoidParameter(Gated):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return torch.sigmoid(self.a) * h + self.write(h)


class ExpSoftplus(Gated):
    """The decay of gated linear recurrences: exp(-softplus(a)) lies between 0 and 1."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return torch.exp(-F.softplus(self.a)) * h + self.write(h)


class ExpExp(Gated):
    """The decay of state-space layers."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return torch.exp(-torch.exp(self.a)) * h + self.write(h)


class TanhParameter(Gated):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return torch.tanh(self.a + 1) * h + self.write(h)


class SoftmaxWeights(Gated):
    """Two learned weights that add up to 1, one for the state."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.zeros(2))

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        keep, add = self.mix.softmax(dim=0)
        return keep * h + add * self.write(h)


class ClampedParameter(Gated):
    """The closed interval [0, 1] contains 1."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return self.a.clamp(0, 1) * h + self.write(h)


class NormedGate(Gated):
    """The gate sees a normed state: for given weights it stays away from 1."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return torch.sigmoid(self.gate(self.inner(h))) * h + self.write(h)


class RawGate(Gated):
    """The gate sees the raw state and saturates to 1 as that grows."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return torch.sigmoid(self.gate(h)) * h + self.write(h)


class BoundedGate(Gated):
    """A gate that reads what has stopped growing stays short of 1, whatever the state."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        read = F.dropout(torch.tanh(h), 0.1)
        return torch.sigmoid(self.gate(read)) * h + self.write(h)


class InputGate(Gated):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return torch.sigmoid(self.gate(source)) * h + self.write(h)


class ConvexMix(Gated):
    """z h + (1 - z) tanh(u), by hand."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        z = torch.sigmoid(self.gate(h))
        return z * h + (1 - z) * self.proposal(h, source)


class StepTowards(Gated):
    """h + z (tanh(u) - h)."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        z = torch.sigmoid(self.gate(h))
        return h + z * (self.proposal(h, source) - h)


class Lerp(Gated):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return torch.lerp(h, self.proposal(h, source), torch.sigmoid(self.gate(h)))


class LerpUnbounded(Gated):
    """An exponential moving average of writes that nothing bounds."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return torch.lerp(h, self.write(h), 0.1)


class MixUnbounded(Gated):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        z = torch.sigmoid(self.gate(self.inner(h)))
        return z * h + (1 - z) * self.write(h)


class Highway(Gated):
    """A highway layer: the carry gate stays below 1, the transform reads the raw state."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        t = torch.sigmoid(self.gate(self.inner(h)))
        return t * F.relu(self.mlp(h)) + (1 - t) * h


class MixOfStates(Gated):
    """Both sides of the mix carry the state: the weights add up to a gain of 1."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        z = torch.sigmoid(self.gate(self.inner(h)))
        return z * h + (1 - z) * (h + self.write(h))


DAMPED = Expect((State("damped", "invariant"),), "SCL205")

EXPECT = {
    "sigmoid_parameter": DAMPED,
    "exp_softplus": DAMPED,
    "exp_exp": DAMPED,
    "tanh_parameter": DAMPED,
    "softmax_weights": DAMPED,
    "clamped_parameter": blind(also="SCL204"),
    "normed_gate": DAMPED,
    # Open: whether a gate that saturates to 1 "admits 1" (SCL204).
    "raw_gate": Expect((State("carried", "invariant"),), "SCL101", "SCL204"),
    "bounded_gate": DAMPED,
    "input_gate": DAMPED,
    "convex_mix": safe("bounded", "invariant"),
    "step_towards": safe("bounded", "invariant"),
    "lerp": safe("bounded", "invariant"),
    "lerp_unbounded": DAMPED,
    "mix_unbounded": DAMPED,
    "highway": blind("expanding|linear", also="SCL201"),
    # Open: gain exactly 1, by a cancellation that intervals alone do not see; active either way.
    "mix_of_states": Expect((State("carried|expanding", "invariant"),), "SCL101", "SCL201 SCL204"),
}


def scaleaudit_target_sigmoid_parameter() -> dict[str, Any]:
    return target(SigmoidParameter())


def scaleaudit_target_exp_softplus() -> dict[str, Any]:
    return target(ExpSoftplus())


def scaleaudit_target_exp_exp() -> dict[str, Any]:
    return target(ExpExp())


def scaleaudit_target_tanh_parameter() -> dict[str, Any]:
    return target(TanhParameter())


def scaleaudit_target_softmax_weights() -> dict[str, Any]:
    return target(SoftmaxWeights())


def scaleaudit_target_clamped_parameter() -> dict[str, Any]:
    return target(ClampedParameter())


def scaleaudit_target_normed_gate() -> dict[str, Any]:
    return target(NormedGate())


def scaleaudit_target_raw_gate() -> dict[str, Any]:
    return target(RawGate())


def scaleaudit_target_bounded_gate() -> dict[str, Any]:
    return target(BoundedGate())


def scaleaudit_target_input_gate() -> dict[str, Any]:
    return target(InputGate())


def scaleaudit_target_convex_mix() -> dict[str, Any]:
    return target(ConvexMix())


def scaleaudit_target_step_towards() -> dict[str, Any]:
    return target(StepTowards())


def scaleaudit_target_lerp() -> dict[str, Any]:
    return target(Lerp())


def scaleaudit_target_lerp_unbounded() -> dict[str, Any]:
    return target(LerpUnbounded())


def scaleaudit_target_mix_unbounded() -> dict[str, Any]:
    return target(MixUnbounded())


def scaleaudit_target_highway() -> dict[str, Any]:
    return target(Highway())


def scaleaudit_target_mix_of_states() -> dict[str, Any]:
    return target(MixOfStates())
