"""Control flow as operators: while_loop, scan, cond and map take the place of Python's own."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State
from parts import TURNS, D, Language, Mlp, target
from torch import Tensor, nn
from torch._higher_order_ops import map as mapped
from torch._higher_order_ops import scan
from torch.nn import functional as F


class While(Language):
    """A counter and a state; how often it turns is the counter's matter."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        def unfinished(turn: Tensor, h: Tensor) -> Tensor:
            return turn < TURNS

        def body(turn: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
            return turn + 1, self.step(h)

        _, h = torch.while_loop(unfinished, body, (torch.tensor(0), self.embed(tokens)))
        return self.read(h)

    def step(self, h: Tensor) -> Tensor:
        return h + self.mlp(F.rms_norm(h, (D,)))

    def read(self, h: Tensor) -> Tensor:
        return self.head(self.norm(h))


class WhileRaw(While):
    def read(self, h: Tensor) -> Tensor:
        return self.head(h)


class WhileNormed(While):
    def step(self, h: Tensor) -> Tensor:
        return F.rms_norm(h + self.mlp(h), (D,))


class WhileMoving(While):
    """Until it hardly moves, which the carry remembers."""

    def forward(self, tokens: Tensor) -> Tensor:
        def moving(turn: Tensor, moved: Tensor, h: Tensor) -> Tensor:
            return (moved > 1e-3) & (turn < TURNS)

        def body(turn: Tensor, moved: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            after = self.step(h)
            return turn + 1, (after - h).detach().norm() / (h.detach().norm() + 1), after

        start = (torch.tensor(0), torch.tensor(1.0), self.embed(tokens))
        return self.read(torch.while_loop(moving, body, start)[2])


class WhileNested(While):
    """A fast state is settled by a loop inside of the slow one's."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = Mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)

        def settled(low: Tensor, high: Tensor) -> Tensor:
            def inner(turn: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
                return turn + 1, z + self.mlp(F.rms_norm(z + high + x, (D,)))

            return torch.while_loop(lambda turn, z: turn < 2, inner, (torch.tensor(0), low))[1]

        def body(turn: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            low = settled(low, high)
            return turn + 1, low, high + self.slow(F.rms_norm(high + low, (D,)))

        start = (torch.tensor(0), torch.zeros_like(x), torch.zeros_like(x))
        return self.read(torch.while_loop(lambda turn, low, high: turn < 3, body, start)[2])


class Scan(Language):
    """A recurrence over time by the operator."""

    def __init__(self) -> None:
        super().__init__()
        self.u, self.w = nn.Linear(D, D), nn.Linear(D, D)

    def forward(self, tokens: Tensor) -> Tensor:
        def body(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
            h = self.step(h, x)
            return h, h.clone()

        xs = self.embed(tokens)
        _, hs = scan(body, torch.zeros_like(xs[:, 0]), xs, dim=1)
        return self.read(hs.transpose(0, 1))

    def step(self, h: Tensor, x: Tensor) -> Tensor:
        return torch.tanh(self.u(x) + self.w(h))

    def read(self, h: Tensor) -> Tensor:
        return self.head(self.norm(h))


class ScanRelu(Scan):
    def step(self, h: Tensor, x: Tensor) -> Tensor:
        return torch.relu(self.u(x) + self.w(h))


class ScanResidual(Scan):
    def step(self, h: Tensor, x: Tensor) -> Tensor:
        return h + self.w(F.silu(self.u(x + F.rms_norm(h, (D,)))))


class ScanRaw(ScanResidual):
    def read(self, h: Tensor) -> Tensor:
        return self.head(h)


class ScanMemory(Scan):
    """Two states in a dictionary, last token first: an LSTM in reverse."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Linear(2 * D, 4 * D)

    def forward(self, tokens: Tensor) -> Tensor:
        def body(carry: dict[str, Tensor], x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
            i, f, g, o = self.gates(torch.cat((x, carry["h"]), dim=-1)).chunk(4, dim=-1)
            c = torch.sigmoid(f) * carry["c"] + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            return {"h": h, "c": c}, h.clone()

        xs = self.embed(tokens).transpose(0, 1)
        start = {"h": torch.zeros_like(xs[0]), "c": torch.zeros_like(xs[0])}
        _, hs = scan(body, start, xs, reverse=True)
        return self.read(hs.transpose(0, 1))


class ScanInDepth(Language):
    """The loop over turns is a scan over the turns' embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()
        self.turns = nn.Parameter(torch.randn(TURNS, D))

    def forward(self, tokens: Tensor) -> Tensor:
        def body(h: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
            h = h + self.mlp(F.rms_norm(h, (D,)) + turn)
            return h, h.mean(-1)

        h, _ = scan(body, self.embed(tokens), self.turns)
        return self.head(self.norm(h))


class CondInLoop(While):
    """Two ways to step, of which one or the other is taken."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = torch.cond(h.sum() > 0, self.step, lambda h: h + self.block.mlp(self.norm(h)), (h,))
        return self.read(h)


class CondKeepsOrHalves(While):
    """Under one branch it is kept: halving under the other is no bound."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = torch.cond(h.sum() > 0, self.step, lambda h: 0.5 * h + self.mlp(self.norm(h)), (h,))
        return self.read(h)


class MapInLoop(While):
    """Every sequence of the batch on its own."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = mapped(self.step, h)
        return self.read(h)


class VmapInLoop(While):
    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = torch.vmap(self.step)(h)
        return self.read(h)


def one(transition: str, visibility: str, codes: str = "", line: str = "", **more: Any) -> Expect:
    """One state h; a counter in a tensor says how often it turns, or the data do."""
    state = State(transition, visibility, name=more.pop("name", "h"), line=line)
    return Expect((state,), codes, **{"carries": (), "turns": (), **more})


EIGHT = {"turns": (8,)}
STEP = "return h + self.mlp"

EXPECT = {
    "while_loop": one("carried", "invariant", "SCL101", STEP),
    "while_raw": one("carried", "visible", "", STEP),
    "while_normed": one("removed", "invariant", "", "return F.rms_norm(h + self"),
    # Open: whether a change of which only the condition hears is an unsupervised readout.
    "while_moving": one("carried", "invariant", "SCL101", STEP, name="h|after", maybe="SCL103"),
    "while_nested": Expect(
        (
            State("carried", "invariant", name="high", line="high + self.slow"),
            State("carried", "invariant|asymptotic", name="low|z", line="z + self.mlp"),
        ),
        "SCL101",
        loops=(1, 2),
        alike=True,
        carries=(),
        turns=(),
    ),
    "scan": one("bounded", "invariant", "", "torch.tanh(self.u", **EIGHT),
    "scan_relu": one("linear", "invariant", "SCL101 SCL202", "torch.relu(self.u", **EIGHT),
    "scan_residual": one("carried", "invariant", "SCL101", "return h + self.w", **EIGHT),
    "scan_raw": one("carried", "visible", "", "return h + self.w", **EIGHT),
    "scan_memory": Expect(
        (
            State("bounded", "invariant", line="h = torch.sigmoid(o)"),
            State("damped|bounded", "invariant|saturating", line="c = torch.sigmoid(f)"),
        ),
        carries=(),
        **EIGHT,
    ),
    "scan_in_depth": one("carried", "invariant", "SCL101", "h = h + self.mlp", turns=(TURNS,)),
    "cond_in_loop": one("carried", "invariant", "SCL101", turns=(TURNS,)),
    "cond_keeps_or_halves": one("carried", "invariant", "SCL101", turns=(TURNS,)),
    # Open: whether each sequence is a state of its own, in a loop of its own.
    # Open: one sequence's state alone, beside those of the others.
    "map_in_loop": one(
        "carried",
        "invariant|asymptotic",
        "SCL101",
        name="",
        turns=(TURNS,),
        loops=(1, 2),
        alike=True,
    ),
    "vmap_in_loop": one("carried", "invariant", "SCL101", STEP, turns=(TURNS,)),
}


def scaleaudit_target_while_loop() -> dict[str, Any]:
    return target(While())


def scaleaudit_target_while_raw() -> dict[str, Any]:
    return target(WhileRaw())


def scaleaudit_target_while_normed() -> dict[str, Any]:
    return target(WhileNormed())


def scaleaudit_target_while_moving() -> dict[str, Any]:
    return target(WhileMoving())


def scaleaudit_target_while_nested() -> dict[str, Any]:
    return target(WhileNested())


def scaleaudit_target_scan() -> dict[str, Any]:
    return target(Scan())


def scaleaudit_target_scan_relu() -> dict[str, Any]:
    return target(ScanRelu())


def scaleaudit_target_scan_residual() -> dict[str, Any]:
    return target(ScanResidual())


def scaleaudit_target_scan_raw() -> dict[str, Any]:
    return target(ScanRaw())


def scaleaudit_target_scan_memory() -> dict[str, Any]:
    return target(ScanMemory())


def scaleaudit_target_scan_in_depth() -> dict[str, Any]:
    return target(ScanInDepth())


def scaleaudit_target_cond_in_loop() -> dict[str, Any]:
    return target(CondInLoop())


def scaleaudit_target_cond_keeps_or_halves() -> dict[str, Any]:
    return target(CondKeepsOrHalves())


def scaleaudit_target_map_in_loop() -> dict[str, Any]:
    return target(MapInLoop())


def scaleaudit_target_vmap_in_loop() -> dict[str, Any]:
    return target(VmapInLoop())
