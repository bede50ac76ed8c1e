"""The world in which a target is built: no memory, and answers for those who ask for numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from scaleaudit.capture._torch_private import (
    PRIM_DEVICE,
    OpOverload,
    TorchDispatchMode,
    calls_are_watched,
    swappable,
)
from scaleaudit.capture.api_calls import on_cpu
from scaleaudit.capture.engines import FakeEngine
from scaleaudit.domain.graph import NodeKind, OpGraph

_READ = torch.ops.aten._local_scalar_dense.default


class Building:
    """Enter to make every tensor a fake on the CPU, whatever device the user's code names."""

    def __init__(self, engine: FakeEngine) -> None:
        self._modes: tuple[Any, ...] = (
            swappable(engine.mode),
            _Fakes(engine),
            OnCpu(),
        )

    def __enter__(self) -> None:
        """Start building."""
        for mode in self._modes:
            mode.__enter__()

    def __exit__(self, *error: object) -> None:
        """Stop building."""
        for mode in reversed(self._modes):
            mode.__exit__(*error)


class _Fakes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, engine: FakeEngine) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._engine = engine

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is _READ:
            value = self._engine.value(args[0])
            return _zero(args[0]) if value is None else value.item()
        if func is PRIM_DEVICE:
            return self._engine.device(args[0])
        return self._engine.run(func, args, kwargs or {})


class OnCpu(TorchFunctionMode):
    """Let tensors be made on the CPU, and stay there, whatever device code names or has set."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Make a call without its device."""
        if func in (torch.Tensor.cuda, torch.Tensor.pin_memory):
            return args[0]
        args, kwargs = on_cpu(func, args, kwargs or {})
        return func(*args, **kwargs)


def running_on_cpu(graph: OpGraph) -> AbstractContextManager[Any]:
    """Enter to run a captured program on the CPU, whatever device code names or has set.

    A watch over every call takes as long as the program itself, so there is one only where a
    device may come from elsewhere than an argument: from code of other operators than torch's own,
    or from a mode in force, as a device that was set is one.
    """
    calls = (node for node in graph.nodes if node.kind is NodeKind.CALL)
    is_plain = all(node.base_op.startswith("aten.") for node in calls)
    return nullcontext() if is_plain and not calls_are_watched() else OnCpu()


def _zero(tensor: torch.Tensor) -> bool | int | float:
    if tensor.dtype is torch.bool:
        return False
    return 0.5 if tensor.is_floating_point() else 1
