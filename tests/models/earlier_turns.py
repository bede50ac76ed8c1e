"""Residuals over earlier turns: every turn starts from a mean of the last states."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind
from parts import TURNS, D, Language, Mlp, target
from torch import Tensor, nn

SPAN = 3


class Dense(Language):
    """The weights of the mean are a softmax of learned numbers."""

    def __init__(self, *, final: bool = True) -> None:
        super().__init__()
        self.mlp, self.inner = Mlp(), nn.RMSNorm(D)
        self.weights = nn.Parameter(torch.zeros(SPAN))
        self.final = nn.RMSNorm(D) if final else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        states = [h] * SPAN
        for _ in range(TURNS):
            h = self.mixed(states[-SPAN:])
            h = h + self.mlp(self.inner(h))
            states.append(h)
        return self.head(self.final(h))

    def mixed(self, states: list[Tensor]) -> Tensor:
        return torch.einsum("n,nbtd->btd", self.weights.softmax(0), torch.stack(states))


class Summed(Dense):
    """One by one."""

    def mixed(self, states: list[Tensor]) -> Tensor:
        weights = self.weights.softmax(0)
        return weights[0] * states[0] + weights[1] * states[1] + weights[2] * states[2]


class Attended(Dense):
    """Every position chooses by what its normed states say."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.ones(D))

    def mixed(self, states: list[Tensor]) -> Tensor:
        stacked = torch.stack(states, dim=-2)  # (batch, length, turns, D)
        scores = (self.inner(stacked) * self.query).sum(-1)
        return (scores.softmax(-1).unsqueeze(-1) * stacked).sum(-2)


class Free(Dense):
    """Weights that may be anything."""

    def mixed(self, states: list[Tensor]) -> Tensor:
        return torch.einsum("n,nbtd->btd", self.weights, torch.stack(states))


class Listed(Dense):
    """A residual stream as the list of what was written, added up anew in every turn."""

    def forward(self, tokens: Tensor) -> Tensor:
        written = [self.embed(tokens)]
        for _ in range(TURNS):
            written.append(self.mlp(self.inner(self.mixed(written))))
        return self.head(self.final(self.mixed(written)))

    def mixed(self, states: list[Tensor]) -> Tensor:
        return sum(states[1:], start=states[0])


class ListedAndStacked(Listed):
    def mixed(self, states: list[Tensor]) -> Tensor:
        return torch.stack(states).sum(dim=0)


class ListedAndJoined(Listed):
    """Features side by side, and given a dim of their own."""

    def mixed(self, states: list[Tensor]) -> Tensor:
        return torch.cat(states, dim=-1).unflatten(-1, (len(states), D)).sum(dim=-2)


class ListedAndRun(Listed):
    def mixed(self, states: list[Tensor]) -> Tensor:
        return torch.cat([each[None] for each in states]).cumsum(dim=0)[-1]


class ListedAndWeighted(Listed):
    """Every write with a learned weight, which may be anything or is a share of 1."""

    def __init__(self, *, shared: bool = False, final: bool = True) -> None:
        super().__init__(final=final)
        self.shared = shared
        self.each = nn.Parameter(torch.ones(TURNS + 1))

    def mixed(self, states: list[Tensor]) -> Tensor:
        weights = self.each[: len(states)]
        weights = weights.softmax(0) if self.shared else weights
        return torch.einsum("n,nbtd->btd", weights, torch.stack(states))


class Kept(Listed):
    """The writes stand in a buffer that is there from the start, which is read up to the turn."""

    def forward(self, tokens: Tensor) -> Tensor:
        source = self.embed(tokens)
        kept = source.new_zeros(TURNS + 1, *source.shape)
        kept[0] = source
        for turn in range(TURNS):
            kept[turn + 1] = self.mlp(self.inner(kept[: turn + 1].sum(0)))
        return self.head(self.final(kept.sum(0)))


class Averaged(Listed):
    """A mean of all that was written is no longer than the longest."""

    def mixed(self, states: list[Tensor]) -> Tensor:
        return torch.stack(states).mean(dim=0)


# Every write by itself is a state; together they are one that is kept.
LISTED = State("carried", "invariant|asymptotic")
FREELY = State("linear", "invariant|asymptotic")

EXPECT = {
    "listed": Expect((LISTED,), "SCL101", carries=()),
    "listed_and_stacked": Expect((LISTED,), "SCL101", carries=()),
    "listed_raw_head": Expect((State("carried", "visible"),), carries=()),
    "averaged": Expect((State("removed", "invariant|asymptotic"),), carries=()),
    "stacked": blind(),
    "summed": blind(),
    "attended": blind(),
    "stacked_raw_head": Expect((State("carried", "visible"),), carries=()),
    "free": blind("linear", also="SCL204"),
    "kept": Expect((LISTED,), "SCL101", carries=()),
    "kept_raw_head": Expect((State("carried", "visible"),), carries=()),
    "listed_and_joined": Expect((LISTED,), "SCL101", carries=()),
    "listed_and_run": Expect((LISTED,), "SCL101", carries=()),
    "listed_and_weighted": Expect((FREELY,), "SCL101 SCL204", carries=()),
    "listed_and_weighted_raw_head": Expect((State("linear", "visible"),), "SCL204", carries=()),
    "listed_and_shared_out": Expect((State("removed", "asymptotic"),), carries=()),
}


def scaleaudit_target_stacked() -> dict[str, Any]:
    return target(Dense())


def scaleaudit_target_summed() -> dict[str, Any]:
    return target(Summed())


def scaleaudit_target_attended() -> dict[str, Any]:
    return target(Attended())


def scaleaudit_target_stacked_raw_head() -> dict[str, Any]:
    return target(Dense(final=False))


def scaleaudit_target_free() -> dict[str, Any]:
    return target(Free())


def scaleaudit_target_listed() -> dict[str, Any]:
    return target(Listed())


def scaleaudit_target_listed_and_stacked() -> dict[str, Any]:
    return target(ListedAndStacked())


def scaleaudit_target_listed_raw_head() -> dict[str, Any]:
    return target(Listed(final=False))


def scaleaudit_target_averaged() -> dict[str, Any]:
    return target(Averaged())


def scaleaudit_target_kept() -> dict[str, Any]:
    return target(Kept())


def scaleaudit_target_kept_raw_head() -> dict[str, Any]:
    return target(Kept(final=False))


def scaleaudit_target_listed_and_joined() -> dict[str, Any]:
    return target(ListedAndJoined())


def scaleaudit_target_listed_and_run() -> dict[str, Any]:
    return target(ListedAndRun())


def scaleaudit_target_listed_and_weighted() -> dict[str, Any]:
    return target(ListedAndWeighted())


def scaleaudit_target_listed_and_weighted_raw_head() -> dict[str, Any]:
    return target(ListedAndWeighted(final=False))


def scaleaudit_target_listed_and_shared_out() -> dict[str, Any]:
    return target(ListedAndWeighted(shared=True))
