"""The state of torch in which a recording runs, restored afterwards."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from scaleaudit.capture._torch_deferred import compiled_runs_eagerly
from scaleaudit.capture._torch_private import checks_hold_for, stepwise_scans
from scaleaudit.capture.engines import Engine
from scaleaudit.capture.places import ModuleCalls
from scaleaudit.capture.scalars import Read

_script_as_written: Any = vars(torch.jit)["optimized_execution"]


@contextmanager
def eager_and_plain() -> Iterator[None]:
    """Run compiled forwards eagerly and let fused kernels come through in parts."""
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        # Switching oneDNN sets a flag for Intel GPUs too, and warns where there is none.
        warnings.filterwarnings("ignore", message="TF32 acceleration")
        warnings.filterwarnings("ignore", message=r"Using `torch.compile\(module\)` when there are")
        stack.enter_context(_quiet(logging.getLogger("torch._subclasses.fake_tensor")))
        stack.enter_context(compiled_runs_eagerly())
        # What runs twice is else differentiated by the script's own executor, out of sight.
        stack.enter_context(_script_as_written(False))  # noqa: FBT003 - torch's signature
        stack.enter_context(stepwise_scans())
        stack.enter_context(checks_hold_for(Read))
        stack.enter_context(_without_inference_mode())
        stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
        torch.backends.mha.set_fastpath_enabled(False)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        yield


@contextmanager
def _without_inference_mode() -> Iterator[None]:
    """Let inference mode do no more than turn gradients off: it runs other operators."""
    mode = torch.inference_mode
    enter, leave = mode.__enter__, mode.__exit__
    entered: dict[int, list[torch.no_grad]] = {}

    def switch_off(self: torch.inference_mode) -> None:
        if self.mode:
            entered.setdefault(id(self), []).append(torch.no_grad())
            entered[id(self)][-1].__enter__()

    def switch_back(self: torch.inference_mode, *error: Any) -> None:
        if entered.get(id(self)):
            entered[id(self)].pop().__exit__(*error)

    mode.__enter__, mode.__exit__ = switch_off, switch_back  # type: ignore[method-assign]
    try:
        yield
    finally:
        mode.__enter__, mode.__exit__ = enter, leave  # type: ignore[method-assign]


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep torch from printing errors that are about to be reported anyway."""
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@contextmanager
def module_calls(calls: ModuleCalls) -> Iterator[None]:
    """Tell which frame runs which module."""

    def before(module: torch.nn.Module, _args: Any) -> None:
        calls.enter(module, sys._getframe(1))

    def after(module: torch.nn.Module, _args: Any, _output: Any) -> None:
        calls.leave(module)

    first = register_module_forward_pre_hook(before)
    second = register_module_forward_hook(after, always_call=True)
    try:
        yield
    finally:
        first.remove()
        second.remove()


@contextmanager
def adopted(model: torch.nn.Module, engine: Engine) -> Iterator[None]:
    """Put tensors of the engine's world in the place of the model's, for the time being.

    A tensor that several modules share is replaced by one tensor.
    """
    swaps: dict[torch.Tensor, torch.Tensor] = {}
    undo: list[tuple[torch.nn.Module, str, torch.Tensor]] = []
    for module in model.modules():
        for name, tensor in (*_own(module.named_parameters), *_own(module.named_buffers)):
            if tensor not in swaps:
                swaps[tensor] = engine.adopt(tensor)
            if swaps[tensor] is not tensor:
                undo.append((module, name, tensor))
                setattr(module, name, swaps[tensor])
            if isinstance(tensor, torch.nn.Parameter):
                engine.forget(swaps[tensor])
    try:
        yield
    finally:
        for module, name, tensor in undo:
            setattr(module, name, tensor)


def _own(listing: Any) -> list[tuple[str, torch.Tensor]]:
    return list(listing(recurse=False, remove_duplicate=False))
