"""Sequences of a text, and which of them each step of training is given."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from scaleaudit.errors import ProbeError

# What tells the orders of one seed's epochs apart from those of the next seed.
_APART = 1_000_003


@dataclass(frozen=True, slots=True)
class Windows:
    """The sequences of a text: of one length, each a stride after the one before.

    Attributes:
        tokens: The text, (tokens,).
        length: Tokens of a sequence, with the one that is only predicted.
    """

    tokens: Tensor
    length: int
    stride: int

    def __len__(self) -> int:
        return max(0, (len(self.tokens) - self.length) // self.stride + 1)

    def take(self, numbers: Tensor) -> Tensor:
        """Return sequences by their numbers, (sequences, length) of int64."""
        return self.tokens.unfold(0, self.length, self.stride)[numbers].long()

    def spread(self, most: int) -> Tensor:
        """Return at most so many sequences, evenly spread over the text."""
        count = min(len(self), most)
        return self.take(torch.arange(count) * len(self) // count)


def windows_of(tokens: Tensor, context: int, stride: int) -> Windows:
    """Return the sequences of a text for a model of some context.

    Raises:
        ProbeError: It is too short for one.
    """
    found = Windows(tokens, context + 1, stride)
    if not len(found):
        raise ProbeError(
            f"the text has {len(tokens)} tokens, too few for a sequence of {context + 1}",
            hint="Both what is trained on and what is held out need as many; give a longer text.",
        )
    return found


@dataclass(slots=True)
class Order:
    """Which sequences each step is given: all of them once an epoch, in an order of its own.

    It is known from the seed and the step alone, so that a training goes on where it was.
    """

    count: int
    batch: int
    seed: int
    _epochs: dict[int, Tensor] = field(default_factory=dict)

    def numbers(self, step: int) -> Tensor:
        """Return the numbers of the sequences of a step, (batch,); the first step is 0."""
        found, at = list[Tensor](), step * self.batch
        end = at + self.batch
        while at < end:
            epoch, start = divmod(at, self.count)
            part = self._epoch(epoch)[start : start + end - at]
            found.append(part)
            at += len(part)
        return torch.cat(found)

    def _epoch(self, epoch: int) -> Tensor:
        if epoch not in self._epochs:
            draws = torch.Generator().manual_seed(self.seed * _APART + epoch)
            self._epochs = {epoch: torch.randperm(self.count, generator=draws)}
        return self._epochs[epoch]
