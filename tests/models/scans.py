"""Linear recurrences by associative scans and cumulative sums: in parallel, yet recurrences."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State
from parts import D, Language, target
from torch import Tensor, nn
from torch._higher_order_ops import associative_scan
from torch.nn import functional as F


def linear(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Compose two steps x -> a x + b."""
    a, b = before
    c, d = after
    return c * a, c * b + d


class Gated(Language):
    """h[t] = a[t] h[t-1] + b[t], where gate and write come from the input alone."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.write = nn.Linear(D, D), nn.Linear(D, D)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        return self.read(self.scanned(self.decay(x), self.write(x)))

    def decay(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.gate(x))

    def scanned(self, a: Tensor, b: Tensor) -> Tensor:
        return associative_scan(linear, (a, b), dim=1, combine_mode="generic")[1]

    def read(self, h: Tensor) -> Tensor:
        return self.head(self.norm(h))


class GatedRaw(Gated):
    def read(self, h: Tensor) -> Tensor:
        return self.head(h)


class Convex(Gated):
    """The minimal recurrent unit: what is forgotten is what is written, bounded."""

    def scanned(self, a: Tensor, b: Tensor) -> Tensor:
        mixed = (a, (1 - a) * torch.tanh(b))
        return associative_scan(linear, mixed, dim=1, combine_mode="generic")[1]


class Backwards(Gated):
    def scanned(self, a: Tensor, b: Tensor) -> Tensor:
        return associative_scan(linear, (a, b), dim=1, reverse=True, combine_mode="generic")[1]


class Summed(Gated):
    """Prefix sums of one tensor."""

    def scanned(self, a: Tensor, b: Tensor) -> Tensor:
        return associative_scan(torch.add, a * b, dim=1, combine_mode="generic")


class Greatest(Gated):
    """Prefix maxima: homogeneous, and no longer than the longest that was written."""

    def scanned(self, a: Tensor, b: Tensor) -> Tensor:
        return associative_scan(torch.maximum, a * b, dim=1, combine_mode="generic")


class Stacked(Gated):
    """Two layers of scans with a residual, as these models are built."""

    def __init__(self) -> None:
        super().__init__()
        self.second = Gated()

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for layer in (self, self.second):
            y = F.layer_norm(x, (D,))
            x = x + layer.scanned(layer.decay(y), layer.write(y))
        return self.head(self.norm(x))


class InDepth(Gated):
    """One layer of a scan, run four times over in depth: that loop has weights in its cycle."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(4):
            y = F.layer_norm(h, (D,))
            h = h + self.scanned(self.decay(y), self.write(y))
        return self.read(h)


class InDepthNormed(InDepth):
    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(4):
            h = F.layer_norm(h + self.scanned(self.decay(h), self.write(h)), (D,))
        return self.read(h)


class CumulativeSums(Gated):
    """Linear attention in one go: prefix sums of outer products."""

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        outer = torch.einsum("bld,ble->blde", self.gate(x), self.write(x))
        return self.read(torch.einsum("bld,blde->ble", x, outer.cumsum(dim=1)))


class CumulativeInDepth(Gated):
    """A running mean over tokens inside of a looped block."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        counts = torch.arange(1, tokens.shape[1] + 1).view(-1, 1)
        for _ in range(4):
            y = torch.tanh(self.gate(F.rms_norm(h, (D,))))
            h = h + self.write(y.cumsum(dim=1) / counts)
        return self.read(h)


def over_time(transition: str, visibility: str, codes: str = "", **more: Any) -> Expect:
    """A scan is a loop over time; the gates that it multiplies up are a state or none."""
    state = State(transition, visibility, line="associative_scan|c * b + d")
    gates = State("damped", FIRST_APART, line="associative_scan|c * a", optional=True)
    return Expect((state, gates), codes, **{"turns": (), "carries": (), **more})


# Open: operators that sum in parallel show no steps, and need not be told as loops.
PARALLEL: dict[str, Any] = {"loops": (0, 1), "turns": (), "carries": (), "alike": True}

FIRST_APART = "invariant|asymptotic"

EXPECT = {
    # The first element is written before any state is carried: beside it the norm's answer fades.
    "gated": over_time("damped", FIRST_APART),
    "gated_raw": over_time("damped", "visible"),
    "convex": over_time("damped|bounded", FIRST_APART),
    "backwards": over_time("damped", FIRST_APART),
    "summed": over_time("carried", FIRST_APART),
    # Open: the larger of two is no linear form, so its gain is not told.
    "greatest": over_time("carried|damped|bounded|linear", FIRST_APART),
    # Open: a scan inside of another loop, or of layers that share its code, is not told by itself.
    "stacked": Expect(
        (State("damped", FIRST_APART, optional=True),),
        loops=(0, 1, 2),
        alike=True,
        turns=(),
        carries=(),
    ),
    "in_depth": Expect(
        (
            State("carried", "invariant", name="h", line="h = h + self.scanned"),
            State("damped", FIRST_APART, line="associative_scan|c * b + d", optional=True),
        ),
        "SCL101",
        loops=(1, 2, 5),
        alike=True,
        turns=(),
        carries=(),
    ),
    "in_depth_normed": Expect(
        (
            State("removed", "invariant", name="h", line="h = F.layer_norm(h +"),
            State("damped", FIRST_APART, line="associative_scan|c * b + d", optional=True),
        ),
        loops=(1, 2, 5),
        alike=True,
        turns=(),
        carries=(),
    ),
    "cumulative_sums": Expect((State("carried", "invariant"),), **PARALLEL),
    "cumulative_in_depth": Expect(
        (State("carried", "invariant", name="h", line="h = h + self.write"),), "SCL101"
    ),
}


def scaleaudit_target_gated() -> dict[str, Any]:
    return target(Gated())


def scaleaudit_target_gated_raw() -> dict[str, Any]:
    return target(GatedRaw())


def scaleaudit_target_convex() -> dict[str, Any]:
    return target(Convex())


def scaleaudit_target_backwards() -> dict[str, Any]:
    return target(Backwards())


def scaleaudit_target_summed() -> dict[str, Any]:
    return target(Summed())


def scaleaudit_target_greatest() -> dict[str, Any]:
    return target(Greatest())


def scaleaudit_target_stacked() -> dict[str, Any]:
    return target(Stacked())


def scaleaudit_target_in_depth() -> dict[str, Any]:
    return target(InDepth())


def scaleaudit_target_in_depth_normed() -> dict[str, Any]:
    return target(InDepthNormed())


def scaleaudit_target_cumulative_sums() -> dict[str, Any]:
    return target(CumulativeSums())


def scaleaudit_target_cumulative_in_depth() -> dict[str, Any]:
    return target(CumulativeInDepth())
