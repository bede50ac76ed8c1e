"""Made-up numbers with something in them to learn: few hidden causes, and smooth laws.

The laws are the same whatever the seed, so that what is learnt on one batch holds on the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# How many causes there are behind an example.
_RANK = 4
# Where the laws begin.
_LAWS = 20_250_607
# How far a signal runs on from one end to the other: half a period of an average cause.
_SPAN = 3.0


def causes(count: int, source: torch.Generator) -> Tensor:
    """Draw what is behind so many examples, (examples, causes)."""
    return torch.randn(count, _RANK, generator=source)


def summary(tokens: Tensor) -> Tensor:
    """Return what tokens say on the whole: how often each of their lowest bits is set."""
    words = tokens.flatten(1) if tokens.dim() > 1 else tokens[:, None]
    bits = [(words >> bit & 1).float().mean(1) for bit in range(_RANK)]
    return torch.stack(bits, 1) * 4 - 2


def waves(given: Tensor, behind: Tensor) -> Tensor:
    """Signals of low rank that run on smoothly between the first dim and the last."""
    shape = given.shape if given.dim() > 1 else (*given.shape, 1)
    time = torch.linspace(0, _SPAN, math.prod(shape[1:-1])).view(1, -1, 1)
    found = torch.sin(behind[:, None, :] + time * _law(1, _RANK, 0)) @ _law(_RANK, shape[-1], 1)
    return _as_given(found.reshape(given.shape), given)


def answers(shape: Sequence[int], behind: Tensor) -> Tensor:
    """Return a smooth function of the causes for every element that comes with an example."""
    hidden = torch.tanh(behind @ _law(_RANK, 2 * _RANK, 2))
    return (hidden @ _law(2 * _RANK, math.prod(shape[1:]), 3)).reshape(shape)


def blobs(given: Tensor, behind: Tensor) -> Tensor:
    """Images of one blob, whose place and colour the causes tell: (examples, channels, ...)."""
    count, channels, *sides = given.shape
    ones = (1,) * len(sides)
    places, distance = torch.tanh(behind / 2), torch.zeros(count, 1, *sides)
    for axis, side in enumerate(sides):
        line = torch.linspace(-1, 1, side).view(
            1, 1, *(side if other == axis else 1 for other in range(len(sides)))
        )
        distance = distance + (line - places[:, axis % _RANK].view(-1, 1, *ones)).square()
    width = 0.1 + 0.1 * torch.sigmoid(behind[:, -1]).view(-1, 1, *ones)
    colour = (1 + behind @ _law(_RANK, channels, 4) / 2).view(count, channels, *ones)
    return _as_given(colour * torch.exp(-distance / width), given)


def _as_given(made: Tensor, given: Tensor) -> Tensor:
    """Give numbers the mean and the spread of those in the target."""
    target = given.float()
    made = (made - made.mean()) / (made.std(correction=0) + torch.finfo(torch.float32).eps)
    return made * target.std(correction=0) + target.mean()


def _law(rows: int, columns: int, which: int) -> Tensor:
    source = torch.Generator().manual_seed(_LAWS + which)
    return torch.randn(rows, columns, generator=source) / math.sqrt(rows)
