"""Packed sequences of fakes: packed as if all were of full length, by plain operators.

How many sequences are left at each step is read by the recurrent operators as memory, which fakes
have none of, so it is a real tensor. Scale does not depend on where sequences end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

from scaleaudit.capture._torch_private import PACK, PAD_PACKED, without_modes


def replacement(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return what does a packing function's work on fakes; None for all other functions."""
    if function is PACK:
        return _pack
    return _pad_packed if function is PAD_PACKED else None


def _pack(padded: torch.Tensor, lengths: torch.Tensor, *flags: bool, **named: bool) -> Any:  # noqa: ARG001
    by_step = padded.transpose(0, 1) if _flag(flags, named) else padded
    length, batch = by_step.shape[:2]
    return by_step.reshape(length * batch, *by_step.shape[2:]), _numbers(length, batch)


def _pad_packed(
    data: torch.Tensor,
    sizes: torch.Tensor,
    batch_first: bool,  # noqa: FBT001 - torch's signature
    padding_value: float,
    total_length: int,
) -> Any:
    length = sizes.shape[0]
    batch = data.shape[0] // length
    padded = data.reshape(length, batch, *data.shape[1:])
    if total_length > length:
        after = [0, 0] * (padded.dim() - 1) + [0, total_length - length]
        padded = F.pad(padded, after, value=padding_value)
    return padded.transpose(0, 1) if batch_first else padded, _numbers(batch, length)


def _flag(flags: tuple[bool, ...], named: Mapping[str, bool]) -> bool:
    return bool(flags[0] if flags else named.get("batch_first"))


def _numbers(count: int, value: int) -> torch.Tensor:
    """Return a real tensor of equal whole numbers."""
    with without_modes():
        return torch.full((count,), value, dtype=torch.int64)
