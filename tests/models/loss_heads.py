"""Deep supervision by a module of its own: the criterion owns the norm and the head."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import BATCH, LENGTH, TURNS, VOCABULARY, D, Layer
from torch import Tensor, nn
from torch.nn import functional as F


class Trunk(nn.Module):
    """A looped stack of two layers that predicts nothing: it hands over a state per turn."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, D)
        self.layers = nn.Sequential(Layer(), Layer())

    def forward(self, tokens: Tensor) -> list[Tensor]:
        h = self.embed(tokens)
        states = []
        for _ in range(TURNS):
            h = self.layers(h)
            states.append(h)
        return states


class NamedTrunk(Trunk):
    """The same, its states under names: some for the loss, one for who asks."""

    def forward(self, tokens: Tensor) -> dict[str, Any]:
        *early, last = super().forward(tokens)
        found = {f"turn_{turn}": h for turn, h in enumerate(early)}
        return {"aux": found, "last": last, "length": last.detach().norm(dim=-1).mean()}


class DeepSupervision(nn.Module):
    """A weighted mean of the cross-entropies of all turns, later ones counting more."""

    def __init__(self, norm: nn.Module, penalty: float = 0.0) -> None:
        super().__init__()
        self.norm, self.head = norm, nn.Linear(D, VOCABULARY, bias=False)
        self.penalty = penalty
        self.register_buffer("weights", torch.linspace(0.5, 1.0, TURNS))

    def forward(self, states: list[Tensor], targets: Tensor) -> dict[str, Tensor]:
        losses = torch.stack([self.loss(self.logits(h), targets) for h in states])
        total = (self.weights * losses).sum() / self.weights.sum()
        if self.penalty:
            total = total + self.penalty * torch.stack(states).square().mean()
        return {"loss": total, "last": losses[-1].detach()}

    def logits(self, h: Tensor) -> Tensor:
        return self.head(self.norm(h))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), label_smoothing=0.1)


class LastRaw(DeepSupervision):
    """Auxiliary heads are normed; the last turn is read as it is."""

    def __init__(self) -> None:
        super().__init__(nn.RMSNorm(D))
        self.heads = nn.ModuleList(nn.Linear(D, VOCABULARY) for _ in range(TURNS - 1))

    def forward(self, states: list[Tensor], targets: Tensor) -> dict[str, Tensor]:
        *early, last = states
        pairs = zip(self.heads, early, strict=True)
        aux = sum(self.loss(head(self.norm(h)), targets) for head, h in pairs)
        return {"loss": self.loss(self.head(last), targets) + 0.3 * aux}


class Stablemax(DeepSupervision):
    """A power law in the place of the exponential of a softmax, in double precision."""

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        x = logits.to(torch.float64)
        s = torch.where(x < 0, 1 / (1 - x + 1e-30), x + 1)
        logs = torch.log(s / s.sum(-1, keepdim=True))
        return -logs.gather(-1, targets.unsqueeze(-1)).mean()


class Halting(DeepSupervision):
    """The halting head is told whether the whole answer is right; it reads the first token."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__(norm)
        self.q_head = nn.Linear(D, 2)
        nn.init.zeros_(self.q_head.weight)
        nn.init.constant_(self.q_head.bias, -5)

    def forward(self, states: list[Tensor], targets: Tensor) -> dict[str, Tensor]:
        total = super().forward(states, targets)["loss"]
        for h in states:
            with torch.no_grad():
                right = (self.logits(h).argmax(-1) == targets).all(-1)
            q_halt = self.q_head(self.norm(h)[:, 0])[..., 0]
            verdict = F.binary_cross_entropy_with_logits(q_halt, right.to(q_halt.dtype))
            total = total + 0.5 * verdict
        return {"loss": total}


class Step(nn.Module):
    """What is handed to the trainer: a model and its criterion, one call a step."""

    def __init__(self, trunk: Trunk, criterion: DeepSupervision) -> None:
        super().__init__()
        self.trunk, self.criterion = trunk, criterion

    def forward(self, tokens: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        states = self.trunk(tokens)
        found = self.criterion(states, labels)
        return states[-1], found["loss"]


EXPECT = {
    "criterion_normed": blind(),
    "criterion_raw": safe("carried", "visible"),
    "criterion_penalised": Expect((State("carried", "invariant", 1),)),
    "last_raw": safe("carried", "visible"),
    "named_states": blind(),
    # Where the answer is below zero, its loss is the logarithm of the length.
    "stablemax_raw": safe("carried", "visible"),
    "halting": blind(),
    "in_one_module": blind(),
}


def tokens_and_targets() -> tuple[Tensor, Tensor]:
    tokens = torch.randint(VOCABULARY, (BATCH, LENGTH + 1))
    return tokens[:, :-1], tokens[:, 1:]


def judged(trunk: Trunk, criterion: DeepSupervision) -> dict[str, Any]:
    """The criterion is no part of the model: the loss is given it as an argument."""

    def loss(model: Trunk, tokens: Tensor, targets: Tensor, criterion: nn.Module) -> Tensor:
        return criterion(model(tokens), targets)["loss"]

    tokens, targets = tokens_and_targets()
    given = {"loss": loss, "loss_args": (tokens, targets, criterion)}
    return {"model": trunk, "args": (tokens,), **given}


def judged_by_name(criterion: DeepSupervision) -> dict[str, Any]:
    """The loss knows the criterion from outside, and collects what it reads."""

    def loss(model: NamedTrunk, tokens: Tensor, targets: Tensor) -> Tensor:
        outputs = model(tokens)
        return criterion([*outputs["aux"].values(), outputs["last"]], targets)["loss"]

    tokens, targets = tokens_and_targets()
    given = {"loss": loss, "loss_args": (tokens, targets)}
    return {"model": NamedTrunk(), "args": (tokens,), **given}


def in_one(criterion: DeepSupervision) -> dict[str, Any]:
    """A module that returns its loss."""
    model = Step(Trunk(), criterion)
    given = {"loss": lambda model, *args: model(*args)[1], "loss_args": tokens_and_targets()}
    return {"model": model, "args": given["loss_args"], **given}


def scaleaudit_target_criterion_normed() -> dict[str, Any]:
    return judged(Trunk(), DeepSupervision(nn.RMSNorm(D)))


def scaleaudit_target_criterion_raw() -> dict[str, Any]:
    return judged(Trunk(), DeepSupervision(nn.Identity()))


def scaleaudit_target_criterion_penalised() -> dict[str, Any]:
    return judged(Trunk(), DeepSupervision(nn.RMSNorm(D), penalty=0.01))


def scaleaudit_target_last_raw() -> dict[str, Any]:
    return judged(Trunk(), LastRaw())


def scaleaudit_target_named_states() -> dict[str, Any]:
    return judged_by_name(DeepSupervision(nn.LayerNorm(D)))


def scaleaudit_target_stablemax_raw() -> dict[str, Any]:
    return judged(Trunk(), Stablemax(nn.Identity()))


def scaleaudit_target_halting() -> dict[str, Any]:
    return judged(Trunk(), Halting(nn.RMSNorm(D)))


def scaleaudit_target_in_one_module() -> dict[str, Any]:
    return in_one(DeepSupervision(nn.RMSNorm(D)))
