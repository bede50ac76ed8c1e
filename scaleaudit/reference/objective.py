"""The loss that a condition trains on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from scaleaudit.reference.config import Condition, Supervision
from scaleaudit.reference.model import LoopedDecoder, LoopedOutput

LossFunction: TypeAlias = Callable[[LoopedDecoder, Tensor, Tensor], Tensor]


def looped_loss(model: LoopedDecoder, tokens: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of the supervised turns, plus the penalty if there is one.

    Args:
        tokens: (batch, tokens) of int64.
        targets: The next tokens, of the same shape.
    """
    return loss_of(model.config.condition, model(tokens), targets)


def loss_of(condition: Condition, output: LoopedOutput, targets: Tensor) -> Tensor:
    """Return the loss of what a model gave, as ``looped_loss`` does."""
    supervised = (
        output.logits if condition.supervision is Supervision.PER_LOOP else output.logits[-1:]
    )
    loss = torch.stack([token_loss(logits, targets) for logits in supervised]).mean()
    if condition.penalty:
        loss = loss + condition.penalty * mean_square(output.states)
    return loss


def token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of (batch, tokens, vocabulary) logits, averaged over tokens."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def mean_square(states: tuple[Tensor, ...]) -> Tensor:
    """Return the mean over turns of mean(h^2), each state (batch, tokens, dim)."""
    return torch.stack([h.pow(2).mean() for h in states]).mean()
