"""Operators that were recorded on the CPU, as they are called on another device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_ATEN = torch.ops.aten


def moved(
    target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], device: torch.device
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """Return a call with its operator and its devices replaced by those of a device."""
    function = _INSTEAD.get(target, target)
    placed = {
        key: device if isinstance(value, torch.device) else value for key, value in kwargs.items()
    }
    args = tuple(device if isinstance(value, torch.device) else value for value in args)
    return function, args, placed


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001, FBT002 - the operator's schema
    *,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, None]:
    """Attend by whatever kernel the device has; nobody reads the logarithms of the sums."""
    found = F.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale
    )
    return found, None


# A view of what is contiguous on one device need not be one on another.
_INSTEAD: dict[Any, Callable[..., Any]] = {
    _ATEN._scaled_dot_product_flash_attention_for_cpu.default: _attention,  # noqa: SLF001
    _ATEN.view.default: _ATEN.reshape.default,
}
