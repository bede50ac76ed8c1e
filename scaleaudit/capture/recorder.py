"""The recorder: every operator that runs becomes a node of a functional graph."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import torch
from torch import fx

from scaleaudit.capture._torch_private import (
    PRIM_DEVICE,
    DataDependentOutputException,
    OpOverload,
    TorchDispatchMode,
    watchers,
)
from scaleaudit.capture.engines import Engine
from scaleaudit.capture.functions import FunctionCalls
from scaleaudit.capture.leaves import LeafNames
from scaleaudit.capture.memory import Memory
from scaleaudit.capture.oracle import Oracle
from scaleaudit.capture.places import ModuleCalls, Place
from scaleaudit.capture.reads import Reads, Variation
from scaleaudit.capture.recalls import Recalls
from scaleaudit.capture.scalars import wrap
from scaleaudit.capture.schemas import OpInfo, op_info
from scaleaudit.capture.scribe import Scribe
from scaleaudit.capture.trace import number_meta, tensor_meta
from scaleaudit.capture.unseen import UnseenWrites
from scaleaudit.capture.writes import Operands, flat, written_tensors
from scaleaudit.domain.graph import NodeKind, TensorMeta

_ATEN = torch.ops.aten
_READ = _ATEN._local_scalar_dense.default
_ALIAS = _ATEN.alias.default
_LIFTS = frozenset({_ATEN.lift_fresh.default, _ATEN.lift.default})
# What asks for an integer, whatever the tensor holds.
_WHOLE = frozenset({torch.Tensor.__int__, torch.Tensor.__index__})
_GET_GRAD_FN: Any = torch.Tensor.grad_fn
_DIFFERENTIATE = frozenset({
    torch.autograd.grad, torch.autograd.backward, torch.Tensor.backward, _GET_GRAD_FN.__get__,
})  # fmt: skip
# Numbers up to which a tensor made of them is looked through for those that were read.
_MOST_NUMBERS = 4096
_GET_DATA: Any = torch.Tensor.data
_DETACHING = frozenset({torch.Tensor.detach, torch.Tensor.detach_, _GET_DATA.__get__})


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Write down what runs while the mode is on."""

    def __init__(
        self, engine: Engine, model: torch.nn.Module, root: FrameType, variation: Variation
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.modules = ModuleCalls(model)
        self.scribe = Scribe(root, self.modules)
        self.trace = self.scribe.trace
        self.names = LeafNames()
        self._engine = engine
        self._memory = Memory(self.scribe, engine, self.names)
        oracle = Oracle(self.scribe.stack.serial_of, root)
        self.reads = Reads(oracle, self._emit, self.trace.note, variation)
        self.recalls = Recalls(model, self.scribe, self._memory, engine)
        self.functions = FunctionCalls(self.scribe, self._memory, self._operand)
        self.unseen = UnseenWrites(self.scribe, self._memory)
        self._busy = False
        self._open = True
        self._last_read: fx.Node | None = None

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare every operator a detour through dynamo, which runs eagerly here anyway."""
        return False

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run one operator and record it."""
        if func is PRIM_DEVICE:  # half of all calls, and no operator of the user's
            return self._engine.device(args[0])
        self._busy = True
        try:
            return self._dispatch(func, args, kwargs or {}, sys._getframe(1))
        finally:
            self._busy = False

    def _dispatch(
        self, func: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> Any:
        self.scribe.look(frame)
        if func in _LIFTS:
            return self._lift(func, args[0])
        info = op_info(func)
        self.unseen.look(info, args, kwargs)
        operands = self._operands(info, args, kwargs)
        if func is _READ:
            return self._read_number(args[0], operands, frame)
        try:
            out = self._engine.run(func, args, kwargs)
        except DataDependentOutputException:  # torch.equal and the like: they answer yes or no
            self.recalls.spoil()
            out = self.reads.guess(frame)
        if info.writes:
            for tensor in written_tensors(info, args, kwargs):
                self.recalls.wrote(self._memory.born(tensor))
            return self._memory.record_write(func, info, operands, out)
        if func is _ATEN.detach.default and self.scribe.inside_function:
            func, info = _ALIAS, op_info(_ALIAS)  # its backward says what the gradient is
        silent = func is _ATEN.detach.default and self.scribe.api not in _DETACHING
        node = self.scribe.call(func, operands.nodes, operands.named, _metas(out), silent=silent)
        self._memory.bind(node, info, operands, out)
        self.unseen.made(func, node, out, args)
        return out

    def _operands(self, info: OpInfo, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operands:
        """Find the nodes of what a call is given."""
        if not self.reads.active:
            named = {key: self._operand(value) for key, value in kwargs.items()}
            return Operands(args, kwargs, tuple(map(self._operand, args)), named)
        eligible = {argument.name for argument in info.arguments if argument.operand}
        names = [argument.name for argument in info.arguments]
        positional = tuple(
            self._operand(self.reads.recognise(value) if name in eligible else value)
            for name, value in zip(names, args, strict=False)
        )
        named = {
            key: self._operand(self.reads.recognise(value) if key in eligible else value)
            for key, value in kwargs.items()
        }
        return Operands(args, kwargs, positional, named)

    def _operand(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            node = self._memory.node(value)
            self.scribe.see_names(value, node)
            self.recalls.read(value, node)
            return node
        if isinstance(value, (list, tuple)):
            return [self._operand(item) for item in value]
        return value

    def _lift(self, func: OpOverload, constant: torch.Tensor) -> torch.Tensor:
        """Record a tensor made of Python numbers, be they constants or read before."""
        out: torch.Tensor = self._engine.run(func, (constant,), {})
        node = self._of_numbers_read(constant, out) if self.reads.active else None
        if node is None:
            value = self._engine.value(constant)
            node = self.scribe.leaf(out, NodeKind.CONSTANT, "constant", value)
        self._memory.hold(out, node)
        return out

    def _of_numbers_read(self, constant: torch.Tensor, out: torch.Tensor) -> fx.Node | None:
        """Put a tensor together of numbers that were read; None where none of its numbers was."""
        if not 0 < constant.numel() <= _MOST_NUMBERS:
            return None
        numbers = flat(constant.tolist())
        sources = [self.reads.recognise(number) for number in numbers]
        if not any(isinstance(source, fx.Node) for source in sources):
            return None
        named, (meta,) = {"dtype": constant.dtype}, _metas(out)
        single = TensorMeta((), meta.dtype)
        make = _ATEN.scalar_tensor.default
        parts = [self.scribe.call(make, (source,), named, (single,)) for source in sources]
        if not constant.dim():
            return parts[0]
        row = TensorMeta((len(parts),), meta.dtype)
        stacked = self.scribe.call(_ATEN.stack.default, (parts, 0), {}, (row,))
        return self.scribe.call(_ATEN.view.default, (stacked, list(constant.shape)), {}, (meta,))

    # Numbers.

    def _read_number(self, tensor: torch.Tensor, operands: Operands, frame: FrameType) -> Any:
        """Answer a read: truly where the value is known, else by the oracle."""
        self.recalls.spoil()
        zero = _zero(tensor.dtype)
        node = self.scribe.call(_READ, operands.nodes, {}, (number_meta(zero),))
        self._last_read = node
        value = self._engine.value(tensor)
        if value is not None:
            number = value.item()
        else:
            self.reads.unknown.add(node)
            number = self._invented(tensor, zero, frame)
        if self.scribe.api is not torch.Tensor.item and not isinstance(number, bool):
            self.reads.escaped(node)
        if isinstance(number, float):
            self.reads.tag(number, node)
        return number

    def decide(self, test: Any, otherwise: bool) -> bool:  # noqa: FBT001 - a callback
        """Answer a test made by an explicit loop or branch; ``otherwise`` where nobody knows."""
        if not isinstance(test, torch.Tensor):
            return bool(test)
        self.recalls.spoil()
        value = self._engine.value(test)
        if value is not None:
            self._busy = True  # reading the answer is none of the program's doing
            answer = bool(value.tolist())
            self._busy = False
            return answer
        frame = sys._getframe(1)
        self.reads.report("a branch depends on a value that capture does not compute", frame)
        return otherwise

    def _invented(self, tensor: torch.Tensor, zero: float, frame: FrameType) -> Any:
        truth = tensor.dtype is torch.bool
        if self.scribe.api is torch.Tensor.__bool__ or (
            truth and self.scribe.api is not torch.Tensor.item
        ):
            return type(zero)(self.reads.guess(frame))
        if truth:
            return True
        floating = tensor.is_floating_point() and self.scribe.api not in _WHOLE
        return type(zero)(self.reads.invent(frame, floating=floating))

    def _emit(
        self, function: Callable[..., Any], operands: tuple[Any, ...], value: Any
    ) -> fx.Node | None:
        """Record arithmetic on numbers that were read; an API call of its own."""
        if not self._open:
            return None
        self.recalls.spoil()
        self.scribe.look(sys._getframe(1))
        self.scribe.begin_call(None)
        return self.scribe.call(
            function, operands, {}, (number_meta(value),), name=f"scalar.{function.__name__}"
        )

    # What the API mode tells (api_calls.Listener).

    def begin(self, function: Callable[..., Any], args: Any, kwargs: Any) -> bool:
        """Start a new API call, unless it is the recorder itself that calls."""
        if self._busy:
            return False
        if function in _DIFFERENTIATE:
            self.recalls.differentiate()
        self.scribe.begin_call(function)
        if self.reads.active:
            self.reads.expect((args, kwargs))
        return True

    def set_grad(self, *, enabled: bool) -> None:
        """Follow the user's switches of the gradient mode."""
        self.scribe.grads.switched(sys._getframe(2), enabled=enabled)

    def read(self, value: Any) -> Any:
        """Give a number its memory of where it came from."""
        return value if self._last_read is None else wrap(value, self._last_read, self.reads)

    def to_list(self, tensor: torch.Tensor) -> Any:
        """Read every element of a tensor by itself."""
        if not tensor.dim():
            self.scribe.begin_call(torch.Tensor.item)
            return self.read(tensor.item())
        return [self.to_list(part) for part in tensor.unbind()]

    def launched(self, kernel: str, arguments: Any, frame: FrameType) -> None:
        """Note that a kernel was launched where the program is recorded."""
        if self._busy:  # inside of an operator, which stands for it
            return
        if id(self) not in watchers():
            raise RuntimeError(f"the kernel {kernel} is not launched apart from its program")
        self.recalls.spoil()
        self.unseen.launched(kernel, arguments, frame)

    # Before and after.

    def add_input(self, tensor: torch.Tensor, name: str) -> None:
        """Declare an input before the program runs."""
        self.names.add(tensor, NodeKind.INPUT, name)
        self._memory.node(tensor)

    def node_of(self, tensor: torch.Tensor) -> fx.Node:
        """Return the node of a result."""
        self.unseen.settle(tensor)
        return self._memory.node(tensor)

    def is_zero(self, tensor: torch.Tensor) -> bool:
        """Tell whether a tensor is known to hold nothing but zeros."""
        value = self._engine.value(tensor) if tensor.is_floating_point() else None
        if value is None or not value.numel():
            return False
        self._busy = True  # looking is none of the program's doing
        numbers = value.tolist()
        self._busy = False
        return not _any(numbers)

    def claim(self, place: Place | None) -> None:
        """Let what runs next come from a place other than where it runs."""
        self.scribe.claimed = place
        self.scribe.begin_call(None)

    def close(self) -> None:
        """Stop recording and let go of the user's frames."""
        self._open = False
        self.scribe.stack.release()
        self.modules.release()


def _metas(out: Any) -> tuple[TensorMeta, ...]:
    """Describe what a call returned; one that returns nothing has one output all the same."""
    return tuple(
        tensor_meta(leaf) if isinstance(leaf, torch.Tensor) else number_meta(leaf)
        for leaf in flat(out)
    ) or (number_meta(0),)


def _any(numbers: Any) -> bool:
    """Tell whether any number of nested lists is not zero."""
    return any(map(_any, numbers)) if isinstance(numbers, list) else bool(numbers)


def _zero(dtype: torch.dtype) -> float:
    if dtype is torch.bool:
        return False
    return 0.0 if dtype.is_floating_point else 0
