"""Steps that look back further than one turn, states that follow one another, loops in loops."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind
from parts import TURNS, D, Language, Mlp, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F


class SecondOrder(Language):
    """The next state is made of the last two."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        previous = torch.zeros_like(h)
        for _ in range(TURNS):
            h, previous = self.following(h, previous), h
        return self.head(self.norm(h))

    def write(self, x: Tensor) -> Tensor:
        return self.mlp(F.rms_norm(x, (D,)))

    def following(self, h: Tensor, previous: Tensor) -> Tensor:
        raise NotImplementedError


class HeavyBall(SecondOrder):
    """Eigenvalues 1 and 0.9, though the factors are 1.9 and -0.9."""

    def following(self, h: Tensor, previous: Tensor) -> Tensor:
        return h + 0.9 * (h - previous) + self.write(h)


class Nesterov(SecondOrder):
    def following(self, h: Tensor, previous: Tensor) -> Tensor:
        ahead = h + 0.9 * (h - previous)
        return ahead + self.write(ahead)


class TwoStep(SecondOrder):
    """Around the present state, from the last one: reversible."""

    def following(self, h: Tensor, previous: Tensor) -> Tensor:
        return previous + self.write(h)


class MeanOfTwo(SecondOrder):
    def following(self, h: Tensor, previous: Tensor) -> Tensor:
        return (h + previous) / 2 + self.write(h)


class FadingMean(SecondOrder):
    """The larger eigenvalue is 0.85."""

    def following(self, h: Tensor, previous: Tensor) -> Tensor:
        return 0.5 * h + 0.3 * previous + self.write(h)


class Extrapolated(SecondOrder):
    """Twice the present less half the last: one eigenvalue is 1.7."""

    def following(self, h: Tensor, previous: Tensor) -> Tensor:
        return 2 * h - 0.5 * previous + self.write(h)


class AdamsBashforth(Language):
    """The last slope is kept for the next step."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        slope = torch.zeros_like(h)
        for _ in range(TURNS):
            now = self.mlp(F.rms_norm(h, (D,)))
            h = h + 1.5 * now - 0.5 * slope
            slope = now
        return self.head(self.norm(h))


class RungeKutta(Language):
    """Four evaluations a turn, each of a normed point."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            k1 = self.slope(h)
            k2 = self.slope(h + k1 / 2)
            k3 = self.slope(h + k2 / 2)
            k4 = self.slope(h + k3)
            h = h + (k1 + 2 * k2 + 2 * k3 + k4) / 6
        return self.head(self.norm(h))

    def slope(self, h: Tensor) -> Tensor:
        return self.mlp(F.rms_norm(h, (D,)))


class RungeKuttaRaw(RungeKutta):
    """A linear slope of the raw state: the solution grows by a factor in every step."""

    def slope(self, h: Tensor) -> Tensor:
        return self.mlp(h)


class Ring(Language):
    """Three states hand over to one another; the period is three turns."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        a = self.embed(tokens)
        b, c = torch.flip(a, (1,)), torch.roll(a, 1, 1)
        for _ in range(6):
            a, b, c = b, c, a + self.mlp(F.rms_norm(a + b + c, (D,)))
        return self.head(self.norm(a + b + c))


class Follower(Language):
    """A moving average of the state is all that is read."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        average = torch.zeros_like(h)
        for _ in range(TURNS):
            h = h + self.mlp(F.rms_norm(h + average, (D,)))
            average = 0.9 * average + 0.1 * h
        return self.read(average)

    def read(self, average: Tensor) -> Tensor:
        return self.head(self.norm(average))


class FollowerRaw(Follower):
    def read(self, average: Tensor) -> Tensor:
        return self.head(average)


class Lateral(Language):
    """Three streams in a list, each written to from the normed sum of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Mlp() for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        streams = [self.embed(tokens)] * 3
        for _ in range(TURNS):
            total = F.rms_norm(sum(streams), (D,))
            streams = [s + block(total) for s, block in zip(streams, self.blocks, strict=True)]
        return torch.stack([self.head(self.norm(s)) for s in streams]).mean(0)


class InnerResidual(Language):
    """Each turn of the outer loop adds what an inner loop has settled on, from a normed start."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(3):
            z = F.rms_norm(h, (D,))
            for _ in range(2):
                z = z + self.inner(F.rms_norm(z, (D,)))
            h = self.outer(h, z)
        return self.head(self.norm(h))

    def outer(self, h: Tensor, z: Tensor) -> Tensor:
        return h + z


class InnerResidualNormed(InnerResidual):
    """The outer state is normed; the inner one grows for its few turns and is forgotten."""

    def outer(self, h: Tensor, z: Tensor) -> Tensor:
        return F.rms_norm(h + z, (D,))


class Segments(Language):
    """Deep supervision: a loss at every segment, between which the state is detached."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> list[Tensor]:
        x = self.embed(tokens)
        h, logits = torch.zeros_like(x), []
        for _ in range(3):
            for _ in range(2):
                h = h + self.mlp(F.rms_norm(h, (D,)) + x)
            logits.append(self.read(h))
            h = h.detach()
        return logits

    def read(self, h: Tensor) -> Tensor:
        return self.head(self.norm(h))


class SegmentsRaw(Segments):
    def read(self, h: Tensor) -> Tensor:
        return self.head(h)


def summed(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    return torch.stack([cross_entropy(logits, targets) for logits in model(tokens)]).sum()


def second_order(transition: str, codes: str, maybe: str = "") -> Expect:
    """The state and what it was a turn ago: one state, or two."""
    found = (
        State(transition, "invariant", name="h|previous"),
        State(transition, "invariant|asymptotic", name="previous", optional=True),
    )
    return Expect(found, codes, maybe, alike=True, carries=("h", "previous"), turns=(4, 2))


def nested(*states: State, codes: str = "SCL101", maybe: str = "", carries: Any = ()) -> Expect:
    return Expect(states, codes, maybe, (1, 2, 4), alike=True, carries=carries, turns=())


EXPECT = {
    "heavy_ball": second_order("carried", "SCL101"),
    "nesterov": second_order("carried", "SCL101"),
    "two_step": second_order("carried", "SCL101"),
    "mean_of_two": second_order("carried", "SCL101"),
    "fading_mean": second_order("damped", "SCL205"),
    "extrapolated": second_order("expanding", "SCL101", "SCL201"),
    # The slope is made anew at every turn, from a normed state.
    "adams_bashforth": Expect(
        (
            State("carried", "invariant", name="h", line="h = h + 1.5 * now"),
            State("removed", "invariant|asymptotic", name="slope|now", optional=True),
        ),
        "SCL101",
    ),
    "runge_kutta": blind(),
    "runge_kutta_raw": blind("expanding", also="SCL201"),
    "ring": Expect(
        (State("carried", "invariant|asymptotic", name="a|b|c", line="a, b, c = b, c, a"),),
        "SCL101",
        loops=(1, 3),
        alike=True,
        carries=(),
        turns=(),
    ),
    # What is written to the average is a state that nothing restrains. Open: its cycle alone has
    # no weights, so that SCL205 need not be asked of it.
    "follower": Expect(
        (
            State("carried", "invariant|asymptotic", name="h", line="h = h + self.mlp"),
            State("damped", "invariant", name="average", line="0.9 * average"),
        ),
        "SCL101",
        "SCL205",
        carries=("h", "average"),
    ),
    "follower_raw": Expect(
        (
            State("carried", "visible", name="h", line="h = h + self.mlp"),
            State("damped", "visible", name="average", line="0.9 * average"),
        ),
        carries=("h", "average"),
    ),
    "lateral": Expect(
        (
            State(
                "carried",
                "invariant|asymptotic",
                name="s|streams|streams[0]",
                line="s + block(total)",
            ),
        ),
        "SCL101",
        alike=True,
        carries=(),
    ),
    # The inner state starts from a normed one at every outer turn. Open: it is carried by the turns
    # of the inner loop, and removed over the period of the outer one.
    "inner_residual": nested(
        State("carried", "invariant", name="h", line="return h + z"),
        State("carried|removed", "invariant|asymptotic", name="z", line="z = z + self.inner"),
        carries=("h", "z"),
    ),
    "inner_residual_normed": Expect(
        (
            State("removed", "invariant", name="h", line="return F.rms_norm(h + z"),
            State("carried|removed", "invariant|asymptotic", name="z", line="z = z + self.inner"),
        ),
        maybe="SCL101",
        loops=(1, 2, 4),
        alike=True,
        verdict="pass|fail",
        carries=("h", "z"),
        turns=(),
    ),
    "segments": nested(State("carried", "invariant", name="h", line="h = h + self.mlp")),
    "segments_raw": nested(
        State("carried", "visible", name="h", line="h = h + self.mlp"), codes=""
    ),
}


def scaleaudit_target_heavy_ball() -> dict[str, Any]:
    return target(HeavyBall())


def scaleaudit_target_nesterov() -> dict[str, Any]:
    return target(Nesterov())


def scaleaudit_target_two_step() -> dict[str, Any]:
    return target(TwoStep())


def scaleaudit_target_mean_of_two() -> dict[str, Any]:
    return target(MeanOfTwo())


def scaleaudit_target_fading_mean() -> dict[str, Any]:
    return target(FadingMean())


def scaleaudit_target_extrapolated() -> dict[str, Any]:
    return target(Extrapolated())


def scaleaudit_target_adams_bashforth() -> dict[str, Any]:
    return target(AdamsBashforth())


def scaleaudit_target_runge_kutta() -> dict[str, Any]:
    return target(RungeKutta())


def scaleaudit_target_runge_kutta_raw() -> dict[str, Any]:
    return target(RungeKuttaRaw())


def scaleaudit_target_ring() -> dict[str, Any]:
    return target(Ring())


def scaleaudit_target_follower() -> dict[str, Any]:
    return target(Follower())


def scaleaudit_target_follower_raw() -> dict[str, Any]:
    return target(FollowerRaw())


def scaleaudit_target_lateral() -> dict[str, Any]:
    return target(Lateral())


def scaleaudit_target_inner_residual() -> dict[str, Any]:
    return target(InnerResidual())


def scaleaudit_target_inner_residual_normed() -> dict[str, Any]:
    return target(InnerResidualNormed())


def scaleaudit_target_segments() -> dict[str, Any]:
    return target(Segments(), summed)


def scaleaudit_target_segments_raw() -> dict[str, Any]:
    return target(SegmentsRaw(), summed)
