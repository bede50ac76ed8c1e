"""Lengths of carried states at the boundaries, and edits of what crosses there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from scaleaudit.probe.group import ALONE, Group
from scaleaudit.probe.program import Crossing

# Elements up to which a quantile is exact; of more tokens every so manyth is looked at.
_MOST_TOKENS = 1 << 20
# Dims of a batch of images.
_IMAGE = 4


@dataclass(frozen=True, slots=True)
class Norms:
    """Lengths of one state after one turn, over its tokens: L2 over features, in float32."""

    mean: float
    p95: float
    largest: float


def lengths(value: Tensor) -> Tensor:
    """Return the length of every token of a state.

    Args:
        value: (..., features), or (batch, channels, height, width, ...), whose features are the
            channels; a state without dims is a token of one feature.

    Returns:
        (tokens,) in float32.
    """
    if not value.dim():
        return value.float().abs().reshape(1)
    axis = feature_axis(value)
    narrow = value.dtype.itemsize < torch.float32.itemsize
    dtype = torch.float32 if narrow else value.dtype
    found: Tensor = torch.linalg.vector_norm(value, dim=axis, dtype=dtype)
    return found.flatten().float()


def feature_axis(value: Tensor) -> int:
    """Return the axis of the features of a state with dims: the channels of images, else the last."""
    return 1 if value.dim() >= _IMAGE else -1


def features(shape: Sequence[int]) -> int:
    """Return how many features a state of some shape has."""
    if not shape:
        return 1
    return shape[1 if len(shape) >= _IMAGE else -1]


class Measured(Protocol):
    """A part of a state."""

    def lengths(self, value: Tensor, /) -> Tensor:
        """Return the lengths of its tokens."""


class Recorder:
    """An edit that changes nothing and measures everything, without waiting for the device."""

    def __init__(
        self, group: Group = ALONE, parts: Mapping[Crossing, Measured] | None = None
    ) -> None:
        """Measure states whole, but for those of which a part is given."""
        self._group, self._parts = group, parts or {}
        self._found: dict[Crossing, Tensor] = {}

    def __call__(self, crossing: Crossing, value: Tensor) -> Tensor:
        """Measure what crosses."""
        part, seen = self._parts.get(crossing), value.detach()
        found = self._group.joined(lengths(seen) if part is None else part.lengths(seen))
        step = -(-found.numel() // _MOST_TOKENS)
        top = torch.quantile(found[::step], 0.95)
        self._found[crossing] = torch.stack([found.mean(), top, found.max()])
        return value

    def read(self) -> Mapping[Crossing, Norms]:
        """Return what was measured since the last time."""
        found, self._found = self._found, {}
        if not found:
            return {}
        rows = torch.stack(list(found.values())).tolist()
        return {crossing: Norms(*row) for crossing, row in zip(found, rows, strict=True)}
