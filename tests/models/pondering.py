"""Halting that is trained: adaptive computation time and pondering, gates and costs in the loss."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State
from parts import TURNS, D, Language, Layer, PostNormLayer, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F

THRESHOLD = 0.99
PRIOR = 0.2


class HaltingUnit(nn.Module):
    """The chance to stop at this turn, from the state as it is or from a normed copy."""

    def __init__(self, *, normed: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(D) if normed else nn.Identity()
        self.p = nn.Linear(D, 1)
        nn.init.constant_(self.p.bias, -1.0)

    def logit(self, h: Tensor) -> Tensor:
        return self.p(self.norm(h)).squeeze(-1)

    def forward(self, h: Tensor) -> Tensor:
        return torch.sigmoid(self.logit(h))  # (batch, length)


class Universal(Language):
    """Universal transformer: tokens stop one by one, a token's result is the mean of its states.

    A token's last turn is weighed by what is left of its chances, the remainder.
    """

    def __init__(self, layer: nn.Module, *, normed: bool, final_norm: bool = True) -> None:
        super().__init__()
        self.layer = layer
        self.halting = HaltingUnit(normed=normed)
        self.final = nn.LayerNorm(D) if final_norm else nn.Identity()
        self.turns = nn.Parameter(torch.randn(TURNS, D))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.embed(tokens)
        chance = torch.zeros(tokens.shape)
        remainders, updates = torch.zeros_like(chance), torch.zeros_like(chance)
        result = torch.zeros_like(h)
        turn = 0
        while ((chance < THRESHOLD) & (updates < TURNS)).any() and turn < TURNS:
            h = h + self.turns[turn]
            p = self.halting(h)
            running = (chance < 1.0).float()
            halted = (chance + p * running > THRESHOLD).float() * running
            running = (chance + p * running <= THRESHOLD).float() * running
            chance = chance + p * running
            remainders = remainders + halted * (1 - chance)
            chance = chance + halted * remainders
            updates = updates + running + halted
            weight = (p * running + halted * remainders).unsqueeze(-1)
            h = self.layer(h)
            result = h * weight + result * (1 - weight)
            turn += 1
        return self.head(self.final(result)), remainders, updates


def with_ponder_cost(model: Universal, tokens: Tensor, targets: Tensor) -> Tensor:
    logits, remainders, updates = model(tokens)
    return cross_entropy(logits, targets) + 0.01 * (remainders + updates).mean()


class PonderNet(Language):
    """Every turn predicts, and stops with a chance of its own; the last one always stops."""

    def __init__(self, layer: nn.Module, *, normed: bool) -> None:
        super().__init__()
        self.layer = layer
        self.halting = HaltingUnit(normed=normed)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.embed(tokens)
        going = torch.ones(tokens.shape)
        stopped = torch.zeros(tokens.shape)
        chances, predictions, answer = [], [], 0.0
        for turn in range(1, TURNS + 1):
            h = self.layer(h)
            last = turn == TURNS
            step = torch.ones_like(going) if last else self.halting(h)
            chances.append(going * step)
            predictions.append(self.head(self.norm(h)))
            going = going * (1 - step)
            # What is answered when the model is used: the prediction of a turn that is drawn.
            stops = torch.bernoulli(step.detach()) * (1 - stopped)
            answer = answer + stops.unsqueeze(-1) * predictions[-1].detach()
            stopped = stopped + stops
        return torch.stack(chances), torch.stack(predictions), answer


class PonderNetInLogs(PonderNet):
    """The distribution is kept in logarithms, so that nothing underflows."""

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.embed(tokens)
        going = torch.zeros(tokens.shape)
        chances, predictions = [], []
        for turn in range(1, TURNS + 1):
            h = self.layer(h)
            logit = self.halting.logit(h)
            chances.append(going if turn == TURNS else going + F.logsigmoid(logit))
            going = going + F.logsigmoid(-logit)
            predictions.append(self.head(self.norm(h)))
        return torch.stack(chances), torch.stack(predictions), predictions[-1]


class Regulariser(nn.Module):
    """The divergence of the chances to stop from a geometric distribution."""

    def __init__(self) -> None:
        super().__init__()
        prior = PRIOR * (1 - PRIOR) ** torch.arange(TURNS)
        self.register_buffer("prior", (prior / prior.sum()).view(-1, 1, 1))

    def forward(self, p: Tensor) -> Tensor:
        return (p * ((p + 1e-6).log() - self.prior.log())).sum(0).mean()

    def reversed(self, log_p: Tensor) -> Tensor:
        return F.kl_div(log_p, self.prior.expand_as(log_p), reduction="none").sum(0).mean()


class Reconstruction(nn.Module):
    """The loss of every turn, weighed by the chance that it is the last."""

    def forward(self, p: Tensor, predictions: Tensor, targets: Tensor) -> Tensor:
        losses = [F.cross_entropy(y.mT, targets, reduction="none") for y in predictions]
        return (p * torch.stack(losses)).sum(0).mean()


def pondered(model: PonderNet, tokens: Tensor, targets: Tensor) -> Tensor:
    p, predictions, _ = model(tokens)
    return Reconstruction()(p, predictions, targets) + 0.01 * Regulariser()(p)


def pondered_in_logs(model: PonderNetInLogs, tokens: Tensor, targets: Tensor) -> Tensor:
    log_p, predictions, _ = model(tokens)
    found = Reconstruction()(log_p.exp(), predictions, targets)
    return found + 0.01 * Regulariser().reversed(log_p)


def halting(transition: str, visibility: str, codes: str = "", **more: Any) -> Expect:
    """One state h; running chances are no states, as the body's weights never read them."""
    return Expect((State(transition, visibility, name="h"),), codes, **more)


EXPECT = {
    # Beside a long state the embedding of the turn fades, which the unit sees with it.
    "adaptive": halting("carried", "asymptotic", "SCL101"),
    "adaptive_raw_unit": halting("carried", "saturating", "SCL102"),
    "adaptive_post_norm": halting("removed", "saturating"),
    "adaptive_raw_head": halting("carried", "visible"),
    "ponder_net": halting("carried", "invariant", "SCL101"),
    "ponder_net_raw_unit": halting("carried", "saturating", "SCL102"),
    "ponder_net_post_norm": halting("removed", "saturating"),
    # log sigmoid(W h) is as long as h is.
    "ponder_net_in_logs_raw_unit": halting("carried", "visible"),
}


def scaleaudit_target_adaptive() -> dict[str, Any]:
    return target(Universal(Layer(), normed=True), with_ponder_cost)


def scaleaudit_target_adaptive_raw_unit() -> dict[str, Any]:
    return target(Universal(Layer(), normed=False), with_ponder_cost)


def scaleaudit_target_adaptive_post_norm() -> dict[str, Any]:
    return target(Universal(PostNormLayer(), normed=False), with_ponder_cost)


def scaleaudit_target_adaptive_raw_head() -> dict[str, Any]:
    return target(Universal(Layer(), normed=True, final_norm=False), with_ponder_cost)


def scaleaudit_target_ponder_net() -> dict[str, Any]:
    return target(PonderNet(Layer(), normed=True), pondered)


def scaleaudit_target_ponder_net_raw_unit() -> dict[str, Any]:
    return target(PonderNet(Layer(), normed=False), pondered)


def scaleaudit_target_ponder_net_post_norm() -> dict[str, Any]:
    return target(PonderNet(PostNormLayer(), normed=False), pondered)


def scaleaudit_target_ponder_net_in_logs_raw_unit() -> dict[str, Any]:
    return target(PonderNetInLogs(Layer(), normed=False), pondered_in_logs)
