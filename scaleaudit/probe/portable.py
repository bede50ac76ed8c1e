"""Operators that were recorded on the CPU, as they are called on another device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_ATEN = torch.ops.aten
_WIDE = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex32: torch.complex128,
    torch.complex64: torch.complex128,
}


def moved(
    target: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    device: torch.device,
    *,
    wide: bool = False,
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """Return a call as it is made on a device.

    Args:
        wide: Whether it computes in float64 what was recorded in a narrower type.
    """

    def placed(value: Any) -> Any:
        match value:
            case torch.device():
                return device
            case torch.dtype() if wide:
                return _WIDE.get(value, value)
            case _:
                return value

    function = _INSTEAD.get(target, target)
    return function, tuple(map(placed, args)), {key: placed(kwargs[key]) for key in kwargs}


def in_float64(value: Tensor) -> Tensor:
    """Return a tensor in float64, or the complex type of that width, if its type is narrower."""
    return value.to(_WIDE.get(value.dtype, value.dtype))


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
