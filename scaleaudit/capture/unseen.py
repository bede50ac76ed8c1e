"""Writes that no operator shows: kernels that are launched by themselves, memory filled by pointer.

A kernel of Triton, or compiled code that is handed an address, writes behind torch's back. What it
leaves must count as unknown, or the value would be taken for that of the memory before: zeros.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from scaleaudit.capture._torch_private import OpOverload, pytree
from scaleaudit.capture.schemas import OpInfo
from scaleaudit.capture.trace import tensor_meta
from scaleaudit.capture.writes import flat
from scaleaudit.domain.graph import READ_BY_SHAPE

if TYPE_CHECKING:
    from scaleaudit.capture.memory import Memory
    from scaleaudit.capture.scribe import Scribe

OPERATOR, KERNEL = "scaleaudit.unseen_write", "triton.kernel"
_ATEN = torch.ops.aten
# They return memory that holds anything.
_BLANK = frozenset({
    _ATEN.empty, _ATEN.empty_like, _ATEN.new_empty, _ATEN.empty_strided, _ATEN.new_empty_strided,
    _ATEN.empty_permuted,
})  # fmt: skip
# Where the classes live whose ``run`` launches a kernel, each around another.
_TRITON = "triton.runtime.jit"


def unseen_write(value: Any, inputs: Any, op: Any) -> Any:
    """Stand for what was written out of sight."""
    raise NotImplementedError("it writes out of torch's sight")


class UnseenWrites:
    """Let memory that was written out of sight hold what nobody knows."""

    def __init__(self, scribe: Scribe, memory: Memory) -> None:
        self._scribe = scribe
        self._memory = memory
        # Memory that came without content, with what it could have been filled from.
        self._blanks: dict[fx.Node, tuple[fx.Node, ...]] = {}

    def made(self, op: OpOverload, node: fx.Node, out: Any, args: tuple[Any, ...]) -> None:
        """Note memory that an operator returned without content."""
        if op.overloadpacket in _BLANK and out.numel():
            self._blanks[node] = self._within_reach(args)

    def look(self, info: OpInfo, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Before an operator runs: memory that it reads and that nothing filled was filled unseen."""
        if not self._blanks or info.views or info.name.rpartition(".")[0] in READ_BY_SHAPE:
            return
        names = [argument.name for argument in info.arguments]
        written = {argument.name for argument in info.arguments if argument.written}
        given = (*zip(names, args, strict=False), *kwargs.items())
        for leaf in (leaf for name, value in given if name not in written for leaf in flat(value)):
            if isinstance(leaf, torch.Tensor):
                self.settle(leaf)

    def settle(self, tensor: torch.Tensor) -> None:
        """Before a tensor is read: what nothing filled was filled unseen, from what was in reach."""
        blank = self._memory.first_content(tensor) if self._blanks else None
        if blank is None or blank not in self._blanks:
            return
        inputs = list(dict.fromkeys((*self._blanks[blank], *self._within_reach(()))))
        args, metas = (blank, inputs, OPERATOR), (self._scribe.meta(blank),)
        node = self._scribe.call(unseen_write, args, {}, metas, name=OPERATOR)
        self._memory.refill(tensor, node)

    def launched(self, name: str, arguments: Any, frame: FrameType) -> None:
        """Note a kernel that may read and write whatever it was given."""
        self._scribe.look(frame)
        self._scribe.begin_call(None)
        tensors = [x for x in pytree.tree_leaves(arguments) if isinstance(x, torch.Tensor)]
        inputs = [self._memory.node(tensor) for tensor in tensors]
        op = f"{KERNEL}.{name}"
        for tensor, node in zip(tensors, inputs, strict=True):
            args, metas = (node, inputs, op), (tensor_meta(tensor),)
            written = self._scribe.call(unseen_write, args, {}, metas, name=op)
            self._memory.write(tensor, written)

    def _within_reach(self, args: Any) -> tuple[fx.Node, ...]:
        """Return what is held by an operator's arguments and by the variables around it."""
        near: list[Any] = pytree.tree_leaves(args)
        for frame in self._scribe.stack.user_frames():
            near += frame.f_locals.values()
        tensors = (x for x in near if isinstance(x, torch.Tensor) and x.is_floating_point())
        found = (self._memory.peek(tensor) for tensor in tensors)
        return tuple(dict.fromkeys(node for node in found if node is not None))


@contextmanager
def launches_told(told: Callable[[str, Any, FrameType], None]) -> Iterator[None]:
    """Tell of every kernel of Triton instead of launching it.

    Fake tensors have no address to hand over, and there may be no GPU.
    """
    triton = sys.modules.get(_TRITON)
    with ExitStack() as stack:
        if triton is not None:
            for kind in _with_subclasses(triton.KernelInterface):
                if "run" in vars(kind):
                    stack.enter_context(_replaced(kind, told))
        yield


@contextmanager
def _replaced(kind: Any, told: Callable[[str, Any, FrameType], None]) -> Iterator[None]:
    launch = kind.run

    def run(kernel: Any, *args: Any, **kwargs: Any) -> None:
        told(_kernel_name(kernel), (args, kwargs), _launcher(sys._getframe(1)))

    kind.run = run
    try:
        yield
    finally:
        kind.run = launch


def _launcher(frame: FrameType) -> FrameType:
    """Return the frame that launches a kernel, past those of what runs it."""
    own = str(Path(sys.modules[_TRITON].__file__ or "").parents[1])
    while frame.f_back is not None and frame.f_code.co_filename.startswith(f"{own}{os.sep}"):
        frame = frame.f_back
    return frame


def _with_subclasses(kind: type) -> list[type]:
    below: list[type] = kind.__subclasses__()
    return [kind, *itertools.chain.from_iterable(map(_with_subclasses, below))]


def _kernel_name(kernel: Any) -> str:
    """Name the user's function inside of what tunes and launches it."""
    while not hasattr(kernel, "__name__") and hasattr(kernel, "fn"):
        kernel = kernel.fn
    return str(getattr(kernel, "__name__", type(kernel).__name__))
