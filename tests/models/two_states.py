"""Loops with several states, side by side or one inside the other."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State
from parts import TURNS, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F

CYCLES, STEPS = 3, 2


class FastAndSlow(Language):
    """The hierarchical reasoner: a fast state steps inside every cycle of a slow one."""

    def __init__(self) -> None:
        super().__init__()
        self.fast, self.slow = Mlp(), Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        low, high = torch.zeros_like(x), torch.zeros_like(x)
        for _ in range(CYCLES):
            for _ in range(STEPS):
                low = self.move(self.fast, low, high + x)
            high = self.move(self.slow, high, low)
        return self.head(self.norm(high))

    def move(self, layer: nn.Module, state: Tensor, given: Tensor) -> Tensor:
        """Add to the state what the layer makes of it and of what is given."""
        return state + layer(F.rms_norm(state + given, (D,)))


class FastAndSlowPostNorm(FastAndSlow):
    def move(self, layer: nn.Module, state: Tensor, given: Tensor) -> Tensor:
        return F.rms_norm(state + given + layer(state + given), (D,))


class FastAndSlowLastGradient(FastAndSlow):
    """All cycles but the last run without gradient, as in the original."""

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        low, high = torch.zeros_like(x), torch.zeros_like(x)
        with torch.no_grad():
            for _ in range(CYCLES - 1):
                low, high = self.cycle(low, high, x)
        low, high = self.cycle(low, high, x)
        return self.head(self.norm(high))

    def cycle(self, low: Tensor, high: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        for _ in range(STEPS):
            low = self.move(self.fast, low, high + x)
        return low, self.move(self.slow, high, low)


class TwoStreams(Language):
    """Reversible coupling: each stream is written to from a normed copy of the other."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.g = Mlp(), Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        a = b = self.embed(tokens)
        for _ in range(TURNS):
            a = a + self.f(F.rms_norm(b, (D,)))
            b = b + self.g(F.rms_norm(a, (D,)))
        return self.head(self.norm(a)) + self.head(self.norm(b))


class TwoStreamsRawHead(TwoStreams):
    def forward(self, tokens: Tensor) -> Tensor:
        a = b = self.embed(tokens)
        for _ in range(TURNS):
            a = a + self.f(F.rms_norm(b, (D,)))
            b = b + self.g(F.rms_norm(a, (D,)))
        return self.head(a) + self.head(b)


class OneStreamSeen(TwoStreams):
    """One of two streams is read raw, the other only through a norm."""

    def forward(self, tokens: Tensor) -> Tensor:
        a = b = self.embed(tokens)
        for _ in range(TURNS):
            a = a + self.f(F.rms_norm(b, (D,)))
            b = b + self.g(F.rms_norm(a, (D,)))
        return self.head(a) + self.head(self.norm(b))


class Momentum(Language):
    """Heavy ball: a velocity that decays is added to the state."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        velocity = torch.zeros_like(h)
        for _ in range(TURNS):
            velocity = 0.9 * velocity + self.mlp(F.rms_norm(h, (D,)))
            h = h + velocity
        return self.head(self.norm(h))


class OneLayerTwice(Language):
    """One layer moves the fast state and opens the gate of the slow one, which is read through it."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.outer, self.write = nn.Linear(D, D), nn.Linear(D, D), nn.Linear(D, D)

    def forward(self, tokens: Tensor) -> Tensor:
        slow = self.embed(tokens)
        fast = torch.zeros_like(slow)
        for _ in range(TURNS):
            fast = torch.tanh(self.shared(fast) + self.outer(F.rms_norm(slow, (D,))))
            slow = torch.sigmoid(self.shared(fast)) * slow + self.write(F.rms_norm(slow, (D,)))
        return self.head(self.read(slow))

    def read(self, slow: Tensor) -> Tensor:
        return self.norm(slow)


class OneLayerTwiceRaw(OneLayerTwice):
    def read(self, slow: Tensor) -> Tensor:
        return slow


class HiddenMemory(Language):
    """A memory that only the other state reads, which is normed every turn and read raw."""

    def __init__(self) -> None:
        super().__init__()
        self.write, self.read = Mlp(), Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        memory = torch.zeros_like(h)
        for _ in range(TURNS):
            memory = memory + self.write(F.rms_norm(h, (D,)))
            h = F.rms_norm(h + self.read(F.rms_norm(memory, (D,))), (D,))
        return self.head(h)


EXPECT = {
    # Open: one loop with two states or a nest of two; the slow state may have an entry in each.
    # The slow state's length is read through its norm, the fast one's through the slow one's.
    "fast_and_slow": Expect(
        (State("carried", "invariant|asymptotic"),),
        "SCL101",
        loops=(1, 2),
        turns=(),
        alike=True,
        carries=("low", "high"),
    ),
    "fast_and_slow_post_norm": Expect(
        (State("removed", "invariant|asymptotic"),),
        loops=(1, 2),
        turns=(),
        alike=True,
        carries=("low", "high"),
    ),
    "fast_and_slow_last_gradient": Expect(
        (State("carried", "invariant|asymptotic"),),
        "SCL101",
        loops=(1, 2),
        turns=(),
        alike=True,
        carries=(),
    ),
    # Scaled alone, the norm of one stream is invariant; the sum of logits hides neither.
    "two_streams": Expect(
        (State("carried", "invariant|asymptotic"),), "SCL101", alike=True, carries=("a", "b")
    ),
    "two_streams_raw_head": Expect((State("carried", "visible"),), alike=True, carries=("a", "b")),
    "one_stream_seen": Expect(
        (State("carried", "visible"), State("carried", "invariant|asymptotic")),
        "SCL101",
        carries=("a", "b"),
    ),
    # The velocity decays, and what is written to it has no bound by construction.
    "momentum": Expect(
        (State("carried", "invariant"), State("damped", "invariant|asymptotic")),
        "SCL101",
        "SCL205",
        carries=("h", "velocity"),
    ),
    "one_layer_twice": Expect(
        (State("bounded", "invariant|saturating"), State("damped", "invariant")),
        "SCL205",
        carries=("fast", "slow"),
    ),
    "one_layer_twice_raw": Expect(
        (State("bounded", "invariant|saturating|visible"), State("damped", "visible")),
        carries=("fast", "slow"),
    ),
    # Open: the memory reaches the loss only through h, whose raw head sees h's length and not the
    # memory's. By the letter it takes h's visibility, by measurement it is blind.
    "hidden_memory": Expect(
        (State("removed", "visible"), State("carried", "invariant|asymptotic|visible")),
        maybe="SCL101",
        verdict="fail|pass",
        carries=(),
    ),
}


def scaleaudit_target_fast_and_slow() -> dict[str, Any]:
    return target(FastAndSlow())


def scaleaudit_target_fast_and_slow_post_norm() -> dict[str, Any]:
    return target(FastAndSlowPostNorm())


def scaleaudit_target_fast_and_slow_last_gradient() -> dict[str, Any]:
    return target(FastAndSlowLastGradient())


def scaleaudit_target_two_streams() -> dict[str, Any]:
    return target(TwoStreams())


def scaleaudit_target_two_streams_raw_head() -> dict[str, Any]:
    return target(TwoStreamsRawHead())


def scaleaudit_target_one_stream_seen() -> dict[str, Any]:
    return target(OneStreamSeen())


def scaleaudit_target_momentum() -> dict[str, Any]:
    return target(Momentum())


def scaleaudit_target_hidden_memory() -> dict[str, Any]:
    return target(HiddenMemory())


def scaleaudit_target_one_layer_twice() -> dict[str, Any]:
    return target(OneLayerTwice())


def scaleaudit_target_one_layer_twice_raw() -> dict[str, Any]:
    return target(OneLayerTwiceRaw())
