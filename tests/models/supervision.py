"""Which readouts reach the loss, which positions and turns they read, and what merely looks."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, VOCABULARY, D, Language, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F


class Exits(Language):
    """A looped block that returns its state after every turn."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(D, 1)
        self.second = nn.Linear(D, VOCABULARY)

    def forward(self, tokens: Tensor) -> list[Tensor]:
        h = self.embed(tokens)
        states = []
        for _ in range(TURNS):
            h = self.block(h)
            states.append(h)
        return states

    def logits(self, h: Tensor) -> Tensor:
        return self.head(self.norm(h))

    def halts(self, h: Tensor) -> Tensor:
        return torch.sigmoid(self.gate(h)).squeeze(-1)  # (batch, length)


class GateForInference(Language):
    """The gate reads the raw state for early exit; its values are returned, not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(D, 1)

    def forward(self, tokens: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        h = self.embed(tokens)
        logits, gates = [], []
        for _ in range(TURNS):
            h = self.block(h)
            logits.append(self.head(self.norm(h)))
            gates.append(torch.sigmoid(self.gate(h)))
        return logits, gates


class RawHeadForInspection(Language):
    """A raw readout is returned as well; the loss takes the first one."""

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.block(h)
        return {"logits": self.head(self.norm(h)), "probe": self.head(h)}


class Logged(Language):
    """The norm of every state is kept for a plot."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[float] = []

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.block(h)
            self.history.append(h.norm(dim=-1).mean().item())
        return self.head(self.norm(h))


class FromTheStart(Language):
    """A raw exit before the loop, a normed one after it."""

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        h = self.embed(tokens)
        early = self.head(h)
        for _ in range(TURNS):
            h = self.block(h)
        return early, self.head(self.norm(h))


class Accumulated(Language):
    """Logits are summed over turns; the body never reads the sum."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        total = torch.zeros(())
        for _ in range(TURNS):
            h = self.block(h)
            total = total + self.head(self.norm(h)) / TURNS
        return total


class AccumulatedStates(Language):
    """The readout is made of the sum of states, normed or not."""

    def __init__(self, *, normed: bool) -> None:
        super().__init__()
        self.normed = normed

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        total = torch.zeros_like(h)
        for _ in range(TURNS):
            h = self.block(h)
            total = total + h / TURNS
        return self.head(self.norm(total) if self.normed else total)


class HaltingWeighted(Exits):
    """Adaptive computation: states weighted by halting probabilities, then normed."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        total, rest = torch.zeros_like(h), torch.ones(tokens.shape)
        for _ in range(TURNS):
            h = self.block(h)
            p = self.halts(h) * rest
            rest = rest - p
            total = total + p.unsqueeze(-1) * h
        return self.head(self.norm(total + rest.unsqueeze(-1) * h))


class LogitsOnly(Language):
    def __init__(self, *, normed: bool) -> None:
        super().__init__()
        self.normed = normed

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.block(h)
        return self.head(self.norm(h) if self.normed else h)


def first_output(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    logits, _ = model(tokens)
    return torch.stack([cross_entropy(each, targets) for each in logits]).mean()


def named_logits(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(model(tokens)["logits"], targets)


def both(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    return sum(cross_entropy(logits, targets) for logits in model(tokens))


def every_turn_normed(model: Exits, tokens: Tensor, targets: Tensor) -> Tensor:
    return sum(cross_entropy(model.logits(h), targets) for h in model(tokens))


def final_norm_only(model: Exits, tokens: Tensor, targets: Tensor) -> Tensor:
    *early, last = model(tokens)
    raw = sum(cross_entropy(model.head(h), targets) for h in early)
    return raw + cross_entropy(model.logits(last), targets)


def raw_at_turn_one(model: Exits, tokens: Tensor, targets: Tensor) -> Tensor:
    first, *_, last = model(tokens)
    return cross_entropy(model.head(first), targets) + cross_entropy(model.logits(last), targets)


def raw_first_token(model: Exits, tokens: Tensor, targets: Tensor) -> Tensor:
    """A classifier on token 0 reads the raw state, the language head a normed copy of all."""
    last = model(tokens)[-1]
    classifier = F.cross_entropy(model.second(last[:, 0]), targets[:, 0])
    return cross_entropy(model.logits(last), targets) + classifier


def raw_channels(model: Exits, tokens: Tensor, targets: Tensor) -> Tensor:
    """A few channels of every token are decoded raw."""
    last = model(tokens)[-1]
    part = F.pad(last[..., :4], (0, D - 4))
    return cross_entropy(model.logits(last), targets) + cross_entropy(model.second(part), targets)


def zero_weighted_raw(model: Exits, tokens: Tensor, targets: Tensor) -> Tensor:
    last = model(tokens)[-1]
    raw = cross_entropy(model.second(last), targets)
    return cross_entropy(model.logits(last), targets) + 0.0 * raw


def detached_raw(model: Exits, tokens: Tensor, targets: Tensor) -> Tensor:
    """A linear probe on the detached state trains itself and nothing else."""
    last = model(tokens)[-1]
    probe = cross_entropy(model.second(last.detach()), targets)
    return cross_entropy(model.logits(last), targets) + probe


def ponder(model: Exits, tokens: Tensor, targets: Tensor) -> Tensor:
    """PonderNet: the expected loss under halting probabilities that read the raw state."""
    rest = torch.ones(tokens.shape)
    total = torch.zeros(())
    for h in model(tokens):
        p = model.halts(h) * rest
        rest = rest - p
        each = F.cross_entropy(model.logits(h).transpose(1, 2), targets, reduction="none")
        total = total + (p * each).mean()
    return total + 0.01 * rest.mean()


def gate_cost(model: Exits, tokens: Tensor, targets: Tensor) -> Tensor:
    """Time costs: the chance not to have halted is added up."""
    states = model(tokens)
    cost = torch.stack([1 - model.halts(h).mean() for h in states]).mean()
    return cross_entropy(model.logits(states[-1]), targets) + 0.1 * cost


def gate_targets(model: Exits, tokens: Tensor, targets: Tensor) -> Tensor:
    """The raw gate is told, as a logit, whether the answer is right already."""
    last = model(tokens)[-1]
    logits = model.logits(last)
    right = (logits.argmax(dim=-1) == targets).to(logits.dtype)
    verdict = F.binary_cross_entropy_with_logits(model.gate(last).squeeze(-1), right)
    return cross_entropy(logits, targets) + verdict


GATE_ONLY = Expect((State("carried", "saturating"),), "SCL102")

EXPECT = {
    "every_turn_normed": blind(),
    "gate_for_inference": blind(also="SCL103"),
    "raw_head_for_inspection": blind(also="SCL103"),
    # Open: whether a logged length is an unsupervised readout.
    "logged": Expect((State("carried", "invariant"),), "SCL101", "SCL103"),
    "final_norm_only": safe("carried", "visible"),
    "raw_at_turn_one": safe("carried", "visible"),
    "raw_from_the_start": blind(),
    # Judged where the state is read least: every token but the first is blind.
    "raw_first_token": Expect((State("carried", "invariant"),), "SCL101", carries=()),
    # Open: asked per position the length is seen (measured: the loss rises), as it is by a head of
    # rank below the width; the channels that are not read could grow alone.
    "raw_channels": Expect(
        (State("carried", "visible|invariant"),), maybe="SCL101", verdict="pass|fail"
    ),
    # Open: whether a readout that the loss multiplies by zero, or detaches, is "in no loss".
    "zero_weighted_raw": Expect((State("carried", "invariant"),), "SCL101", "SCL103"),
    "detached_raw": Expect((State("carried", "invariant"),), "SCL101", "SCL103"),
    "ponder": GATE_ONLY,
    "gate_cost": GATE_ONLY,
    "gate_targets": safe("carried", "visible"),
    "accumulated": blind(),
    "accumulated_states": blind(),
    "accumulated_states_raw": safe("carried", "visible"),
    # Open: saturating through the gates, or fading. The accumulators are no states.
    "halting_weighted": Expect(
        (State("carried", "saturating|asymptotic|invariant"),),
        maybe="SCL101 SCL102",
        verdict="fail|warn",
    ),
    "no_loss": Expect((State("carried", "invariant"),), "SCL101 SCL903", carries=()),
    "no_loss_raw": Expect((State("carried", "visible"),), "SCL903", verdict="pass", carries=()),
}


def scaleaudit_target_every_turn_normed() -> dict[str, Any]:
    return target(Exits(), every_turn_normed)


def scaleaudit_target_gate_for_inference() -> dict[str, Any]:
    return target(GateForInference(), first_output)


def scaleaudit_target_raw_head_for_inspection() -> dict[str, Any]:
    return target(RawHeadForInspection(), named_logits)


def scaleaudit_target_logged() -> dict[str, Any]:
    return target(Logged())


def scaleaudit_target_final_norm_only() -> dict[str, Any]:
    return target(Exits(), final_norm_only)


def scaleaudit_target_raw_at_turn_one() -> dict[str, Any]:
    return target(Exits(), raw_at_turn_one)


def scaleaudit_target_raw_from_the_start() -> dict[str, Any]:
    return target(FromTheStart(), both)


def scaleaudit_target_raw_first_token() -> dict[str, Any]:
    return target(Exits(), raw_first_token)


def scaleaudit_target_raw_channels() -> dict[str, Any]:
    return target(Exits(), raw_channels)


def scaleaudit_target_zero_weighted_raw() -> dict[str, Any]:
    return target(Exits(), zero_weighted_raw)


def scaleaudit_target_detached_raw() -> dict[str, Any]:
    return target(Exits(), detached_raw)


def scaleaudit_target_ponder() -> dict[str, Any]:
    return target(Exits(), ponder)


def scaleaudit_target_gate_cost() -> dict[str, Any]:
    return target(Exits(), gate_cost)


def scaleaudit_target_gate_targets() -> dict[str, Any]:
    return target(Exits(), gate_targets)


def scaleaudit_target_accumulated() -> dict[str, Any]:
    return target(Accumulated())


def scaleaudit_target_accumulated_states() -> dict[str, Any]:
    return target(AccumulatedStates(normed=True))


def scaleaudit_target_accumulated_states_raw() -> dict[str, Any]:
    return target(AccumulatedStates(normed=False))


def scaleaudit_target_halting_weighted() -> dict[str, Any]:
    return target(HaltingWeighted())


def scaleaudit_target_no_loss() -> dict[str, Any]:
    return target(LogitsOnly(normed=True), None)


def scaleaudit_target_no_loss_raw() -> dict[str, Any]:
    return target(LogitsOnly(normed=False), None)
