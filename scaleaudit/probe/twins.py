"""Fixes put on a program from outside: edits of what crosses, and terms added to the loss."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

import torch
from torch import Tensor

from scaleaudit.domain.finding import FixKind
from scaleaudit.domain.twins import WORDS
from scaleaudit.probe.norms import feature_axis
from scaleaudit.probe.program import Crossing

# Between 1e-3 and 1e-2, the useful range, the weight that restrains fastest.
PENALTY_WEIGHT = 1e-2
_EPS = 1e-6


class Fix(Enum):
    """What a twin differs by from the target: its words for people."""

    NONE = "nothing"
    PENALTY = WORDS[FixKind.PENALTY]
    NORM = WORDS[FixKind.NORM_BETWEEN]
    RAW = WORDS[FixKind.RAW_READOUT]


class Twin(Protocol):
    """A fix at work during one run of the program."""

    def __call__(self, crossing: Crossing, value: Tensor, /) -> Tensor:
        """Return what crosses instead."""

    def added(self) -> Tensor | float:
        """Return what the run adds to the loss."""


class Untouched:
    """No fix."""

    def __call__(self, _: Crossing, value: Tensor) -> Tensor:
        """Let it cross."""
        return value

    def added(self) -> float:
        """Add nothing."""
        return 0.0


class Penalised:
    """λ times the mean over turns of mean(h²), as in the paper's penalised conditions."""

    def __init__(self, loop: int | None = None, weight: float = PENALTY_WEIGHT) -> None:
        """Penalise the states of one loop, or of all."""
        self._loop, self._weight = loop, weight
        self._terms: list[Tensor] = []

    def __call__(self, crossing: Crossing, value: Tensor) -> Tensor:
        """Let it cross, and charge for it."""
        if self._loop in (None, crossing.loop) and value.is_floating_point():
            self._terms.append(value.float().square().mean())
        return value

    def added(self) -> Tensor | float:
        """Add the penalty of this run."""
        terms, self._terms = self._terms, []
        return self._weight * torch.stack(terms).mean() if terms else 0.0


class Normed:
    """An RMS norm without gain at the end of every turn."""

    def __init__(self, loop: int | None = None) -> None:
        """Norm the states of one loop, or of all."""
        self._loop = loop

    def __call__(self, crossing: Crossing, value: Tensor) -> Tensor:
        """Let it cross with a mean square of 1 per token."""
        if self._loop not in (None, crossing.loop):
            return value
        if not value.is_floating_point() or not value.dim():
            return value
        square = value.float().square().mean(dim=feature_axis(value), keepdim=True)
        return (value * torch.rsqrt(square + _EPS)).to(value.dtype)

    def added(self) -> float:
        """Add nothing."""
        return 0.0
