"""The loop as a differential equation: fixed steps, and steps that an error estimate decides."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F

STEP = 1.0 / TURNS
MOST = 6
"""Steps that an adaptive solver may take, rejected ones included."""


class Field(nn.Module):
    """dh/dt of a residual network: a branch of the normed state."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, t: Tensor | float, h: Tensor) -> Tensor:
        return self.mlp(F.rms_norm(h, (D,)))


class TimedField(Field):
    """The time is given as a channel more, as in FFJORD."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(D + 1, D)

    def forward(self, t: Tensor | float, h: Tensor) -> Tensor:
        time = torch.full_like(h[..., :1], float(t))
        return self.mlp(self.inner(torch.cat([F.layer_norm(h, (D,)), time], dim=-1)))


class RawField(Field):
    def forward(self, t: Tensor | float, h: Tensor) -> Tensor:
        return self.mlp(h)


class BoundedField(Field):
    """tanh at the end, as most code for neural ODEs has it."""

    def forward(self, t: Tensor | float, h: Tensor) -> Tensor:
        return torch.tanh(self.mlp(h))


class Decaying(Field):
    """A leak beside the branch: dh/dt = -h + f(h), a continuous-time RNN."""

    def forward(self, t: Tensor | float, h: Tensor) -> Tensor:
        return torch.tanh(self.mlp(h)) - h


class Solved(Language):
    """Embed, integrate, read."""

    def __init__(self, field: nn.Module, *, normed: bool = True) -> None:
        super().__init__()
        self.field = field
        self.readout = nn.RMSNorm(D) if normed else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for turn in range(TURNS):
            h = self.step(turn * STEP, h)
        return self.head(self.readout(h))

    def step(self, t: float, h: Tensor) -> Tensor:
        return h + STEP * self.field(t, h)


class Midpoint(Solved):
    def step(self, t: float, h: Tensor) -> Tensor:
        half = h + STEP / 2 * self.field(t, h)
        return h + STEP * self.field(t + STEP / 2, half)


class Heun(Solved):
    def step(self, t: float, h: Tensor) -> Tensor:
        first = self.field(t, h)
        second = self.field(t + STEP, h + STEP * first)
        return h + STEP / 2 * (first + second)


class RungeKutta(Solved):
    """The classical method of order four."""

    def step(self, t: float, h: Tensor) -> Tensor:
        k1 = self.field(t, h)
        k2 = self.field(t + STEP / 2, h + STEP / 2 * k1)
        k3 = self.field(t + STEP / 2, h + STEP / 2 * k2)
        k4 = self.field(t + STEP, h + STEP * k3)
        return h + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


class LearnedStep(Solved):
    """A step size that is learned and positive."""

    def __init__(self, field: nn.Module, *, normed: bool = True) -> None:
        super().__init__(field, normed=normed)
        self.raw_step = nn.Parameter(torch.zeros(()))

    def step(self, t: float, h: Tensor) -> Tensor:
        return h + F.softplus(self.raw_step) * self.field(t, h)


class Adaptive(Solved):
    """Steps are accepted where the error of an embedded pair is small beside the state."""

    def __init__(self, field: nn.Module, *, normed: bool = True) -> None:
        super().__init__(field, normed=normed)
        self.tolerance, self.relative = 1e-2, 1e-1

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        t, size, taken = 0.0, STEP, 0
        while t < 1.0 and taken < MOST:
            h, t, size = self.attempt(h, t, size)
            taken += 1
        return self.head(self.readout(h))

    def attempt(self, h: Tensor, t: float, size: float) -> tuple[Tensor, float, float]:
        """One step of a pair: its result, or the old state and a smaller step."""
        new, error = self.pair(t, h, size)
        scale = self.tolerance + self.relative * torch.maximum(h.abs(), new.abs())
        ratio = (error / scale).square().mean().sqrt()
        if ratio <= 1.0:
            return new, t + size, 1.5 * size
        return h, t, 0.5 * size

    def pair(self, t: float, h: Tensor, size: float) -> tuple[Tensor, Tensor]:
        """Heun's method with Euler's inside."""
        first = self.field(t, h)
        second = self.field(t + size, h + size * first)
        return h + size / 2 * (first + second), size / 2 * (second - first)


NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
MATRIX = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERRORS = (
    71 / 57600,
    0.0,
    -71 / 16695,
    71 / 1920,
    -17253 / 339200,
    22 / 525,
    -1 / 40,
)


class DormandPrince(Adaptive):
    """dopri5: seven stages, the last one of which is the first of the next step."""

    def pair(self, t: float, h: Tensor, size: float) -> tuple[Tensor, Tensor]:
        stages: list[Tensor] = []
        point = h
        for node, row in zip(NODES, MATRIX, strict=True):
            point = h
            for weight, stage in zip(row, stages, strict=True):
                point = point + size * weight * stage
            stages.append(self.field(t + node * size, point))
        error = sum(size * weight * stage for weight, stage in zip(ERRORS, stages, strict=True))
        return point, error


class DormandPrinceOnTensors(DormandPrince):
    """The step size and the time are tensors, and the acceptance is a choice by where."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        size = torch.full((tokens.shape[0], 1, 1), STEP)
        for _ in range(TURNS):
            new, error = self.pair(0.0, h, size)
            scale = self.tolerance + self.relative * torch.maximum(h.abs(), new.abs()).detach()
            ratio = (error.detach() / scale).square().mean(dim=(1, 2), keepdim=True).sqrt()
            accepted = ratio <= 1.0
            h = torch.where(accepted, new, h)
            size = torch.where(accepted, 1.5 * size, 0.5 * size)
        return self.head(self.readout(h))


BLIND = blind()
ADAPTIVE = Expect((State("carried", "invariant"),), "SCL101", "SCL103", turns=(), carries=())

EXPECT = {
    "euler": BLIND,
    "euler_raw_head": safe("carried", "visible"),
    "euler_raw_field": blind("expanding", also="SCL201"),
    "euler_bounded_field": BLIND,
    "euler_leaky": safe("bounded", "invariant"),
    "euler_timed": BLIND,
    "euler_learned_step": BLIND,
    "midpoint": BLIND,
    "heun": BLIND,
    "heun_raw_field": blind("expanding", also="SCL201"),
    "runge_kutta": BLIND,
    "runge_kutta_raw_head": safe("carried", "visible"),
    "adaptive_heun": ADAPTIVE,
    "adaptive_heun_raw_head": Expect(
        (State("carried", "visible"),), maybe="SCL103", turns=(), carries=()
    ),
    # Every stage is a turn of the same weights, and the stages are states that have no length of
    # their own; the state proper is the point that they are added to.
    "dormand_prince": Expect(
        (State("carried", "invariant"), State("removed", "invariant", optional=True)),
        "SCL101",
        turns=(),
        carries=(),
    ),
    "dormand_prince_raw_head": Expect(
        (State("carried", "visible"), State("removed", "visible", optional=True)),
        turns=(),
        carries=(),
    ),
    "dormand_prince_on_tensors": Expect(
        (
            State("carried", "invariant", name="h|point"),
            State("removed", "invariant", optional=True),
            State("expanding", "invariant", name="size", optional=True),
        ),
        "SCL101",
        turns=(4, 28),
    ),
}


def scaleaudit_target_euler() -> dict[str, Any]:
    return target(Solved(Field()))


def scaleaudit_target_euler_raw_head() -> dict[str, Any]:
    return target(Solved(Field(), normed=False))


def scaleaudit_target_euler_raw_field() -> dict[str, Any]:
    return target(Solved(RawField()))


def scaleaudit_target_euler_bounded_field() -> dict[str, Any]:
    return target(Solved(BoundedField()))


def scaleaudit_target_euler_leaky() -> dict[str, Any]:
    return target(Solved(Decaying()))


def scaleaudit_target_euler_timed() -> dict[str, Any]:
    return target(Solved(TimedField()))


def scaleaudit_target_euler_learned_step() -> dict[str, Any]:
    return target(LearnedStep(Field()))


def scaleaudit_target_midpoint() -> dict[str, Any]:
    return target(Midpoint(Field()))


def scaleaudit_target_heun() -> dict[str, Any]:
    return target(Heun(Field()))


def scaleaudit_target_heun_raw_field() -> dict[str, Any]:
    return target(Heun(RawField()))


def scaleaudit_target_runge_kutta() -> dict[str, Any]:
    return target(RungeKutta(Field()))


def scaleaudit_target_runge_kutta_raw_head() -> dict[str, Any]:
    return target(RungeKutta(Field(), normed=False))


def scaleaudit_target_adaptive_heun() -> dict[str, Any]:
    return target(Adaptive(Field()))


def scaleaudit_target_adaptive_heun_raw_head() -> dict[str, Any]:
    return target(Adaptive(Field(), normed=False))


def scaleaudit_target_dormand_prince() -> dict[str, Any]:
    return target(DormandPrince(Field()))


def scaleaudit_target_dormand_prince_raw_head() -> dict[str, Any]:
    return target(DormandPrince(Field(), normed=False))


def scaleaudit_target_dormand_prince_on_tensors() -> dict[str, Any]:
    return target(DormandPrinceOnTensors(Field()))
