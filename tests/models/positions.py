"""Penalties and readouts of some positions, or some channels: the others are judged by the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import BATCH, LENGTH, TURNS, VOCABULARY, D, Language, Loss, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F

LAMBDA = 0.01
CHANNELS = 4
IGNORED = -100


class States(Language):
    """Returns its last state; the losses decode it with two heads, raw or normed."""

    def __init__(self) -> None:
        super().__init__()
        self.second = nn.Linear(D, VOCABULARY)
        self.register_buffer("drawn", torch.randperm(LENGTH).unsqueeze(-1) == 0)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.block(h)
        return h

    def normed(self, h: Tensor) -> Tensor:
        return self.head(self.norm(h))


@dataclass
class Batch:
    """What a data loader hands out: targets, some of them ignored, and which tokens are real."""

    targets: Tensor  # (batch, length)
    some: Tensor  # (batch, length), IGNORED but at every third position
    real: Tensor  # (batch, length), 1 for tokens and 0 for padding


def every(logits: Tensor, targets: Tensor) -> Tensor:
    """The loss of every token."""
    return F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")


# Penalties.


def penalty_of_all_but_the_first(model: States, h: Tensor, batch: Batch) -> Tensor:
    return cross_entropy(model.normed(h), batch.targets) + LAMBDA * h[:, 1:].square().mean()


def penalty_of_the_last(model: States, h: Tensor, batch: Batch) -> Tensor:
    return cross_entropy(model.normed(h), batch.targets) + LAMBDA * h[:, -1].norm(dim=-1).mean()


def penalty_of_channels(model: States, h: Tensor, batch: Batch) -> Tensor:
    part = h[..., :CHANNELS]
    return cross_entropy(model.normed(h), batch.targets) + LAMBDA * part.square().mean()


def penalty_in_two_parts(model: States, h: Tensor, batch: Batch) -> Tensor:
    """Each by itself leaves channels out, both leave none."""
    few, many = h.split((CHANNELS, D - CHANNELS), dim=-1)
    size = few.square().mean() + 0.1 * many.square().mean()
    return cross_entropy(model.normed(h), batch.targets) + LAMBDA * size


def penalty_of_real_tokens(model: States, h: Tensor, batch: Batch) -> Tensor:
    size = (h.square().mean(dim=-1) * batch.real).sum() / batch.real.sum()
    return cross_entropy(model.normed(h), batch.targets) + LAMBDA * size


# Readouts beside each other.


def class_token_alone(model: States, h: Tensor, batch: Batch) -> Tensor:
    """Nothing reads the other tokens after the last turn."""
    return F.cross_entropy(model.second(h[:, 0]), batch.targets[:, 0])


def class_token_beside_pool(model: States, h: Tensor, batch: Batch) -> Tensor:
    """The raw class token is decoded, and a normed mean of all tokens."""
    first = F.cross_entropy(model.second(h[:, 0]), batch.targets[:, 0])
    return first + F.cross_entropy(model.head(model.norm(h).mean(dim=1)), batch.targets[:, 1])


def shifted_beside_normed(model: States, h: Tensor, batch: Batch) -> Tensor:
    """A causal shift leaves the last token to the normed readout."""
    raw = cross_entropy(model.second(h)[:, :-1], batch.targets[:, 1:])
    return raw + cross_entropy(model.normed(h), batch.targets)


def last_logits_beside_normed(model: States, h: Tensor, batch: Batch) -> Tensor:
    """All are decoded raw, and all but the last thrown away."""
    raw = F.cross_entropy(model.second(h)[:, -1], batch.targets[:, -1])
    return raw + cross_entropy(model.normed(h), batch.targets)


# Targets that are ignored, weights that are zero.


def some_raw(model: States, h: Tensor, batch: Batch) -> Tensor:
    """Masked language modelling: the data say which tokens are to be told."""
    return cross_entropy(model.head(h), batch.some)


def some_normed(model: States, h: Tensor, batch: Batch) -> Tensor:
    return cross_entropy(model.normed(h), batch.some)


def some_raw_beside_normed(model: States, h: Tensor, batch: Batch) -> Tensor:
    """Other tokens in every batch."""
    return cross_entropy(model.second(h), batch.some) + cross_entropy(
        model.normed(h), batch.targets
    )


def ignoring_all_but_the_last(targets: Tensor) -> Tensor:
    ignored = targets.clone()
    ignored[:, :-1] = IGNORED
    return ignored


def prompt_ignored_raw(model: States, h: Tensor, batch: Batch) -> Tensor:
    return cross_entropy(model.head(h), ignoring_all_but_the_last(batch.targets))


def last_target_raw_beside_normed(model: States, h: Tensor, batch: Batch) -> Tensor:
    """The raw head is told the last token only, in every batch."""
    raw = cross_entropy(model.second(h), ignoring_all_but_the_last(batch.targets))
    return raw + cross_entropy(model.normed(h), batch.targets)


def prompt_ignored_by_both(model: States, h: Tensor, batch: Batch) -> Tensor:
    """What both heads ignore is read by neither."""
    targets = ignoring_all_but_the_last(batch.targets)
    return cross_entropy(model.second(h), targets) + cross_entropy(model.normed(h), targets)


def padding_weighs_nothing_raw(model: States, h: Tensor, batch: Batch) -> Tensor:
    return (every(model.head(h), batch.targets) * batch.real).sum() / batch.real.sum()


def padding_weighs_nothing_normed(model: States, h: Tensor, batch: Batch) -> Tensor:
    return (every(model.normed(h), batch.targets) * batch.real).sum() / batch.real.sum()


def padding_weighs_nothing_beside_normed(model: States, h: Tensor, batch: Batch) -> Tensor:
    raw = (every(model.second(h), batch.targets) * batch.real).sum() / batch.real.sum()
    return raw + cross_entropy(model.normed(h), batch.targets)


def last_weighs_beside_normed(model: States, h: Tensor, batch: Batch) -> Tensor:
    """The weights are the program's: 0 for all tokens but the last."""
    weights = torch.zeros(LENGTH)
    weights[-1] = 1.0
    raw = (every(model.second(h), batch.targets) * weights).sum() / weights.sum()
    return raw + cross_entropy(model.normed(h), batch.targets)


# Raw and normed elements joined before one head.


def joined_first_raw(model: States, h: Tensor, batch: Batch) -> Tensor:
    y = torch.cat((h[:, :1], model.norm(h[:, 1:])), dim=1)
    return cross_entropy(model.head(y), batch.targets)


def joined_first_normed(model: States, h: Tensor, batch: Batch) -> Tensor:
    y = torch.cat((model.norm(h[:, :1]), h[:, 1:]), dim=1)
    return cross_entropy(model.head(y), batch.targets)


def joined_channels(model: States, h: Tensor, batch: Batch) -> Tensor:
    y = torch.cat((h[..., :CHANNELS], model.norm(h)[..., CHANNELS:]), dim=-1)
    return cross_entropy(model.head(y), batch.targets)


def assigned_first_raw(model: States, h: Tensor, batch: Batch) -> Tensor:
    y = model.norm(h)
    y[:, 0] = h[:, 0]
    return cross_entropy(model.head(y), batch.targets)


def assigned_rest_normed(model: States, h: Tensor, batch: Batch) -> Tensor:
    y = h.clone()
    y[:, 1:] = model.norm(h[:, 1:])
    return cross_entropy(model.head(y), batch.targets)


def assigned_first_normed(model: States, h: Tensor, batch: Batch) -> Tensor:
    y = h.clone()
    y[:, 0] = model.norm(h[:, 0])
    return cross_entropy(model.head(y), batch.targets)


def chosen_first_raw(model: States, h: Tensor, batch: Batch) -> Tensor:
    is_first = (torch.arange(LENGTH) == 0).unsqueeze(-1)
    return cross_entropy(model.head(torch.where(is_first, h, model.norm(h))), batch.targets)


def chosen_at_random(model: States, h: Tensor, batch: Batch) -> Tensor:
    """Places drawn once, when the model is built."""
    y = torch.where(model.drawn, h, model.norm(h))
    return cross_entropy(model.head(y), batch.targets)


def ignored_where_raw(model: States, h: Tensor, batch: Batch) -> Tensor:
    """The one raw token has no target."""
    y = torch.cat((h[:, :1], model.norm(h[:, 1:])), dim=1)
    targets = batch.targets.clone()
    targets[:, 0] = IGNORED
    return cross_entropy(model.head(y), targets)


RESTRAINED = Expect((State("carried", "invariant", effective=1),))
PARTIAL = Expect(
    (State("carried", "invariant", flaws=("covers only a part of the state",)),),
    "SCL101",
    "SCL104",
    carries=(),
)
# Scaled all together the raw positions speak; the others are measured by themselves.
LEFT_OUT = Expect((State("carried", "invariant|asymptotic"),), "SCL101", carries=())
# Blind; but which positions are meant cannot be told.
NEVER_SAFE = Expect(
    (State("carried", "invariant|asymptotic|unknown"),),
    maybe="SCL101 SCL902",
    verdict="fail|unknown",
    carries=(),
)

EXPECT = {
    "penalty_of_all_but_the_first": RESTRAINED,
    "penalty_of_the_last": PARTIAL,
    "penalty_of_channels": PARTIAL,
    "penalty_in_two_parts": Expect((State("carried", "invariant", effective=2),)),
    # Open: measured for some tokens, a length is a penalty or a readout. The data say for which.
    "penalty_of_real_tokens": Expect((State("carried", "invariant|visible", effective=None),)),
    "class_token_alone": safe("carried", "visible"),
    "class_token_beside_pool": LEFT_OUT,
    "shifted_beside_normed": safe("carried", "visible"),
    "last_logits_beside_normed": LEFT_OUT,
    "some_raw": safe("carried", "visible"),
    "some_normed": blind(),
    "some_raw_beside_normed": safe("carried", "visible"),
    "prompt_ignored_raw": safe("carried", "visible"),
    "last_target_raw_beside_normed": LEFT_OUT,
    "prompt_ignored_by_both": safe("carried", "visible"),
    "padding_weighs_nothing_raw": safe("carried", "visible"),
    "padding_weighs_nothing_normed": blind(),
    "padding_weighs_nothing_beside_normed": safe("carried", "visible"),
    "last_weighs_beside_normed": LEFT_OUT,
    "joined_first_raw": LEFT_OUT,
    "joined_first_normed": safe("carried", "visible"),
    "joined_channels": LEFT_OUT,
    "assigned_first_raw": LEFT_OUT,
    "assigned_rest_normed": LEFT_OUT,
    "assigned_first_normed": safe("carried", "visible"),
    "chosen_first_raw": LEFT_OUT,
    "chosen_at_random": NEVER_SAFE,
    "ignored_where_raw": LEFT_OUT,
}


def built(term: Loss) -> dict[str, Any]:
    """A target whose loss is made of the last state."""

    def loss(model: States, tokens: Tensor, targets: Tensor, some: Tensor, real: Tensor) -> Tensor:
        return term(model, model(tokens), Batch(targets, some, real))

    made = target(States(), loss)
    targets = made["loss_args"][1]
    some = torch.full_like(targets, IGNORED)
    some[:, ::3] = targets[:, ::3]
    real = torch.ones(BATCH, LENGTH)
    real[0, -2:] = 0.0
    return {**made, "loss_args": (*made["loss_args"], some, real)}


def scaleaudit_target_penalty_of_all_but_the_first() -> dict[str, Any]:
    return built(penalty_of_all_but_the_first)


def scaleaudit_target_penalty_of_the_last() -> dict[str, Any]:
    return built(penalty_of_the_last)


def scaleaudit_target_penalty_of_channels() -> dict[str, Any]:
    return built(penalty_of_channels)


def scaleaudit_target_penalty_in_two_parts() -> dict[str, Any]:
    return built(penalty_in_two_parts)


def scaleaudit_target_penalty_of_real_tokens() -> dict[str, Any]:
    return built(penalty_of_real_tokens)


def scaleaudit_target_class_token_alone() -> dict[str, Any]:
    return built(class_token_alone)


def scaleaudit_target_class_token_beside_pool() -> dict[str, Any]:
    return built(class_token_beside_pool)


def scaleaudit_target_shifted_beside_normed() -> dict[str, Any]:
    return built(shifted_beside_normed)


def scaleaudit_target_last_logits_beside_normed() -> dict[str, Any]:
    return built(last_logits_beside_normed)


def scaleaudit_target_some_raw() -> dict[str, Any]:
    return built(some_raw)


def scaleaudit_target_some_normed() -> dict[str, Any]:
    return built(some_normed)


def scaleaudit_target_some_raw_beside_normed() -> dict[str, Any]:
    return built(some_raw_beside_normed)


def scaleaudit_target_prompt_ignored_raw() -> dict[str, Any]:
    return built(prompt_ignored_raw)


def scaleaudit_target_last_target_raw_beside_normed() -> dict[str, Any]:
    return built(last_target_raw_beside_normed)


def scaleaudit_target_prompt_ignored_by_both() -> dict[str, Any]:
    return built(prompt_ignored_by_both)


def scaleaudit_target_padding_weighs_nothing_raw() -> dict[str, Any]:
    return built(padding_weighs_nothing_raw)


def scaleaudit_target_padding_weighs_nothing_normed() -> dict[str, Any]:
    return built(padding_weighs_nothing_normed)


def scaleaudit_target_padding_weighs_nothing_beside_normed() -> dict[str, Any]:
    return built(padding_weighs_nothing_beside_normed)


def scaleaudit_target_last_weighs_beside_normed() -> dict[str, Any]:
    return built(last_weighs_beside_normed)


def scaleaudit_target_joined_first_raw() -> dict[str, Any]:
    return built(joined_first_raw)


def scaleaudit_target_joined_first_normed() -> dict[str, Any]:
    return built(joined_first_normed)


def scaleaudit_target_joined_channels() -> dict[str, Any]:
    return built(joined_channels)


def scaleaudit_target_assigned_first_raw() -> dict[str, Any]:
    return built(assigned_first_raw)


def scaleaudit_target_assigned_rest_normed() -> dict[str, Any]:
    return built(assigned_rest_normed)


def scaleaudit_target_assigned_first_normed() -> dict[str, Any]:
    return built(assigned_first_normed)


def scaleaudit_target_chosen_first_raw() -> dict[str, Any]:
    return built(chosen_first_raw)


def scaleaudit_target_chosen_at_random() -> dict[str, Any]:
    return built(chosen_at_random)


def scaleaudit_target_ignored_where_raw() -> dict[str, Any]:
    return built(ignored_where_raw)
