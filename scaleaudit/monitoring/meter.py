"""What is measured of a state where it crosses a boundary, without waiting for the device."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from scaleaudit.domain.probing import Turn
from scaleaudit.monitoring.signs import Look
from scaleaudit.probe.norms import Recorder, features
from scaleaudit.probe.program import Crossing

# Types so narrow that a long state loses what turns write to it, or overflows.
_NARROW = (torch.float16, torch.bfloat16)


class Meter:
    """An edit that changes nothing and measures what the early signs are read from."""

    def __init__(self) -> None:
        self._norms = Recorder()
        self._more: dict[Crossing, Tensor] = {}
        self._kinds: dict[Crossing, tuple[str, float]] = {}
        self._before: dict[tuple[int, int], Tensor] = {}

    def __call__(self, crossing: Crossing, value: Tensor) -> Tensor:
        """Measure what crosses; what is no real number has no length."""
        if value.is_floating_point() and value.numel():
            self._norms(crossing, value)
            unit = math.sqrt(features(value.shape))
            self._kinds[crossing] = str(value.dtype).removeprefix("torch."), unit
            more = [_room(value), self._unchanged(crossing, value)]
            self._more[crossing] = torch.stack(more)
        return value

    def _unchanged(self, crossing: Crossing, value: Tensor) -> Tensor:
        """Return the share of elements that no write changed; NaN where it is not known."""
        place = crossing.loop, crossing.state
        before = self._before.get(place)
        if value.dtype not in _NARROW:
            return value.new_full((), torch.nan, dtype=torch.float32)
        self._before[place] = value
        if before is None or before.shape != value.shape:
            return value.new_full((), torch.nan, dtype=torch.float32)
        return (before == value).float().mean()

    def read(self) -> Mapping[Crossing, Look]:
        """Return what was measured since the last time."""
        more, self._more = self._more, {}
        self._before.clear()
        if not more:
            return {}
        norms = self._norms.read()
        rows = torch.stack(list(more.values())).tolist()
        return {
            crossing: Look(
                Turn(found.mean, found.p95, found.largest),
                *self._kinds[crossing],
                room,
                None if math.isnan(unchanged) else unchanged,
            )
            for crossing, (room, unchanged) in zip(more, rows, strict=True)
            for found in [norms[crossing]]
        }


def _room(value: Tensor) -> Tensor:
    """Return the largest number of a tensor's type over its own largest element."""
    return torch.finfo(value.dtype).max / value.abs().amax().float()
