"""States that step at different rates, and states whose gains pass through one another."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind
from parts import TURNS, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F

CYCLES, STEPS = 3, 2


class Level(nn.Module):
    """Steps a state of its own inside a method, several times a call."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def settle(self, z: Tensor, given: Tensor) -> Tensor:
        for _ in range(STEPS):
            z = z + self.mlp(F.rms_norm(z + given, (D,)))
        return z


class LevelPostNorm(Level):
    def settle(self, z: Tensor, given: Tensor) -> Tensor:
        for _ in range(STEPS):
            z = F.rms_norm(z + given + self.mlp(z + given), (D,))
        return z


class Hierarchy(Language):
    """All cycles but the last run without gradient and are detached; the slow state is read."""

    level: type[Level] = Level

    def __init__(self) -> None:
        super().__init__()
        self.low_level, self.high_level = self.level(), self.level()

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        z_h, z_l = torch.ones_like(x), torch.ones_like(x)
        with torch.no_grad():
            for _ in range(CYCLES - 1):
                z_l = self.low_level.settle(z_l, z_h + x)
                z_h = self.high_level.settle(z_h, z_l)
        z_h, z_l = z_h.detach(), z_l.detach()
        z_l = self.low_level.settle(z_l, z_h + x)
        z_h = self.high_level.settle(z_h, z_l)
        return self.head(self.norm(z_h))


class HierarchyPostNorm(Hierarchy):
    level = LevelPostNorm


class HierarchyRaw(Language):
    """Both states are read raw after every cycle."""

    def __init__(self) -> None:
        super().__init__()
        self.low_level, self.high_level = Mlp(), Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        z_h = z_l = torch.zeros_like(x)
        logits = []
        for _ in range(CYCLES):
            for _ in range(STEPS):
                z_l = z_l + self.low_level(self.norm(z_l + z_h + x))
            z_h = z_h + self.high_level(self.norm(z_h + z_l))
            logits.append(self.head(z_h) + self.head(z_l))
        return torch.stack(logits).mean(0)


class ThreeLevels(Language):
    """Seconds, minutes and hours, as closures over three blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(Mlp() for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        hours = minutes = seconds = torch.zeros_like(x)

        def moved(level: int, state: Tensor, given: Tensor) -> Tensor:
            return state + self.levels[level](F.rms_norm(state + given, (D,)))

        for _ in range(2):
            for _ in range(2):
                for _ in range(2):
                    seconds = moved(0, seconds, minutes + x)
                minutes = moved(1, minutes, seconds + hours)
            hours = moved(2, hours, minutes)
        return self.head(self.norm(hours))


class EverySecondTurn(Language):
    """The slow state steps at every second turn of one loop."""

    def __init__(self) -> None:
        super().__init__()
        self.quick, self.lazy = Mlp(), Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        fast = slow = self.embed(tokens)
        for turn in range(6):
            fast = fast + self.quick(F.rms_norm(fast + slow, (D,)))
            if turn % 2 == 1:
                slow = slow + self.lazy(F.rms_norm(fast, (D,)))
        return self.head(self.norm(slow)) + self.head(self.norm(fast))


class EverySecondTurnNormed(EverySecondTurn):
    """Both forget their length, the slow one every second turn."""

    def forward(self, tokens: Tensor) -> Tensor:
        fast = slow = self.embed(tokens)
        for turn in range(6):
            fast = F.rms_norm(fast + self.quick(F.rms_norm(fast + slow, (D,))), (D,))
            slow = slow + 0.1 * self.lazy(fast)
            if turn % 2 == 1:
                slow = F.rms_norm(slow, (D,))
        return self.head(self.norm(slow)) + self.head(self.norm(fast))


class Pair(Language):
    """Two states a and b that step together; both are read through a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        a = self.embed(tokens)
        b = torch.flip(a, (1,))
        for _ in range(TURNS):
            a, b = self.step(a, b)
        return self.head(self.norm(a)) + self.head(self.norm(b))

    def write(self, x: Tensor) -> Tensor:
        return self.mlp(F.rms_norm(x, (D,)))

    def step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


class Averaging(Pair):
    """Each takes half of both: no single factor reaches 1, their sum does."""

    def step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return 0.5 * a + 0.5 * b, 0.5 * b + 0.5 * a + self.write(a)


class Leaking(Pair):
    """Each takes 0.4 of itself and 0.3 of the other: 0.7 of both is left."""

    def step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return 0.4 * a + 0.3 * b, 0.3 * a + 0.4 * b + self.write(a)


class LeakingBounded(Pair):
    def step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return 0.4 * a + 0.3 * b, 0.3 * a + 0.4 * b + torch.tanh(self.write(a))


class Amplifying(Pair):
    """No factor exceeds 1, and the sum of both grows by half at every turn."""

    def step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return 0.75 * a + 0.75 * b, 0.75 * a + 0.75 * b + self.write(a)


class Swapped(Pair):
    def step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return b, a + self.write(a + b)


class SwappedHalved(Pair):
    """Every second turn has lost half."""

    def step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return b, 0.5 * a + self.write(a + b)


class Rotated(Pair):
    """Turned in the plane of a and b: lengths are kept, though 0.8 + 0.6 exceeds 1."""

    def step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return 0.8 * a - 0.6 * b, 0.6 * a + 0.8 * b + self.write(a)


class Leapfrog(Language):
    """Position and momentum, each moved by the other."""

    def __init__(self) -> None:
        super().__init__()
        self.force = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        q = self.embed(tokens)
        p = torch.zeros_like(q)
        for _ in range(TURNS):
            p = p + self.force(F.rms_norm(q, (D,)))
            q = q + 0.1 * p
        return self.head(self.norm(q))


class MomentumNormed(Language):
    """The position is normed at every turn; the velocity decays and is written to freely."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        velocity = torch.zeros_like(h)
        for _ in range(TURNS):
            velocity = 0.9 * velocity + self.mlp(h)
            h = F.rms_norm(h + velocity, (D,))
        return self.head(self.norm(h))


class ReversibleHalves(Language):
    """One tensor, two halves that write to each other in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.g = Mlp(D // 2), Mlp(D // 2)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            left, right = h.chunk(2, dim=-1)
            left = left + self.f(F.layer_norm(right, (D // 2,)))
            right = right + self.g(F.layer_norm(left, (D // 2,)))
            h = torch.cat((left, right), dim=-1)
        return self.head(self.norm(h))


def nest(*states: State, codes: str = "SCL101", maybe: str = "", carries: Any = ()) -> Expect:
    """A nest counts as one loop or as several; a state may have an entry in each."""
    return Expect(states, codes, maybe, (1, 2, 3), alike=True, carries=carries, turns=())


def pair(transition: str, codes: str, maybe: str = "") -> Expect:
    """Two states that the step couples; each is read through its norm."""
    both = tuple(State(transition, "invariant", name=name) for name in "ab")
    return Expect(both, codes, maybe, carries=("a", "b"))


def one_or_two(transition: str, codes: str) -> Expect:
    """Of a swapped pair one is the other of a turn ago: one state, or two."""
    state = State(transition, "invariant", name="a|b", line="return b, ")
    return Expect((state,), codes, alike=True, carries=())


EXPECT = {
    "hierarchy": nest(
        State("carried", "invariant", name="z_h|z|z (2)", line="z = z + self.mlp"),
        # It reaches the loss through z_h alone, beside the input.
        State("carried", "invariant|asymptotic", name="z_l|z|z (2)", line="z = z + self.mlp"),
    ),
    "hierarchy_post_norm": nest(State("removed", "invariant|asymptotic"), codes=""),
    "hierarchy_raw": nest(
        State("carried", "visible", name="z_h", line="z_h = z_h + self.high_level"),
        State("carried", "visible", name="z_l", line="z_l = z_l + self.low_level"),
        codes="",
        carries=("z_h", "z_l"),
    ),
    "three_levels": nest(
        State("carried", "invariant", name="hours", proof="return state + self.levels"),
        State("carried", "invariant|asymptotic", name="minutes|seconds", line="return state +"),
        carries=("hours", "minutes", "seconds"),
    ),
    # The slow state's period is two turns.
    "every_second_turn": nest(
        State("carried", "invariant", name="fast", line="fast = fast + self.quick"),
        State("carried", "invariant", name="slow", line="slow = slow + self.lazy"),
        carries=("fast",),
    ),
    "every_second_turn_normed": nest(State("removed", "invariant"), codes=""),
    "averaging": pair("carried", "SCL101"),
    "leaking": pair("damped", "SCL205"),
    "leaking_bounded": pair("damped|bounded", ""),
    # A fixed factor above 1, as doubling is.
    "amplifying": pair("expanding", "SCL101", "SCL201"),
    "swapped": one_or_two("carried", "SCL101"),
    "swapped_halved": one_or_two("damped", "SCL205"),
    "rotated": pair("carried", "SCL101"),
    # The gain matrix is a Jordan block: its radius is 1, and q grows faster than p.
    "leapfrog": Expect(
        (
            State("carried", "invariant", name="q", line="q = q + 0.1 * p"),
            State("carried", "invariant|asymptotic", name="p", line="p = p + self.force"),
        ),
        "SCL101",
        carries=("q", "p"),
    ),
    "momentum_normed": Expect(
        (
            State("removed", "invariant", name="h"),
            State("damped", "invariant|asymptotic", name="velocity", line="0.9 * velocity"),
        ),
        "SCL205",
        carries=("h", "velocity"),
    ),
    "reversible_halves": blind(),
}


def scaleaudit_target_hierarchy() -> dict[str, Any]:
    return target(Hierarchy())


def scaleaudit_target_hierarchy_post_norm() -> dict[str, Any]:
    return target(HierarchyPostNorm())


def scaleaudit_target_hierarchy_raw() -> dict[str, Any]:
    return target(HierarchyRaw())


def scaleaudit_target_three_levels() -> dict[str, Any]:
    return target(ThreeLevels())


def scaleaudit_target_every_second_turn() -> dict[str, Any]:
    return target(EverySecondTurn())


def scaleaudit_target_every_second_turn_normed() -> dict[str, Any]:
    return target(EverySecondTurnNormed())


def scaleaudit_target_averaging() -> dict[str, Any]:
    return target(Averaging())


def scaleaudit_target_leaking() -> dict[str, Any]:
    return target(Leaking())


def scaleaudit_target_leaking_bounded() -> dict[str, Any]:
    return target(LeakingBounded())


def scaleaudit_target_amplifying() -> dict[str, Any]:
    return target(Amplifying())


def scaleaudit_target_swapped() -> dict[str, Any]:
    return target(Swapped())


def scaleaudit_target_swapped_halved() -> dict[str, Any]:
    return target(SwappedHalved())


def scaleaudit_target_rotated() -> dict[str, Any]:
    return target(Rotated())


def scaleaudit_target_leapfrog() -> dict[str, Any]:
    return target(Leapfrog())


def scaleaudit_target_momentum_normed() -> dict[str, Any]:
    return target(MomentumNormed())


def scaleaudit_target_reversible_halves() -> dict[str, Any]:
    return target(ReversibleHalves())
