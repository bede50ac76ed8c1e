"""Weights that come round again: every way of writing a loop."""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from expect import Expect, State, blind
from parts import TURNS, Block, D, Language, target
from torch import Tensor, nn
from torch.nn import functional as F


class Untied(Language):
    """Six blocks, each with weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(6))

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


class ListedSixTimes(Untied):
    """One block object listed six times is a loop, whatever its paths are called."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([self.block] * 6)


class TiedParameters(Untied):
    """Six modules of their own, whose parameters are the same tensors."""

    def __init__(self) -> None:
        super().__init__()
        for block in self.blocks[1:]:
            block.norm.weight = self.blocks[0].norm.weight
            for name in ("up", "down"):
                first, other = getattr(self.blocks[0].mlp, name), getattr(block.mlp, name)
                other.weight, other.bias = first.weight, first.bias


class SequentialOfOne(Language):
    def __init__(self) -> None:
        super().__init__()
        self.stack = nn.Sequential(*[self.block] * TURNS)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.norm(self.stack(self.embed(tokens))))


class TwoGroups(Language):
    """ALBERT with two groups: layers 1 to 3 share one block, 4 to 6 another. Two loops."""

    def __init__(self) -> None:
        super().__init__()
        self.groups = nn.ModuleList([Block(), Block()])

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for layer in range(6):
            h = self.groups[layer // 3](h)
        return self.head(self.norm(h))


class Alternating(Language):
    """Two blocks take turns: one loop, whose turn is both."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = nn.ModuleList([Block(), Block()])

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for layer in range(2 * TURNS):
            h = self.pair[layer % 2](h)
        return self.head(self.norm(h))


class BareParameters(Language):
    """One matrix, used through functions in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(D, D) / D**0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + torch.tanh(F.rms_norm(h, (D,)) @ self.w)
        return self.head(F.rms_norm(h, (D,)))


class ByHand(Language):
    """Three calls on three lines."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        h = self.block(h)
        h = self.block(h)
        h = self.block(h)
        return self.head(self.norm(h))


class OneLine(Language):
    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.norm(self.block(self.block(self.block(self.embed(tokens))))))


class Helper(Language):
    """The loop stands in a function beside the class."""

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.norm(repeat(self.block, self.embed(tokens))))


def repeat(block: nn.Module, x: Tensor) -> Tensor:
    for _ in range(TURNS):
        x = block(x)
    return x


class Recursive(Language):
    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.norm(self.again(self.embed(tokens), TURNS)))

    def again(self, h: Tensor, turns: int) -> Tensor:
        return h if turns == 0 else self.again(self.block(h), turns - 1)


class Reduced(Language):
    def forward(self, tokens: Tensor) -> Tensor:
        h = reduce(lambda x, _: self.block(x), range(TURNS), self.embed(tokens))
        return self.head(self.norm(h))


class WhileLoop(Language):
    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        turn = 0
        while turn < TURNS:
            h = self.block(h)
            turn += 1
        return self.head(self.norm(h))


class LoopTiedHead(Language):
    """A loop whose head is the embedding: the loop is a loop for its block's sake."""

    def __init__(self) -> None:
        super().__init__()
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.block(h)
        return self.head(self.norm(h))


class Prelude(Language):
    """Untied layers before the loop are not part of it."""

    def __init__(self) -> None:
        super().__init__()
        self.prelude = nn.Sequential(Block(), Block())

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.prelude(self.embed(tokens))
        for _ in range(TURNS):
            h = self.block(h)
        return self.head(self.norm(h))


EXPECT = {
    "listed_six_times": Expect((State("carried", "invariant"),), "SCL101", turns=(6,)),
    "tied_parameters": Expect((State("carried", "invariant"),), "SCL101", turns=(6,)),
    "sequential_of_one": Expect((State("carried", "invariant"),), "SCL101", carries=()),
    # The first group's state goes on through the second: both are read by the final norm alone.
    "two_groups": Expect(
        (State("carried", "asymptotic"), State("carried", "invariant")),
        "SCL101",
        loops=(2,),
        carries=(),
        turns=(3,),
    ),
    "alternating": blind(),
    "bare_parameters": blind(),
    "by_hand": Expect((State("carried", "invariant"),), "SCL101", carries=(), turns=(3,)),
    "one_line": Expect((State("carried", "invariant"),), "SCL101", carries=(), turns=(3,)),
    "helper": Expect((State("carried", "invariant"),), "SCL101", carries=("x",)),
    "recursive": Expect((State("carried", "invariant"),), "SCL101", carries=()),
    "reduced": Expect((State("carried", "invariant"),), "SCL101", carries=()),
    "while_loop": blind(),
    "loop_tied_head": blind(),
    "prelude": blind(),
}


def scaleaudit_target_listed_six_times() -> dict[str, Any]:
    return target(ListedSixTimes())


def scaleaudit_target_tied_parameters() -> dict[str, Any]:
    return target(TiedParameters())


def scaleaudit_target_sequential_of_one() -> dict[str, Any]:
    return target(SequentialOfOne())


def scaleaudit_target_two_groups() -> dict[str, Any]:
    return target(TwoGroups())


def scaleaudit_target_alternating() -> dict[str, Any]:
    return target(Alternating())


def scaleaudit_target_bare_parameters() -> dict[str, Any]:
    return target(BareParameters())


def scaleaudit_target_by_hand() -> dict[str, Any]:
    return target(ByHand())


def scaleaudit_target_one_line() -> dict[str, Any]:
    return target(OneLine())


def scaleaudit_target_helper() -> dict[str, Any]:
    return target(Helper())


def scaleaudit_target_recursive() -> dict[str, Any]:
    return target(Recursive())


def scaleaudit_target_reduced() -> dict[str, Any]:
    return target(Reduced())


def scaleaudit_target_while_loop() -> dict[str, Any]:
    return target(WhileLoop())


def scaleaudit_target_loop_tied_head() -> dict[str, Any]:
    return target(LoopTiedHead())


def scaleaudit_target_prelude() -> dict[str, Any]:
    return target(Prelude())
