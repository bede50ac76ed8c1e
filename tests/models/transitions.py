"""What one turn does to the length, every readout blind: h, one step, h again."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


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


class Doubled(Turn):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return 2 * h + self.write(h)


class AddedToItself(Turn):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return h + (h + self.write(h))


class LinearMap(Turn):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return self.w(h)


class LinearMapPlusWrite(Turn):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return self.w(h) + self.write(h)


class SpectralMap(Turn):
    """The largest singular value is exactly 1, which does not shrink anything."""

    def __init__(self) -> None:
        super().__init__()
        self.w = spectral_norm(nn.Linear(D, D, bias=False))

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return self.w(h) + self.write(h)


class ReluMap(Turn):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return F.relu(self.w(h))


class TanhMap(Turn):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return torch.tanh(self.w(h) + source)


class SoftmaxState(Turn):
    """The state is a distribution over channels."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return self.w(h).softmax(dim=-1) + 0.1 * torch.sigmoid(source)


class FreeGain(Turn):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.9))

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return self.a * h + self.write(h)


class FreeChannelGain(FreeGain):
    """One free gain a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.full((D,), 0.9))


class Halved(Turn):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return 0.5 * h + self.write(h)


class Averaged(Turn):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return (h + self.write(h)) / 2


class HalvedBoundedWrite(Turn):
    """Half the state plus at most 1 a channel never leaves [-2, 2]."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return 0.5 * h + torch.tanh(self.w(h) + source)


class MultipliedByBranch(Turn):
    """The state is multiplied by what the branch says, an unbounded factor."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return h + h * self.write(h)


class BoundedFactor(Turn):
    """The factor on the state lies between 0 and 2."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return h * (1 + torch.tanh(self.write(h)))


class Clamped(Turn):
    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return (h + self.write(h)).clamp(-5, 5)


class Opaque(Turn):
    """What a turn does passes through a function that no law speaks of."""

    def step(self, h: Tensor, source: Tensor) -> Tensor:
        return torch.special.i0e(self.w(h)) * h


class FrozenTokens(Turn):
    """Tokens that have halted keep their state, the others move on."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        running = torch.ones(tokens.shape, dtype=torch.bool).unsqueeze(-1)
        for _ in range(TURNS):
            h = torch.where(running, h + self.write(h), h)
            running = running & (self.head(self.inner(h)).argmax(-1, keepdim=True) != 0)
        return self.head(self.norm(h))


SCL205 = Expect((State("damped", "invariant"),), "SCL205")


EXPECT = {
    # A fixed factor above 1 is neither a branch of degree 1 (SCL201) nor learned (SCL204), but an
    # audit may word it as h + h.
    "doubled": Expect((State("expanding", "invariant"),), "SCL101", "SCL201 SCL204"),
    "added_to_itself": Expect((State("expanding", "invariant"),), "SCL101", "SCL201 SCL204"),
    "linear_map": blind("linear", also="SCL202"),
    "linear_map_plus_write": blind("linear", also="SCL202"),
    # Open: the gain's supremum is exactly 1; carried or linear, it is active either way. The power
    # iteration that estimates the norm carries its vectors from turn to turn: a state or not.
    "spectral_map": Expect(
        (State("linear|carried|removed", "invariant"),),
        "SCL101",
        "SCL202 SCL204",
        loops=(1, 2),
        alike=True,
    ),
    # Open: positively homogeneous, without an identity path; active either way.
    "relu_map": Expect((State("linear|expanding", "invariant"),), "SCL101", "SCL202 SCL201"),
    "tanh_map": safe("bounded", "invariant"),
    "softmax_state": safe("bounded", "invariant"),
    "free_gain": Expect((State("linear", "invariant"),), "SCL101 SCL204", "SCL202"),
    "free_channel_gain": Expect((State("linear", "invariant"),), "SCL101 SCL204", "SCL202"),
    "halved": SCL205,
    "averaged": SCL205,
    "halved_bounded_write": safe("damped|bounded", "invariant"),
    "multiplied_by_branch": Expect(
        (State("expanding|linear", "invariant"),), "SCL101", "SCL201 SCL204 SCL202"
    ),
    # Open: a learned factor that may exceed 1 and is bounded; active by any of these names.
    "bounded_factor": Expect(
        (State("expanding|carried|linear", "invariant"),), "SCL101", "SCL201 SCL204"
    ),
    "clamped": safe("bounded", "invariant"),
    "frozen_tokens": blind(),
    "opaque": Expect((State("unknown", "invariant"),), "SCL902", verdict="unknown", carries=()),
}


def scaleaudit_target_doubled() -> dict[str, Any]:
    return target(Doubled())


def scaleaudit_target_added_to_itself() -> dict[str, Any]:
    return target(AddedToItself())


def scaleaudit_target_linear_map() -> dict[str, Any]:
    return target(LinearMap())


def scaleaudit_target_linear_map_plus_write() -> dict[str, Any]:
    return target(LinearMapPlusWrite())


def scaleaudit_target_spectral_map() -> dict[str, Any]:
    return target(SpectralMap())


def scaleaudit_target_relu_map() -> dict[str, Any]:
    return target(ReluMap())


def scaleaudit_target_tanh_map() -> dict[str, Any]:
    return target(TanhMap())


def scaleaudit_target_softmax_state() -> dict[str, Any]:
    return target(SoftmaxState())


def scaleaudit_target_free_gain() -> dict[str, Any]:
    return target(FreeGain())


def scaleaudit_target_free_channel_gain() -> dict[str, Any]:
    return target(FreeChannelGain())


def scaleaudit_target_halved() -> dict[str, Any]:
    return target(Halved())


def scaleaudit_target_averaged() -> dict[str, Any]:
    return target(Averaged())


def scaleaudit_target_halved_bounded_write() -> dict[str, Any]:
    return target(HalvedBoundedWrite())


def scaleaudit_target_multiplied_by_branch() -> dict[str, Any]:
    return target(MultipliedByBranch())


def scaleaudit_target_bounded_factor() -> dict[str, Any]:
    return target(BoundedFactor())


def scaleaudit_target_clamped() -> dict[str, Any]:
    return target(Clamped())


def scaleaudit_target_opaque() -> dict[str, Any]:
    return target(Opaque())


def scaleaudit_target_frozen_tokens() -> dict[str, Any]:
    return target(FrozenTokens())
