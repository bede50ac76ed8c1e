"""Norms by any name and in any place: before the head, between loops, bypassed, built for nothing."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F


class Reader(Language):
    """A looped pre-norm block; subclasses norm the last state their own way."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.block(h)
        return self.head(self.scaled(h))

    def scaled(self, h: Tensor) -> Tensor:
        raise NotImplementedError


class RootMeanSquare(Reader):
    def scaled(self, h: Tensor) -> Tensor:
        return h / torch.sqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)


class Rsqrt(Reader):
    """The norm of LLaMA's code, through float32 and back, with a gain."""

    def scaled(self, h: Tensor) -> Tensor:
        x = h.float()
        x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)
        return x.type_as(h) * self.norm.weight


class UnitLength(Reader):
    def scaled(self, h: Tensor) -> Tensor:
        return h / h.norm(dim=-1, keepdim=True)


class LinalgLength(Reader):
    def scaled(self, h: Tensor) -> Tensor:
        return h / (torch.linalg.vector_norm(h, dim=-1, keepdim=True) + 1e-8)


class Normalize(Reader):
    def scaled(self, h: Tensor) -> Tensor:
        return D**0.5 * F.normalize(h, dim=-1)


class Standardised(Reader):
    def scaled(self, h: Tensor) -> Tensor:
        mean, std = h.mean(-1, keepdim=True), h.std(-1, keepdim=True)
        return (h - mean) / (std + 1e-5)


class LargestEntry(Reader):
    def scaled(self, h: Tensor) -> Tensor:
        return h / h.abs().amax(dim=-1, keepdim=True).clamp_min(1e-6)


class FunctionalNorm(Reader):
    def scaled(self, h: Tensor) -> Tensor:
        return F.layer_norm(h, (D,))


class WholeTensor(Reader):
    """One factor for the whole tensor: only the common scale goes."""

    def scaled(self, h: Tensor) -> Tensor:
        return h / h.norm()


class BatchNorm(Reader):
    """In training, batch statistics divide the length out, a channel at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(D)

    def scaled(self, h: Tensor) -> Tensor:
        return self.bn(h.transpose(1, 2)).transpose(1, 2)


class FrozenBatchNorm(Reader):
    """Fixed statistics make an affine map, which hides nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(D))
        self.register_buffer("variance", torch.ones(D))

    def scaled(self, h: Tensor) -> Tensor:
        flat = F.batch_norm(h.flatten(0, 1), self.mean, self.variance, training=False)
        return flat.view_as(h)


class NeverCalled(Reader):
    """self.norm exists and nobody calls it."""

    def scaled(self, h: Tensor) -> Tensor:
        return h


class Between(Language):
    """``between`` stands at the end of every turn; the readout is normed again."""

    def __init__(self) -> None:
        super().__init__()
        self.between = nn.RMSNorm(D)
        self.mlp = Mlp()
        self.inner = nn.RMSNorm(D)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for turn in range(TURNS):
            h = self.step(h, turn)
        return self.head(self.norm(h))

    def step(self, h: Tensor, turn: int) -> Tensor:
        return self.between(self.block(h))


class BetweenRawHead(Between):
    """The raw head would be safe without the norm as well: here the loop is what is safe."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for turn in range(TURNS):
            h = self.step(h, turn)
        return self.head(h)


class PostNorm(Between):
    def step(self, h: Tensor, turn: int) -> Tensor:
        return self.between(h + self.mlp(h))


class EverySecondTurn(Between):
    def step(self, h: Tensor, turn: int) -> Tensor:
        h = self.block(h)
        return self.between(h) if turn % 2 else h


class AtTheEnd(Between):
    """Most turns only add, and nothing shows the loss how much."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for turn in range(2 * TURNS):
            h = self.step(h, turn)
        return self.head(self.norm(h))

    def step(self, h: Tensor, turn: int) -> Tensor:
        h = self.block(h)
        return self.between(h) if turn >= 2 * TURNS - 2 else h


class BeforeFirstTurn(Between):
    def step(self, h: Tensor, turn: int) -> Tensor:
        return self.block(self.between(h) if turn == 0 else h)


class OuterSkip(Between):
    """The turn ends in a norm, and a skip path carries the raw state around it."""

    def step(self, h: Tensor, turn: int) -> Tensor:
        return h + self.between(self.block(h))


class NeverCalledBetween(Between):
    """A norm between loops was planned."""

    def step(self, h: Tensor, turn: int) -> Tensor:
        return self.block(h)


class OnACopy(Between):
    """Each turn makes a normed copy, and carries the other one on."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        copy = h
        for _ in range(TURNS):
            h = self.block(h)
            copy = self.between(h)
        return self.head(copy)


class NormedSkip(Between):
    """Input of the branch is normed, its skip starts from the normed copy too."""

    def step(self, h: Tensor, turn: int) -> Tensor:
        y = self.inner(h)
        return y + self.mlp(y)


class WholeTensorBetween(Between):
    """Only the common scale of the whole tensor is removed."""

    def step(self, h: Tensor, turn: int) -> Tensor:
        h = self.block(h)
        return h / h.norm() * 10


class DividedByItem(Between):
    """The length passes through a Python number and divides the state all the same."""

    def step(self, h: Tensor, turn: int) -> Tensor:
        h = self.block(h)
        return h / h.norm().item() * 10


class GrowingAfterNorm(Between):
    """The norm comes first in the turn; what follows adds to a fixed length."""

    def step(self, h: Tensor, turn: int) -> Tensor:
        return self.block(self.between(h))


class Centred(Between):
    """Its mean is taken from the state after every turn, which leaves its length to grow."""

    def step(self, h: Tensor, turn: int) -> Tensor:
        h = self.block(h)
        return h - h.mean(-1, keepdim=True)


class CentredAtFirst(Between):
    """The mean is taken from what enters; then two writes follow, whose norms take means again."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(D), nn.Linear(D, D), nn.GELU()) for _ in range(2)
        )

    def step(self, h: Tensor, turn: int) -> Tensor:
        h = h - h.mean(-1, keepdim=True)
        for write in self.writes:
            h = h + write(h)
        return h


class StandardisedBetween(Between):
    """A norm written by hand: of what it has centred, the next turn takes the mean again."""

    def step(self, h: Tensor, turn: int) -> Tensor:
        h = self.block(h)
        return (h - h.mean(-1, keepdim=True)) / (h.std(-1, keepdim=True) + 1e-6)


class PlainLayerNorm(Between):
    """A norm without gain and bias leaves the state centred too."""

    def step(self, h: Tensor, turn: int) -> Tensor:
        return F.layer_norm(self.block(h), (D,))


class Leaking(Between):
    """Each turn moves the state towards a bounded function of it: no norm, and no growth."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.zeros(()))

    def step(self, h: Tensor, turn: int) -> Tensor:
        return torch.lerp(h, self.bounded(self.block(h)), self.rate.sigmoid())

    def bounded(self, x: Tensor) -> Tensor:
        return torch.tanh(x)


class LeakingNorm(Leaking):
    def bounded(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (D,))


class SquashedWrite(Between):
    """What is added is squashed, which is no norm that something goes around."""

    def step(self, h: Tensor, turn: int) -> Tensor:
        return h + torch.tanh(self.block(h))


EXPECT = {
    "root_mean_square": blind(),
    "rsqrt": blind(),
    "unit_length": blind(),
    "linalg_length": blind(),
    "normalize": blind(),
    "standardised": blind(),
    "largest_entry": blind(),
    "functional_norm": blind(),
    # All positions are scaled together, so the common factor goes; a single token's would not.
    "whole_tensor": blind(),
    "batch_norm": blind(),
    "frozen_batch_norm": safe("carried", "visible"),
    "never_called": safe("carried", "visible"),
    "between": safe("removed", "invariant"),
    "between_raw_head": safe("removed", "visible"),
    "post_norm": safe("removed", "invariant"),
    # A turn is one block, or the period of two.
    "every_second_turn": Expect((State("removed", "invariant"),), turns=(2, 4)),
    # The turns differ, so that the figures of one say nothing of the others.
    "at_the_end": Expect((State("carried", "invariant"),), "SCL101", carries=(), turns=(8,)),
    "before_first_turn": blind(),
    "outer_skip": blind(also="SCL203"),
    "never_called_between": blind(),
    "on_a_copy": blind(),
    "normed_skip": safe("removed", "invariant"),
    # As for the readout: common scale is removed, a single token's share is not.
    "whole_tensor_between": safe("removed", "invariant"),
    "divided_by_item": Expect((State("removed", "invariant"),)),
    "growing_after_norm": safe("removed", "invariant"),
    "centred": blind(),
    "centred_at_first": blind(visibility="invariant|asymptotic"),
    "standardised_between": safe("removed", "invariant"),
    "plain_layer_norm": safe("removed", "invariant"),
    "leaking": safe("bounded", "invariant"),
    "leaking_norm": safe("bounded", "invariant"),
    "squashed_write": blind(),
}


def scaleaudit_target_root_mean_square() -> dict[str, Any]:
    return target(RootMeanSquare())


def scaleaudit_target_rsqrt() -> dict[str, Any]:
    return target(Rsqrt())


def scaleaudit_target_unit_length() -> dict[str, Any]:
    return target(UnitLength())


def scaleaudit_target_linalg_length() -> dict[str, Any]:
    return target(LinalgLength())


def scaleaudit_target_normalize() -> dict[str, Any]:
    return target(Normalize())


def scaleaudit_target_standardised() -> dict[str, Any]:
    return target(Standardised())


def scaleaudit_target_largest_entry() -> dict[str, Any]:
    return target(LargestEntry())


def scaleaudit_target_functional_norm() -> dict[str, Any]:
    return target(FunctionalNorm())


def scaleaudit_target_whole_tensor() -> dict[str, Any]:
    return target(WholeTensor())


def scaleaudit_target_batch_norm() -> dict[str, Any]:
    return target(BatchNorm())


def scaleaudit_target_frozen_batch_norm() -> dict[str, Any]:
    return target(FrozenBatchNorm())


def scaleaudit_target_never_called() -> dict[str, Any]:
    return target(NeverCalled())


def scaleaudit_target_between() -> dict[str, Any]:
    return target(Between())


def scaleaudit_target_between_raw_head() -> dict[str, Any]:
    return target(BetweenRawHead())


def scaleaudit_target_post_norm() -> dict[str, Any]:
    return target(PostNorm())


def scaleaudit_target_at_the_end() -> dict[str, Any]:
    return target(AtTheEnd())


def scaleaudit_target_every_second_turn() -> dict[str, Any]:
    return target(EverySecondTurn())


def scaleaudit_target_before_first_turn() -> dict[str, Any]:
    return target(BeforeFirstTurn())


def scaleaudit_target_outer_skip() -> dict[str, Any]:
    return target(OuterSkip())


def scaleaudit_target_never_called_between() -> dict[str, Any]:
    return target(NeverCalledBetween())


def scaleaudit_target_on_a_copy() -> dict[str, Any]:
    return target(OnACopy())


def scaleaudit_target_normed_skip() -> dict[str, Any]:
    return target(NormedSkip())


def scaleaudit_target_whole_tensor_between() -> dict[str, Any]:
    return target(WholeTensorBetween())


def scaleaudit_target_divided_by_item() -> dict[str, Any]:
    return target(DividedByItem())


def scaleaudit_target_growing_after_norm() -> dict[str, Any]:
    return target(GrowingAfterNorm())


def scaleaudit_target_leaking() -> dict[str, Any]:
    return target(Leaking())


def scaleaudit_target_leaking_norm() -> dict[str, Any]:
    return target(LeakingNorm())


def scaleaudit_target_squashed_write() -> dict[str, Any]:
    return target(SquashedWrite())


def scaleaudit_target_centred() -> dict[str, Any]:
    return target(Centred())


def scaleaudit_target_centred_at_first() -> dict[str, Any]:
    return target(CentredAtFirst())


def scaleaudit_target_standardised_between() -> dict[str, Any]:
    return target(StandardisedBetween())


def scaleaudit_target_plain_layer_norm() -> dict[str, Any]:
    return target(PlainLayerNorm())
