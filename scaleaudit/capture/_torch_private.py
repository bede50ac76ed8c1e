"""Every torch name that is not public, each with its reason and the public way round it.

Those that keep torch's compiler from loading are in ``_torch_deferred`` and ``_torch_stand_ins``.

- ``TorchDispatchMode``: sees each ATen operator below autograd. Public way round:
  ``torch.export`` (slower, and it fails on data-dependent Python), our last fallback.
- ``TorchDispatchMode._should_skip_dynamo``: overridden to spare every operator a detour through
  dynamo. Where a version doesn't ask for it, recording is only slower.
- ``FakeTensorMode``, ``FakeTensor``: shapes without memory. Public way round: run on real tensors,
  our second attempt.
- ``FakeTensorMode.cache_enabled``: switched off, since ``outcomes`` remembers at a lower cost.
  Where a version hasn't got it, both remember.
- The memo of the fake tensors' converter: emptied before a module's parameters are swapped for
  converted ones (``model.to(...)``), since what is remembered there cannot be swapped. Public way
  round: such a model is built of real tensors.
- ``_disable_current_modes``: makes a real tensor in between. Public way round: packed sequences
  are recorded on real tensors.
- ``torch.utils._device``, the device that is set and what it is given to: who makes a tensor after
  ``with torch.device(...)`` or ``set_default_device``. Public way round: none; models that set one would be audited where it is at hand.
- The stacks of function and dispatch modes and the dicts of global module hooks: tell whether
  somebody besides capture watches the operators and calls. Public way round: none; calls that
  repeat others are recorded again.
- ``torch._C.DisableTorchFunction``: looks at a tensor, or makes one, without a detour through the
  modes that watch the user's code. Public way round: let them see it, at several times the cost.
- ``torch._VF._pack_padded_sequence``, ``_pad_packed_sequence``: what packing calls, done by plain
  operators for fakes. Public way round: packed sequences are recorded on real tensors.
- The exceptions of the fake tensors: tell what the fake world cannot answer from a user's error.
  Public way round: treat every error alike and always try real tensors.
- ``OpOverload._schema`` and friends: names, defaults and aliasing of arguments. Public way round:
  ``torch.export``'s graph, which carries the same schemas.
- ``CustomOpDef``, ``OpOverloadPacket`` and their names: tell of which operator a law is declared.
  Public way round: declare it by the operator's name.
- ``UntypedStorage._cdata``: tells whether ``x.data = y`` moved a tensor to another storage.
  Public way round: ``data_ptr()``, which fake tensors don't have.
- ``torch._check_with``: where torch's checks test their condition, which may be a truth value read
  from a tensor. Public way round: such a check raises, and real tensors are tried.
- ``HigherOrderOperator``: the type of ``torch.while_loop``, ``scan`` and ``cond``, which are run as
  Python. Public way round: none; ``torch.export`` keeps them as they are.
- The code of ``associative_scan``: replaced while a program is recorded by one that combines
  step by step, since the name is bound wherever it was imported. Public way round: none; torch's
  own order is recorded, in which no recurrence can be seen.
- ``torch._C._set_grad_enabled``: what every switch of the gradient mode calls, seen by a function
  mode. Public way round: ``is_grad_enabled()``, which is off inside custom autograd functions.
- ``torch.utils._pytree``: takes nested arguments apart. Public way round: ``torch.utils.pytree``,
  in the versions that have it, or a loop over lists, tuples and dicts.
- ``torch.utils._contextlib``: told from the user's code by its file. Public way round: none.
- ``Function.apply``'s code object: finds custom autograd functions on the stack. Public way round:
  none; their operators would count as computed under no_grad. It is replaced while a program is
  recorded, since ``apply`` is bound wherever it was imported. Public way round: none; what a
  backward passes on would not be known.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import torch
from torch._library.custom_ops import CustomOpDef
from torch._ops import HigherOrderOperator, OpOverload, OpOverloadPacket
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedOperatorException,
)
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack
from torch.utils._python_dispatch import _disable_current_modes as without_modes

__all__ = [
    "APPLY_CODE",
    "DECORATED_FILE",
    "FAKE_EXCEPTIONS",
    "FUNCTION_NAMESPACE",
    "PACK",
    "PAD_PACKED",
    "PRIM_DEVICE",
    "SET_GRAD_ENABLED",
    "DataDependentOutputException",
    "DynamicOutputShapeException",
    "FakeTensor",
    "FakeTensorMode",
    "HigherOrderOperator",
    "OpOverload",
    "TorchDispatchMode",
    "checks_hold_for",
    "fake_mode",
    "function_calls",
    "overloads",
    "pytree",
    "qualified_name",
    "schema",
    "stepwise_scans",
    "storage_key",
    "swappable",
    "takes_default_device",
    "unwatched",
    "watchers",
    "without_modes",
]

PACK: Any = torch._VF._pack_padded_sequence
PAD_PACKED: Any = torch._VF._pad_packed_sequence
unwatched: Any = torch._C.DisableTorchFunction
PRIM_DEVICE: OpOverload = torch.ops.prim.device.default
SET_GRAD_ENABLED: Any = torch._C._set_grad_enabled
APPLY_CODE = torch.autograd.Function.apply.__code__

# Where the wrapper of functions decorated with no_grad lives; it stands for the user's own code.
DECORATED_FILE = str(torch.utils._contextlib.__file__)

# Where autograd functions of torch itself live, such as the one of checkpointing.
FUNCTION_NAMESPACE = "torch."

# What the fake world says when it cannot answer, as against an error of the user's code.
FAKE_EXCEPTIONS: tuple[type[BaseException], ...] = (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedOperatorException,
)

# Loaded by the first use of fake tensors, and of random numbers.
LATE_MODULES = ("torch.distributed.tensor", "numpy.random")
# Loaded by the first use of fake tensors, unless they are deferred.
DEFERRABLE_MODULES = ("torch.fx.experimental.symbolic_shapes", "torch._dynamo")


@contextmanager
def checks_hold_for(kind: type) -> Iterator[None]:
    """Let torch's own checks take a condition of a kind for true: what it checks is promised."""
    check: Any = getattr(torch, "_check_with", None)
    if check is None:  # another torch: it checks as it likes
        yield
        return

    def held(error: Any, condition: Any, message: Any) -> None:
        check(error, True if isinstance(condition, kind) else condition, message)

    setattr(torch, "_check_with", held)  # noqa: B010 - its type is the original's
    try:
        yield
    finally:
        setattr(torch, "_check_with", check)  # noqa: B010


@contextmanager
def stepwise_scans() -> Iterator[None]:
    """Let ``associative_scan`` combine one element after the other, on any device."""
    try:
        scan: Any = importlib.import_module("torch._higher_order_ops").associative_scan
        code = scan.__code__
        scan.__code__ = _associative_scan.__code__
    except (AttributeError, ImportError, ValueError):
        yield  # another torch: its own order it is
        return
    try:
        yield
    finally:
        scan.__code__ = code


def _associative_scan(  # its code alone is used, in torch's module
    combine_fn: Any,
    xs: Any,
    dim: int,
    reverse: bool = False,  # noqa: FBT001, FBT002 - torch's signature
    combine_mode: str = "pointwise",  # noqa: ARG001
) -> Any:
    from scaleaudit.capture.higher_order import associative_scan  # noqa: PLC0415

    return associative_scan(combine_fn, xs, dim, reverse=reverse)


@contextmanager
def function_calls() -> Iterator[Any]:
    """Let ``functions.call`` make the calls of custom autograd functions, however they were imported.

    Yields:
        What makes such a call as torch does.
    """
    written: Any = vars(torch.autograd.Function)["apply"].__func__
    code = written.__code__
    apply = FunctionType(code, written.__globals__, "apply", None, written.__closure__)
    written.__code__ = _watched_apply().__code__
    try:
        yield apply
    finally:
        written.__code__ = code


def _watched_apply() -> Any:
    __class__: Any = None  # torch's own code has this one free variable too

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:  # its code alone is used
        from scaleaudit.capture import functions  # noqa: PLC0415

        return functions.call(__class__, cls, args, kwargs)

    return apply


def fake_mode() -> FakeTensorMode:
    """Return a new world of fake tensors; what operators return is remembered elsewhere."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    if hasattr(mode, "cache_enabled"):
        mode.cache_enabled = False
    return mode


@contextmanager
def swappable(mode: FakeTensorMode) -> Iterator[None]:
    """Let modules of fake tensors be moved and cast, which swaps their parameters."""
    swap: Any = torch.utils.swap_tensors

    def forgotten_and_swapped(one: torch.Tensor, other: torch.Tensor) -> None:
        if storage_key(one) == storage_key(other) and one.dtype is other.dtype:
            return  # it is there already
        converter = getattr(mode.fake_tensor_converter, "meta_converter", None)
        memo = getattr(converter, "tensor_memo", None)
        if memo is not None:
            memo.clear()
        swap(one, other)

    torch.utils.swap_tensors = forgotten_and_swapped
    try:
        yield
    finally:
        torch.utils.swap_tensors = swap


def takes_default_device(function: Any) -> bool:
    """Tell whether a function makes tensors on a default device that was set."""
    devices = sys.modules.get("torch.utils._device")  # loaded by who sets one
    if getattr(devices, "CURRENT_DEVICE", None) is None:
        return False
    listed: Any = getattr(devices, "_device_constructors", None)
    return listed is not None and function in listed()


def calls_are_watched() -> bool:
    """Tell whether a function mode is in force."""
    function_modes: Any = torch.overrides._get_current_function_mode_stack
    return bool(function_modes())


def watchers() -> tuple[int, ...]:
    """Return identities of the modes and global module hooks in force."""
    hooks = torch.nn.modules.module
    function_modes: Any = torch.overrides._get_current_function_mode_stack
    return tuple(
        map(
            id,
            (
                *function_modes(),
                *_get_current_dispatch_mode_stack(),
                *hooks._global_forward_pre_hooks.values(),
                *hooks._global_forward_hooks.values(),
            ),
        )
    )


def qualified_name(op: Any) -> str:
    """Return a name as ``mylib::rmsnorm`` of what stands for an operator, '' of anything else."""
    if isinstance(op, CustomOpDef):
        return op._qualname
    if isinstance(op, OpOverload):
        return str(op._schema.name)
    return str(op._qualified_op_name) if isinstance(op, OpOverloadPacket) else ""


def schema(op: OpOverload) -> Any:
    """Return the operator's schema: names, types, defaults and aliasing."""
    return op._schema


def storage_key(tensor: torch.Tensor) -> int:
    """Return an identity of the memory behind a tensor, 0 where it has none."""
    try:
        key: int = tensor.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError):  # sparse and other storage-less tensors
        return 0
    return key


def overloads(qualified: str) -> list[OpOverload]:
    """Return the overloads of ``aten::add``, none where there is no such operator."""
    namespace, _, name = qualified.partition("::")
    found: Any = getattr(getattr(torch.ops, namespace), name, None)
    return [] if found is None else [getattr(found, key) for key in found.overloads()]
