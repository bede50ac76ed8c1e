"""Recurrence over time written out: cells of the library and by hand, one turn a token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from expect import Expect, State
from parts import D, Language, target
from torch import Tensor, nn
from torch.nn import functional as F

STEPS = (8,)


class InTime(Language):
    """Subclasses say what a step does to the state; the readout is normed."""

    def __init__(self) -> None:
        super().__init__()
        self.u, self.w = nn.Linear(D, D), nn.Linear(D, D)

    def forward(self, tokens: Tensor) -> Tensor:
        xs = self.embed(tokens)
        h = xs.new_zeros(tokens.shape[0], D)
        outputs = []
        for t in range(tokens.shape[1]):
            h = self.step(xs[:, t], h)
            outputs.append(self.read(h))
        return torch.stack(outputs, dim=1)

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.u(x) + self.w(h))

    def read(self, h: Tensor) -> Tensor:
        return self.head(self.norm(h))


class TanhCell(InTime):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.RNNCell(D, D)

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return self.cell(x, h)


class ReluCell(TanhCell):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.RNNCell(D, D, nonlinearity="relu", bias=False)


class ReluCellRaw(ReluCell):
    def read(self, h: Tensor) -> Tensor:
        return self.head(h)


class Independent(InTime):
    """Every channel has a free gain of its own and nothing else of the past."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.rand(D))

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return F.relu(self.u(x) + self.gain * h)


class Minimal(InTime):
    """Minimal gated unit: one gate forgets and writes."""

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        gate = torch.sigmoid(self.u(x) + self.w(h))
        return (1 - gate) * h + gate * torch.tanh(self.u(x) + self.w(gate * h))


class MixedByLerp(InTime):
    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.lerp(h, torch.tanh(self.w(x) + self.u(h)), torch.sigmoid(self.u(x)))


class Euler(InTime):
    """A differential equation in small steps: bounded writes pile up on a kept state."""

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return h + 0.1 * torch.tanh(self.u(x) + h @ (self.w.weight - self.w.weight.T))


class Leaky(InTime):
    """Leaky integrator of an echo-state kind with bounded writes."""

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return 0.9 * h + 0.1 * torch.tanh(self.u(x) + self.w(h))


class LeakyRelu(InTime):
    """What is written is not bounded, and raw in the state: the sum may grow."""

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return 0.9 * h + F.relu(self.u(x) + self.w(self.block.norm(h)))


class NormedCell(InTime):
    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return F.relu(F.layer_norm(self.u(x) + self.w(h), (D,)))


class LinearSystem(InTime):
    """A linear dynamical system, read raw."""

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return self.w(h) + self.u(x)

    def read(self, h: Tensor) -> Tensor:
        return self.head(h)


class Generated(InTime):
    """A generator yields the states, a comprehension reads them."""

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.stack([self.read(h) for h in self.states(self.embed(tokens))], dim=1)

    def states(self, xs: Tensor) -> Iterator[Tensor]:
        h = torch.zeros_like(xs[:, 0])
        for x in xs.unbind(1):
            h = h + self.w(F.silu(self.u(x + F.rms_norm(h, (D,)))))
            yield h


class Recursive(InTime):
    """The last token calls itself on all before it."""

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.stack([self.read(h) for h in self.states(self.embed(tokens))], dim=1)

    def states(self, xs: Tensor) -> list[Tensor]:
        if not xs.shape[1]:
            return []
        before = self.states(xs[:, :-1])
        h = before[-1] if before else torch.zeros_like(xs[:, 0])
        return [*before, torch.tanh(self.u(xs[:, -1]) + self.w(h))]


class Stacked(InTime):
    """Two layers of cells, their states in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList(nn.GRUCell(D, D) for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        states = [self.embed.weight.new_zeros(tokens.shape[0], D) for _ in self.cells]
        outputs = []
        for x in self.embed(tokens).unbind(1):
            y = x
            for layer, cell in enumerate(self.cells):
                y = states[layer] = cell(y, states[layer])
            outputs.append(self.read(y))
        return torch.stack(outputs, dim=1)


class Lstm(InTime):
    """Long short-term memory in two matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.x_gates, self.h_gates = nn.Linear(D, 4 * D), nn.Linear(D, 4 * D, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        xs = self.embed(tokens)
        h = c = torch.zeros_like(xs[:, 0])
        outputs = []
        for x in xs.transpose(0, 1):
            i, f, g, o = (self.x_gates(x) + self.h_gates(h)).chunk(4, dim=-1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(self.inside(c))
            outputs.append(self.read(h))
        return torch.stack(outputs, dim=1)

    def inside(self, c: Tensor) -> Tensor:
        return c


class LstmLayerNorm(Lstm):
    """The memory is normed on its way out, not on its way round."""

    def inside(self, c: Tensor) -> Tensor:
        return F.layer_norm(c, (D,))


class LstmRaw(Lstm):
    def read(self, h: Tensor) -> Tensor:
        return self.head(h)


class LstmNoSquash(Lstm):
    """Writes without tanh, and the memory is the output: forgotten a little, written freely."""

    def forward(self, tokens: Tensor) -> Tensor:
        xs = self.embed(tokens)
        c = torch.zeros_like(xs[:, 0])
        outputs = []
        for x in xs.transpose(0, 1):
            i, f, g, _ = (self.x_gates(x) + self.h_gates(self.norm(c))).chunk(4, dim=-1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * g
            outputs.append(self.read(c))
        return torch.stack(outputs, dim=1)


def over_time(transition: str, visibility: str, codes: str = "", **more: Any) -> Expect:
    """One state h, a turn a token."""
    state = State(transition, visibility, name=more.pop("name", "h"), line=more.pop("line", ""))
    return Expect((state,), codes, turns=STEPS, **more)


def long_short(visibility: str, inner: str, transition: str = "bounded") -> Expect:
    """The output is bounded, the memory damped with bounded writes."""
    states = (
        State(transition, visibility, name="h", line="torch.sigmoid(o) *"),
        State("damped|bounded", inner, name="c", line="torch.sigmoid(f) * c"),
    )
    return Expect(states, turns=STEPS, carries=("h", "c"))


EXPECT = {
    "tanh_cell": over_time("bounded", "invariant"),
    "relu_cell": over_time("linear", "invariant", "SCL101 SCL202"),
    "relu_cell_raw": over_time("linear", "visible", "SCL202"),
    # Open: a free gain under a relu, by whichever name it is active.
    "independent": over_time(
        "linear", "invariant", "SCL101", maybe="SCL202 SCL204", line="self.gain * h"
    ),
    "minimal": over_time("bounded", "invariant", line="(1 - gate) * h"),
    "mixed_by_lerp": over_time("bounded", "invariant", line="torch.lerp"),
    "euler": over_time("carried", "invariant", "SCL101", line="h + 0.1 *"),
    "leaky": over_time("damped|bounded", "invariant", line="0.9 * h +"),
    "leaky_relu": over_time("damped", "invariant", "SCL205", line="0.9 * h +"),
    "normed_cell": over_time("removed|bounded", "invariant"),
    "linear_system": over_time("linear", "visible", "SCL202", line="self.w(h) +"),
    "generated": over_time("carried", "invariant", "SCL101", line="h = h + self.w", carries=()),
    "recursive": over_time("bounded", "invariant", line="torch.tanh(self.u", carries=()),
    # The first layer's state is read by the gates of the second.
    "stacked": Expect(
        (
            State("bounded", "invariant", name="states[1]|states|y"),
            State("bounded", "invariant|saturating", name="states[0]|states|y"),
        ),
        # Open: a first step on constants may count as the start.
        turns=(STEPS[0] - 1, *STEPS),
        loops=(1, 2),
        carries=(),
    ),
    "lstm": long_short("invariant", "invariant|saturating"),
    # The memory is read through a norm, so that no length comes through, beside the bound.
    "lstm_layer_norm": long_short("invariant", "invariant|asymptotic", "bounded|removed"),
    # By the letter the memory takes the visibility of the output, through a tanh.
    "lstm_raw": long_short("visible", "saturating|visible"),
    "lstm_no_squash": over_time("damped", "invariant", "SCL205", name="c", carries=("c",)),
}


def scaleaudit_target_tanh_cell() -> dict[str, Any]:
    return target(TanhCell())


def scaleaudit_target_relu_cell() -> dict[str, Any]:
    return target(ReluCell())


def scaleaudit_target_relu_cell_raw() -> dict[str, Any]:
    return target(ReluCellRaw())


def scaleaudit_target_independent() -> dict[str, Any]:
    return target(Independent())


def scaleaudit_target_minimal() -> dict[str, Any]:
    return target(Minimal())


def scaleaudit_target_mixed_by_lerp() -> dict[str, Any]:
    return target(MixedByLerp())


def scaleaudit_target_euler() -> dict[str, Any]:
    return target(Euler())


def scaleaudit_target_leaky() -> dict[str, Any]:
    return target(Leaky())


def scaleaudit_target_leaky_relu() -> dict[str, Any]:
    return target(LeakyRelu())


def scaleaudit_target_normed_cell() -> dict[str, Any]:
    return target(NormedCell())


def scaleaudit_target_linear_system() -> dict[str, Any]:
    return target(LinearSystem())


def scaleaudit_target_generated() -> dict[str, Any]:
    return target(Generated())


def scaleaudit_target_recursive() -> dict[str, Any]:
    return target(Recursive())


def scaleaudit_target_stacked() -> dict[str, Any]:
    return target(Stacked())


def scaleaudit_target_lstm() -> dict[str, Any]:
    return target(Lstm())


def scaleaudit_target_lstm_layer_norm() -> dict[str, Any]:
    return target(LstmLayerNorm())


def scaleaudit_target_lstm_raw() -> dict[str, Any]:
    return target(LstmRaw())


def scaleaudit_target_lstm_no_squash() -> dict[str, Any]:
    return target(LstmNoSquash())
