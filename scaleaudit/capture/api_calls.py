"""Where one call of torch's API ends and the next begins, and what the numbers among its arguments are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch.overrides import TorchFunctionMode

from scaleaudit.capture import higher_order
from scaleaudit.capture._torch_private import (
    SET_GRAD_ENABLED,
    HigherOrderOperator,
    takes_default_device,
)
from scaleaudit.capture.packing import replacement

_MOVES = frozenset({torch.Tensor.cuda, torch.Tensor.pin_memory})
_CPU = torch.device("cpu")


class Listener(Protocol):
    """Who wants to know of API calls."""

    def begin(self, function: Callable[..., Any], args: Any, kwargs: Any) -> bool:
        """Note the start of a call; False while the listener itself is calling."""

    def set_grad(self, *, enabled: bool) -> None:
        """Note that the gradient mode was set."""

    def decide(self, test: Any, otherwise: bool) -> bool:  # noqa: FBT001 - a callback
        """Answer a test made by an explicit loop or branch."""

    def read(self, value: Any) -> Any:
        """Wrap the number that ``item`` returned."""

    def to_list(self, tensor: torch.Tensor) -> Any:
        """Read a whole tensor as nested lists."""


class ApiCalls(TorchFunctionMode):
    """Tell a listener of every call from Python into torch."""

    def __init__(self, listener: Listener, *, real: bool) -> None:
        super().__init__()
        self._listener = listener
        self._real = real

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Pass a call on, between two notices."""
        named = kwargs or {}
        if not self._listener.begin(func, args, named):
            return func(*args, **named)
        if isinstance(func, HigherOrderOperator):
            with self:
                return higher_order.run(func, args, self._listener.decide)
        if func is SET_GRAD_ENABLED:
            self._listener.set_grad(enabled=bool(args[0]))
        if not self._real:
            if func in _MOVES:
                return args[0]
            args, named = on_cpu(func, args, named)
            func = replacement(func) or func
        if func is torch.Tensor.__deepcopy__ and args[0].is_leaf:
            return _copied(*args)
        if func is torch.Tensor.tolist:
            return self._listener.to_list(args[0])
        out = func(*args, **named)
        return self._listener.read(out) if func is torch.Tensor.item else out


def on_cpu(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Replace a device among the arguments by the CPU: fakes live nowhere else."""
    if kwargs.get("device") is not None or takes_default_device(function):
        kwargs = {**kwargs, "device": _CPU}
    if function is torch.Tensor.to and len(args) > 1 and _is_device(args[1]):
        args = (args[0], _CPU, *args[2:])
    return args, kwargs


def _copied(tensor: torch.Tensor, memo: dict[int, Any]) -> torch.Tensor:
    """Copy a tensor for ``copy.deepcopy``, without what capture keeps on it."""
    if id(tensor) not in memo:
        with torch.no_grad():
            copy = tensor.clone()
        memo[id(tensor)] = copy.requires_grad_(tensor.requires_grad)
    found: torch.Tensor = memo[id(tensor)]
    return found


def _is_device(value: object) -> bool:
    if isinstance(value, (torch.device, int)) and not isinstance(value, bool):
        return True
    return isinstance(value, str)
