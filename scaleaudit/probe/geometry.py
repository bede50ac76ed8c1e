"""Steps of carried states, token by token: along the state, around it, and what bf16 loses of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scaleaudit.probe.norms import feature_axis

# Bits after the point in bf16's significand, and one more for half a unit in the last place.
_HALF_UNIT = 8


def radial_step(before: Tensor, after: Tensor) -> float | None:
    """Return how much longer a step makes a state along its own direction, as a mean over tokens.

    Args:
        before: (..., features), or (batch, channels, ...), as ``norms.lengths`` takes it.
        after: Of the same shape.
    """
    lengths = _length(before)
    inner = ((after - before) * before).sum(feature_axis(before), keepdim=True)
    return _mean(inner / lengths, lengths > 0)


def angular_step(before: Tensor, after: Tensor) -> float | None:
    """Return the angle that a step turns a state by, in radians, as a mean over tokens.

    Notes:
        2 atan2(|x - y|, |x + y|) of the two directions: precise for small angles too.
    """
    long_before, long_after = _length(before), _length(after)
    x, y = before / long_before, after / long_after
    angle = 2 * torch.atan2(_length(x - y), _length(x + y))
    return _mean(angle, (long_before > 0) & (long_after > 0))


def swallowed(before: Tensor, after: Tensor) -> float:
    """Return the share of the elements of a step that bf16 would lose on adding them to the state.

    An element of absolute value in [2^e, 2^(e+1)) has units in the last place of 2^(e-7).
    """
    update = after - before
    _, exponent = torch.frexp(before)  # of significands in [1/2, 1)
    half_unit = torch.ldexp(torch.ones_like(before), exponent - 1 - _HALF_UNIT)
    written = update != 0
    lost = written & (before != 0) & (update.abs() < half_unit)
    return float(lost.sum() / written.sum().clamp(min=1))


def unlengthened(before: Tensor, after: Tensor) -> Tensor:
    """Return a state without what the turn added along the direction that the state had."""
    direction = before / _length(before).clamp(min=torch.finfo(before.dtype).tiny)
    radial = ((after - before) * direction).sum(feature_axis(before), keepdim=True)
    return after - radial * direction


def _length(value: Tensor) -> Tensor:
    """The L2 length over features, which stay as an axis of one."""
    found: Tensor = torch.linalg.vector_norm(value, dim=feature_axis(value), keepdim=True)
    return found


def _mean(value: Tensor, counts: Tensor) -> float | None:
    """The mean over those tokens that count, None where none does."""
    found = float(value[counts].mean()) if bool(counts.any()) else math.nan
    return found if math.isfinite(found) else None
