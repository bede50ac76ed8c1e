"""How the input comes in again at every turn: by learned factors, by gates, through an adapter."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, D, Language, Layer, target
from torch import Tensor, nn
from torch.nn import functional as F


class Injected(Language):
    """Prelude, a looped layer, a normed head; every turn starts with the injection."""

    def __init__(self, inject: nn.Module, *, between: bool = False, final: bool = True) -> None:
        super().__init__()
        self.prelude, self.layer = Layer(), Layer()
        self.inject = inject
        self.between = nn.RMSNorm(D) if between else nn.Identity()
        self.final = nn.RMSNorm(D) if final else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        e = self.prelude(self.embed(tokens))
        h = torch.zeros_like(e)
        for _ in range(TURNS):
            h = self.between(self.layer(self.inject(h, e)))
        return self.head(self.final(h))


class Projected(nn.Module):
    """The input goes through a matrix that starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(D, D, bias=False)
        nn.init.zeros_(self.project.weight)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        return h + self.project(F.rms_norm(e, (D,)))


class Diagonal(nn.Module):
    """A linear system with free factors on state and input, one a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.ones(D)), nn.Parameter(torch.ones(D))

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        return self.a * h + self.b * e


class Stable(nn.Module):
    """The same, its factor on the state kept below 1: a decay in continuous time, discretised."""

    def __init__(self) -> None:
        super().__init__()
        self.log_a, self.log_dt = nn.Parameter(torch.zeros(D)), nn.Parameter(torch.zeros(D))
        self.b = nn.Linear(D, D, bias=False)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        dt = F.softplus(self.log_dt)
        return torch.exp(-dt * self.log_a.exp()) * h + dt * self.b(e)


class GateOnInput(nn.Module):
    """How much of the input comes in is learned; the state passes whole."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * D, D)
        self.norm = nn.RMSNorm(D)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        return h + torch.sigmoid(self.logits(h, e)) * e

    def logits(self, h: Tensor, e: Tensor) -> Tensor:
        return self.gate(torch.cat([self.norm(h), e], dim=-1))


class GateBetween(GateOnInput):
    """A convex mix of state and input; the gate sees the state normed."""

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        g = torch.sigmoid(self.logits(h, e))
        return g * h + (1 - g) * e


class RawGateBetween(GateBetween):
    """The gate sees the state as it is, so that it opens all the way for long ones."""

    def logits(self, h: Tensor, e: Tensor) -> Tensor:
        return self.gate(torch.cat([h, e], dim=-1))


class Adapter(nn.Module):
    """State and input, side by side, through a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.adapter = nn.Linear(2 * D, D)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        return self.adapter(torch.cat([h, e], dim=-1))


class ResidualAdapter(Adapter):
    """The adapter corrects the state, and sees it as it is."""

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        return h + super().forward(h, e)


class NormedAdapter(Adapter):
    """The adapter sees both sides normed: whatever comes in, what goes on has one length."""

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        return super().forward(F.rms_norm(h, (D,)), F.rms_norm(e, (D,)))


class NormedResidualAdapter(NormedAdapter):
    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        return h + super().forward(h, e)


DAMPED = Expect((State("damped", "invariant"),), "SCL205")

EXPECT = {
    "projected": blind(),
    "projected_raw_head": safe("carried", "visible"),
    "diagonal": blind("linear", also="SCL204"),
    "stable": DAMPED,
    "gate_on_input": blind(),
    "gate_between": DAMPED,
    # Open: whether a gate that saturates to 1 "admits 1".
    "raw_gate_between": Expect((State("carried", "invariant"),), "SCL101", "SCL204"),
    "adapter_between": safe("removed", "invariant"),
    "residual_adapter": blind("expanding", also="SCL201"),
    "normed_adapter": safe("removed", "invariant"),
    "normed_residual_adapter": blind(),
}


def scaleaudit_target_projected() -> dict[str, Any]:
    return target(Injected(Projected()))


def scaleaudit_target_projected_raw_head() -> dict[str, Any]:
    return target(Injected(Projected(), final=False))


def scaleaudit_target_diagonal() -> dict[str, Any]:
    return target(Injected(Diagonal()))


def scaleaudit_target_stable() -> dict[str, Any]:
    return target(Injected(Stable()))


def scaleaudit_target_gate_on_input() -> dict[str, Any]:
    return target(Injected(GateOnInput()))


def scaleaudit_target_gate_between() -> dict[str, Any]:
    return target(Injected(GateBetween()))


def scaleaudit_target_raw_gate_between() -> dict[str, Any]:
    return target(Injected(RawGateBetween()))


def scaleaudit_target_adapter_between() -> dict[str, Any]:
    return target(Injected(Adapter(), between=True))


def scaleaudit_target_residual_adapter() -> dict[str, Any]:
    return target(Injected(ResidualAdapter()))


def scaleaudit_target_normed_adapter() -> dict[str, Any]:
    return target(Injected(NormedAdapter()))


def scaleaudit_target_normed_residual_adapter() -> dict[str, Any]:
    return target(Injected(NormedResidualAdapter()))
