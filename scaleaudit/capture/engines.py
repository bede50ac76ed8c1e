"""The worlds that operators run in: fake tensors without memory, or real ones."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any, Protocol

import torch

from scaleaudit.capture import marks
from scaleaudit.capture._torch_private import (
    DynamicOutputShapeException,
    FakeTensor,
    OpOverload,
    fake_mode,
    pytree,
    storage_key,
    swappable,
    unwatched,
    without_modes,
)
from scaleaudit.capture.marks import TWIN
from scaleaudit.capture.outcomes import Outcomes, like
from scaleaudit.capture.schemas import op_info
from scaleaudit.capture.writes import written_tensors

# Elements up to which values that follow from constants alone are kept beside their fakes.
TWIN_LIMIT = 1 << 20
# The same for random values, enough for a batch of token ids but not for weights, and for what a
# forward computes, where time counts.
SMALL_TWIN = 1 << 14

_CPU = torch.device("cpu")


class Engine(Protocol):
    """Run an operator; know a tensor's value where it is known."""

    exact: bool

    def run(self, op: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run one operator."""

    def device(self, tensor: torch.Tensor) -> torch.device:
        """Return the device of a tensor."""

    def adopt(self, tensor: torch.Tensor) -> torch.Tensor:
        """Bring a tensor from outside into this world."""

    def value(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return the value of a tensor that doesn't depend on parameters, if known and small."""

    def forget(self, tensor: torch.Tensor) -> None:
        """Forget the value of a tensor, as parameters' initial values must not count."""

    def like(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return new tensors of the same shapes, strides and types, with or without gradient."""

    def is_plain(self, tensor: torch.Tensor) -> bool:
        """Tell whether ``like`` makes tensors that nobody can tell from this one."""

    def extras(self, tensor: torch.Tensor) -> tuple[str, ...]:
        """Return the attributes of a tensor that the user put there."""

    def movable(self) -> AbstractContextManager[None]:
        """Let modules be moved and cast while a program runs."""


class RealEngine:
    """Run on real tensors."""

    exact = True

    def run(self, op: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run one operator."""
        return op(*args, **kwargs)

    def device(self, tensor: torch.Tensor) -> torch.device:
        """Return the device of a tensor."""
        return tensor.device

    def adopt(self, tensor: torch.Tensor) -> torch.Tensor:
        """Take a tensor as it is; one on the meta device gets memory."""
        if not tensor.is_meta:
            return tensor
        return torch.empty_like(tensor, device=_CPU)

    def value(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return the tensor itself, unless it is large."""
        return tensor.detach() if tensor.numel() <= TWIN_LIMIT else None

    def forget(self, tensor: torch.Tensor) -> None:
        """Do nothing: what is real has its value."""

    def like(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return tensors that hold anything."""
        return list(map(torch.empty_like, tensors))

    def is_plain(self, tensor: torch.Tensor) -> bool:  # noqa: ARG002 - what is real has its value
        """Return False."""
        return False

    def extras(self, tensor: torch.Tensor) -> tuple[str, ...]:
        """Return the attributes of a tensor that the user put there."""
        return tuple(name for name in vars(tensor) if not name.startswith(marks.PREFIX))

    def movable(self) -> AbstractContextManager[None]:
        """Change nothing: what is real can be moved and cast."""
        return nullcontext()


class FakeEngine:
    """Run on fake tensors; beside small constants keep their values, as twins.

    The twins tell ranges of masks and buffers, and answer ``.item()`` on what doesn't depend on
    the model: the loop over ``torch.linspace(0, rate, depth)`` in a constructor, a length given as
    a tensor.
    """

    exact = False

    def __init__(self, *, building: bool) -> None:
        self.mode = fake_mode()
        self.building = building
        self._outcomes = Outcomes(self.mode)
        self._stale: dict[int, torch.Tensor] = {}
        self._memories: dict[int, tuple[torch.UntypedStorage, torch.Tensor]] = {}

    def run(self, op: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run one operator, everything on the CPU."""
        if kwargs and isinstance(kwargs.get("device"), torch.device):
            kwargs = {**kwargs, "device": _CPU}
        key = self._outcomes.key(op, args, kwargs)
        out = self._outcomes.again(key, args)
        if out is None:
            out = self._run(op, args, kwargs)
            self._outcomes.keep(key, out, args)
        self._run_twins(op, args, kwargs, out)
        return out

    def _run(self, op: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        with self.mode:
            try:
                return _grouped(*args, **kwargs) if op is _GROUPED else op(*args, **kwargs)
            except DynamicOutputShapeException:
                out = _sized(op, args, kwargs)
                if out is None:
                    raise
                return out

    def device(self, tensor: torch.Tensor) -> torch.device:  # noqa: ARG002 - all are there
        """Return the CPU."""
        return _CPU

    def adopt(self, tensor: torch.Tensor) -> torch.Tensor:
        """Make a fake of a tensor, on the CPU wherever it was."""
        if isinstance(tensor, FakeTensor):
            if tensor.device == _CPU and tensor.fake_mode is self.mode:
                return tensor
        elif not tensor.is_meta:
            known = self._like_it(tensor) if tensor.device == _CPU else self.brought(tensor)
            if tensor.numel() <= TWIN_LIMIT:
                setattr(known, TWIN, tensor.detach().cpu().clone())
            return known
        with self.mode:
            fake = torch.empty_strided(
                tensor.shape, tensor.stride(), dtype=tensor.dtype, device=_CPU
            )
            if isinstance(tensor, torch.nn.Parameter):
                return torch.nn.Parameter(fake, requires_grad=tensor.requires_grad)
            return fake.requires_grad_(tensor.requires_grad)

    def _like_it(self, tensor: torch.Tensor) -> torch.Tensor:
        with self.mode:
            return self.mode.from_tensor(tensor, static_shapes=True)

    def brought(self, tensor: torch.Tensor) -> torch.Tensor:
        """Make a fake on the CPU of a tensor elsewhere; those that share memory still do."""
        key = storage_key(tensor)
        if not key:  # a layout that has none
            return self._like_it(tensor)
        storage = tensor.untyped_storage()
        with self.mode, torch.no_grad():
            if key not in self._memories:
                size = storage.nbytes() // tensor.element_size()
                memory = torch.empty(size, dtype=tensor.dtype, device=_CPU)
                self._memories[key] = storage, memory  # held, so that the key stays its own
            memory = self._memories[key][1].view(tensor.dtype)
            fake = memory.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
        if isinstance(tensor, torch.nn.Parameter):
            return torch.nn.Parameter(fake, requires_grad=tensor.requires_grad)
        return fake.requires_grad_(tensor.requires_grad)

    def value(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return the twin of a fake tensor, or a small real tensor itself."""
        if not isinstance(tensor, FakeTensor):
            return tensor if not tensor.is_meta and tensor.numel() <= TWIN_LIMIT else None
        twin = getattr(tensor, TWIN, None)
        if twin is None or storage_key(twin) in self._stale:
            return None
        return twin if isinstance(twin, torch.Tensor) else None

    def forget(self, tensor: torch.Tensor) -> None:
        """Forget the value of a tensor, as parameters' initial values must not count."""
        if hasattr(tensor, TWIN):
            delattr(tensor, TWIN)

    def like(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return new tensors of the same shapes, strides and types, with or without gradient."""
        with unwatched(), without_modes():
            if not any(tensor.requires_grad for tensor in tensors):
                return [self._new(tensor) for tensor in tensors]
            grow: Any = _Grown.apply
            return list(grow(torch.empty((), requires_grad=True), tensors, self._new))

    def _new(self, tensor: torch.Tensor) -> torch.Tensor:
        return like(self.mode, tensor.shape, tensor.stride(), tensor.dtype)

    def is_plain(self, tensor: torch.Tensor) -> bool:
        """Tell whether a tensor is of this world and carries no attribute of the user's."""
        if type(tensor) is not FakeTensor or tensor.fake_mode is not self.mode:
            return False
        return not self.extras(tensor)

    def extras(self, tensor: torch.Tensor) -> tuple[str, ...]:
        """Return the attributes of a tensor that the user put there."""
        usual = self._usual if type(tensor) is FakeTensor else ()
        return tuple(n for n in vars(tensor) if n not in usual and not n.startswith(marks.PREFIX))

    def movable(self) -> AbstractContextManager[None]:
        """Let modules be moved and cast while a program runs."""
        return swappable(self.mode)

    @cached_property
    def _usual(self) -> frozenset[str]:
        """The attributes that every tensor of this world has, parameters included."""
        with unwatched(), without_modes():
            return frozenset(vars(torch.nn.Parameter(self._new(torch.empty(0)))))

    def _run_twins(
        self, op: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
    ) -> None:
        info = op_info(op)
        if not all(map(self._known, args)) or not all(map(self._known, kwargs.values())):
            if info.writes:
                self._go_stale(op, args, kwargs)
            return
        outs = [leaf for leaf in pytree.tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        made = (
            self._compute(op, args, kwargs) if self._worth(op, outs, random=info.random) else None
        )
        if made is None:
            if info.writes:
                self._go_stale(op, args, kwargs)
            return
        given = {id(leaf) for leaf in pytree.tree_leaves((args, dict(kwargs)))}
        for fake, twin in zip(outs, made, strict=False):
            if id(fake) not in given:
                setattr(fake, TWIN, twin)

    def _known(self, argument: object) -> bool:
        """Tell whether the value of an argument, or of all in a list, is known."""
        if isinstance(argument, torch.Tensor):
            return self.value(argument) is not None
        return not isinstance(argument, (list, tuple)) or all(map(self._known, argument))

    def _compute(
        self, op: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> list[torch.Tensor] | None:
        """Run an operator on twins; None where their values don't suit it."""
        twin_args, twin_kwargs = pytree.tree_map_only(
            torch.Tensor, self.value, (args, dict(kwargs))
        )
        try:
            with torch.no_grad():
                made = pytree.tree_leaves(op(*twin_args, **twin_kwargs))
        except (RuntimeError, IndexError, ValueError):
            return None
        return [leaf for leaf in made if isinstance(leaf, torch.Tensor)]

    def _worth(self, op: OpOverload, outs: list[torch.Tensor], *, random: bool) -> bool:
        if random and not self.building:
            return False
        small = random or not self.building or op.overloadpacket is torch.ops.aten.empty
        limit = SMALL_TWIN if small else TWIN_LIMIT
        return bool(outs) and all(out.numel() <= limit for out in outs)

    def _go_stale(self, op: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """A value that isn't known was written: the twins that share the memory are void."""
        for leaf in written_tensors(op_info(op), args, kwargs):
            twin = getattr(leaf, TWIN, None)
            if isinstance(twin, torch.Tensor):
                self._stale[storage_key(twin)] = twin  # held, so that the key stays its own


_GROUPED = torch.ops.aten._grouped_mm.default


def _grouped(
    x: torch.Tensor,
    matrices: torch.Tensor,
    offs: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,  # noqa: ARG001 - no kernel takes one yet
    out_dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Return what a grouped matrix product returns: its own fakes refuse all but bfloat16."""
    rows, columns = x.shape[-2], matrices.shape[-1]
    groups = [] if offs is None else [offs.shape[0]]
    flat = x.dim() == matrices.dim() == 2  # noqa: PLR2004 - groups share the inner dim
    batch = groups if flat else list(x.shape[:-2])
    return x.new_empty((*batch, rows, columns), dtype=out_dtype or x.dtype)


class _Grown(torch.autograd.Function):
    """Tensors that are computed from something that learns, whatever that was."""

    @staticmethod
    def forward(ctx: Any, _: torch.Tensor, tensors: list[torch.Tensor], new: Any) -> Any:
        """Return tensors like others."""
        made = tuple(map(new, tensors))
        fixed = (new for new, old in zip(made, tensors, strict=True) if not old.requires_grad)
        ctx.mark_non_differentiable(*fixed)
        return made


def _sized(op: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run an operator whose output size depends on values, taking half of the elements."""
    packet = op.overloadpacket
    if packet is torch.ops.aten.nonzero:
        return args[0].new_empty((_half(args[0]), args[0].dim()), dtype=torch.int64)
    if packet is torch.ops.aten.masked_select:
        return args[0].new_empty((_half(args[1]),))
    if packet is torch.ops.aten.index:
        return op(args[0], _positions(args[1]), **kwargs)
    return None


def _half(tensor: torch.Tensor) -> int:
    return max(1, tensor.numel() // 2)


def _positions(indices: list[torch.Tensor | None]) -> list[torch.Tensor | None]:
    """Replace every mask by as many positions as it is taken to select."""
    found: list[torch.Tensor | None] = []
    for index in indices:
        if index is not None and index.dtype in (torch.bool, torch.uint8):
            positions = index.new_empty((_half(index),), dtype=torch.int64)
            found.extend(itertools.repeat(positions, index.dim()))
        else:
            found.append(index)
    return found
