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
    SET_GRAD_ENABLED,
    DataDependentOutputException,
    OpOverload,
    TorchDispatchMode,
    storage_key,
)
from scaleaudit.capture.engines import Engine
from scaleaudit.capture.grads import GradWatch
from scaleaudit.capture.leaves import LeafName, LeafNames
from scaleaudit.capture.oracle import Oracle
from scaleaudit.capture.places import ROOT, ModuleCalls, Place, Stack
from scaleaudit.capture.reads import Reads
from scaleaudit.capture.regions import Regions, Tracked
from scaleaudit.capture.scalars import wrap
from scaleaudit.capture.schemas import OpInfo, op_info
from scaleaudit.capture.trace import Origin, Trace, number_meta, tensor_meta
from scaleaudit.capture.writes import ViewStep, functional_form, resolve, run_on_copies, write_view
from scaleaudit.domain.graph import NodeKind, Note, NoteKind, TensorMeta

_ATEN = torch.ops.aten
_READ = _ATEN._local_scalar_dense.default
_LIFTS = frozenset({_ATEN.lift_fresh.default, _ATEN.lift.default})
# How often the variables that hold a value are looked up when it is read.
_NAME_LOOKS = 3
_DETACHING = frozenset({torch.Tensor.detach, torch.Tensor.detach_, torch.Tensor.data.__get__})
_TRUTH = torch.Tensor.__bool__


class Recorder(TorchDispatchMode):
    """Write down what runs while the mode is on."""

    def __init__(
        self, engine: Engine, model: torch.nn.Module, root: FrameType, shift: float = 0.0
    ) -> None:
        super().__init__()
        self.trace = Trace(fx.Graph())
        self.names = LeafNames()
        self.modules = ModuleCalls(model)
        self._model = model
        self._engine = engine
        self._stack = Stack(root, self.modules)
        self._regions = Regions(self._replay)
        self._grads = GradWatch()
        self.reads = Reads(Oracle(self._stack.serial_of), self._emit, self.trace.note, shift)
        self._api: Callable[..., Any] | None = None
        self._ordinals: dict[object, int] = {}
        self._sites: dict[object, int] = {}
        self._busy = False
        self._open = True
        self._place: Place | None = None
        self._looks: dict[fx.Node, int] = {}
        self._root_of_leaves: fx.Node | None = None
        self._last_read: fx.Node | None = None

    # The dispatch mode.

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run one operator and record it."""
        if func is PRIM_DEVICE:
            return self._engine.run(func, args, kwargs or {})
        self._busy = True
        try:
            return self._dispatch(func, args, kwargs or {}, sys._getframe(1))
        finally:
            self._busy = False

    def _dispatch(
        self, func: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> Any:
        self._place = self._look(frame)
        if func in _LIFTS:
            return self._lift(func, args[0])
        info = op_info(func)
        operands = self._operands(info, args, kwargs)
        if func is _READ:
            return self._read_number(args[0], operands[0], frame)
        try:
            out = self._engine.run(func, args, kwargs)
        except DataDependentOutputException:
            out = self.reads.guess(frame)  # torch.equal and the like: they answer yes or no
        if info.writes:
            self._record_write(func, info, operands, args, kwargs)
            return self._results_of_write(func, info, operands, args, kwargs, out)
        node = self._call(func, *operands, outputs=self._metas(out))
        self._bind(node, info, args, kwargs, operands, out)
        return out

    def _look(self, frame: FrameType | None) -> Place:
        place = self._stack.here(frame)
        if place.function and not place.function.startswith("torch."):
            self.trace.note(_custom_function(place))
        return place

    # Reading operands.

    def _operands(
        self, info: OpInfo, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        read = self.reads.active
        positional = tuple(
            self.reads.recognise(value)
            if read and argument.operand and isinstance(value, (int, float))
            else self._operand(value)
            for argument, value in zip(info.arguments, args)
        )
        if not kwargs:
            return positional, {}
        eligible = {argument.name for argument in info.arguments if argument.operand}
        named = {
            key: self.reads.recognise(value)
            if read and key in eligible and isinstance(value, (int, float))
            else self._operand(value)
            for key, value in kwargs.items()
        }
        return positional, named

    def _operand(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self._node(value)
        if isinstance(value, (list, tuple)):
            return [self._operand(item) for item in value]
        return value

    def _node(self, tensor: torch.Tensor) -> fx.Node:
        tracked = self._regions.find(tensor) or self._leaf(tensor)
        node = self._regions.read(tracked)
        self._look_for_names(tensor, node)
        return node

    def _look_for_names(self, tensor: torch.Tensor, node: fx.Node) -> None:
        looks = self._looks.get(node, 0)
        if looks >= _NAME_LOOKS:
            return
        self._looks[node] = looks + 1
        call, index = self.trace.items.get(node, (node, 0))
        if index:
            return
        found = self.trace.origins[call].names
        for depth, frame in enumerate(self._stack.user_frames()):
            for variable, value in frame.f_locals.items():
                if value is tensor:
                    name = (depth, frame.f_code.co_qualname, variable)
                    if name not in found:
                        found.append(name)

    # Leaves.

    def name_leaves(self) -> None:
        """Learn the names of the model's tensors, once they are of the right world."""
        self.names.add_model(self._model)

    def add_input(self, tensor: torch.Tensor, name: str) -> None:
        """Declare an input before the program runs."""
        self.names.add(tensor, NodeKind.INPUT, name)
        self._leaf(tensor)

    def _leaf(self, tensor: torch.Tensor) -> Tracked:
        named = self.names.of(tensor)
        value = None if named.kind is NodeKind.PARAMETER else self._engine.value(tensor)
        return self._regions.add(tensor, self._placeholder(tensor, named, value))

    def _placeholder(
        self, tensor: torch.Tensor, named: LeafName, value: torch.Tensor | None
    ) -> fx.Node:
        shown = None if named.kind is NodeKind.INPUT else value
        kept = None if value is None else value.detach().clone()
        weight = None
        if named.kind is NodeKind.PARAMETER:
            weight = self.names.weight(storage_key(tensor))
        with self._before_calls():
            node = self.trace.graph.placeholder(_identifier(named.name))
        constant = named.kind is NodeKind.CONSTANT
        place = self._place if constant and self._place is not None else ROOT
        self.trace.origins[node] = Origin(
            place, f"{named.kind.value}:{named.name}", True, (tensor_meta(tensor, shown),),
            named.kind, named.name, weight, kept,
        )  # fmt: skip
        self._root_of_leaves = node
        return node

    def _before_calls(self) -> Any:
        graph = self.trace.graph
        if self._root_of_leaves is None:
            return graph.inserting_before(next(iter(graph.nodes), None))
        return graph.inserting_after(self._root_of_leaves)

    def _lift(self, func: OpOverload, constant: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self._engine.run(func, (constant,), {})
        number = constant.item() if constant.numel() == 1 and self.reads.active else None
        source = self.reads.recognise(number)
        if isinstance(source, fx.Node):
            operands = ((source,), {"dtype": constant.dtype})
            node = self._call(_ATEN.scalar_tensor.default, *operands, outputs=self._metas(out))
        else:
            named = LeafName(NodeKind.CONSTANT, "constant")
            value = self._engine.value(constant)
            node = self._placeholder(out, named, value)
        self._regions.add(out, node)
        return out

    # Recording calls.

    def _call(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        outputs: tuple[TensorMeta, ...],
        name: str = "",
    ) -> fx.Node:
        place = self._place
        assert place is not None
        node = self.trace.graph.call_function(target, args, dict(kwargs))
        site = self._site(name or str(target), place)
        silent = target is _ATEN.detach.default and self._api not in _DETACHING
        self.trace.origins[node] = Origin(
            place, site, self._grads.enabled(place), outputs, silent=silent
        )
        return node

    def _site(self, op: str, place: Place) -> str:
        key = (op, place.module, place.path)
        ordinal = self._ordinals.get(key, 0)
        self._ordinals[key] = ordinal + 1
        site = self._sites.setdefault((*key, ordinal), len(self._sites))
        return f"{op}@{site}"

    def _metas(self, out: Any) -> tuple[TensorMeta, ...]:
        return tuple(
            tensor_meta(leaf) if isinstance(leaf, torch.Tensor) else number_meta(leaf)
            for leaf in _flat(out)
        ) or (number_meta(0),)

    def _bind(
        self,
        node: fx.Node,
        info: OpInfo,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        operands: tuple[tuple[Any, ...], dict[str, Any]],
        out: Any,
    ) -> None:
        """Note which node holds which of the tensors that a call returned."""
        flat = _flat(out)
        single = isinstance(out, torch.Tensor)
        for index, (tensor, picked) in enumerate(zip(flat, self._pick(node, out))):
            if not isinstance(tensor, torch.Tensor):
                continue
            base = self._base(info, index, len(flat), args, kwargs)
            if base is None:
                self._regions.add(tensor, picked)
            elif base is not tensor:
                tracked = self._regions.find(base)
                assert tracked is not None
                step = ViewStep(
                    info.name,
                    operands[0][1:],
                    tuple(operands[1].items()),
                    None if single else index,
                    self.trace.origins[node].outputs,
                )
                self._regions.add_view(tensor, tracked, step, picked)

    def _base(
        self,
        info: OpInfo,
        index: int,
        count: int,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> torch.Tensor | None:
        """Return the tensor that an output is a view of, None where it is none."""
        if not info.views:
            return None
        alias = info.returns[index if len(info.returns) == count else 0]
        if not alias:
            return None
        position = info.position(alias)
        base = args[position] if position < len(args) else kwargs[info.arguments[position].name]
        return base if isinstance(base, torch.Tensor) else None

    def _pick(self, node: fx.Node, out: Any) -> list[fx.Node]:
        """Return one node for each tensor that a call returned."""
        if not isinstance(out, (tuple, list)):
            return [node]
        picked: list[fx.Node] = []
        for item in self._items(node, out):
            self.trace.items[item] = (node, len(picked))
            picked.append(item)
        return picked

    def _items(self, node: fx.Node, out: Any) -> list[fx.Node]:
        found: list[fx.Node] = []
        for position, value in enumerate(out):
            item = self.trace.graph.call_function(_getitem, (node, position))
            found.extend(self._items(item, value) if isinstance(value, (tuple, list)) else [item])
        return found

    # Writes.

    def _record_write(
        self,
        func: OpOverload,
        info: OpInfo,
        operands: tuple[tuple[Any, ...], dict[str, Any]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        written = _written(info, args, kwargs)
        value = self._written_values(func, info, operands, args, kwargs, written)
        for tensor, node in zip(written, value):
            self._store(tensor, node)

    def _written_values(
        self,
        func: OpOverload,
        info: OpInfo,
        operands: tuple[tuple[Any, ...], dict[str, Any]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        written: list[torch.Tensor],
    ) -> list[fx.Node]:
        """Return the nodes of the values that an in-place operator leaves."""
        simple = self._simple_write(func, operands, args, kwargs)
        if simple is not None:
            return [simple]
        form = functional_form(func)
        metas = tuple(tensor_meta(tensor) for tensor in written)
        if form is None:
            call = (info.name, list(operands[0]), dict(operands[1]))
            node = self._call(run_on_copies, call, {}, metas, name=info.name)
            return self._pick(node, tuple(written))
        return self._functional(form, info, operands, args, kwargs, written)

    def _functional(
        self,
        form: OpOverload,
        info: OpInfo,
        operands: tuple[tuple[Any, ...], dict[str, Any]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        written: list[torch.Tensor],
    ) -> list[fx.Node]:
        kept = {argument.name for argument in op_info(form).arguments}
        positional = operands[0][: len(op_info(form).arguments)]
        named = {key: value for key, value in operands[1].items() if key in kept}
        metas = tuple(tensor_meta(tensor) for tensor in written)
        promoted = self._promoted(form, args[: len(positional)], kwargs, named, written)
        node = self._call(form, positional, named, promoted or metas)
        listed = len(op_info(form).returns) > 1 or isinstance(args[0], (list, tuple))
        nodes = self._pick(node, tuple(written)) if listed else [node]
        if promoted:
            cast = {"dtype": written[0].dtype}
            return [self._call(_ATEN._to_copy.default, (node,), cast, metas)]
        return nodes

    def _promoted(
        self,
        form: OpOverload,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        named: Mapping[str, Any],
        written: list[torch.Tensor],
    ) -> tuple[TensorMeta, ...]:
        """Return what the functional form yields where that isn't what was written."""
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
        if len(written) != 1 or all(tensor.dtype == written[0].dtype for tensor in tensors):
            return ()
        out = self._engine.run(form, args, {key: kwargs[key] for key in named})
        return () if out.dtype == written[0].dtype else (tensor_meta(out),)

    def _simple_write(
        self,
        func: OpOverload,
        operands: tuple[tuple[Any, ...], dict[str, Any]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> fx.Node | None:
        """Record a write that doesn't depend on what was there before, as what it is."""
        match func.overloadpacket:
            case _ATEN.copy_:
                return self._fitted(operands[0][1], args[1], args[0])
            case _ATEN.fill_ if func is _ATEN.fill_.Tensor:
                return self._fitted(operands[0][1], args[1], args[0])
            case _ATEN.fill_:
                value = operands[0][1]
            case _ATEN.zero_:
                value = 0
            case _:
                return None
        size, target = list(args[0].shape), args[0]
        named = {"dtype": target.dtype, "device": torch.device("cpu")}
        return self._call(_ATEN.full.default, (size, value), named, (tensor_meta(target),))

    def _fitted(self, node: fx.Node, source: torch.Tensor, target: torch.Tensor) -> fx.Node:
        """Record what ``copy_`` does to its source: another type, a larger shape."""
        if source.dtype != target.dtype:
            meta = tensor_meta(source)
            metas = (TensorMeta(meta.shape, tensor_meta(target).dtype),)
            node = self._call(_ATEN._to_copy.default, (node,), {"dtype": target.dtype}, metas)
        if source.shape != target.shape:
            size = list(target.shape)
            node = self._call(_ATEN.expand.default, (node, size), {}, (tensor_meta(target),))
        return node

    def _store(self, tensor: torch.Tensor, value: fx.Node) -> None:
        """Make a value the content of a tensor, and of its part in all that shares the memory."""
        tracked = self._regions.find(tensor)
        assert tracked is not None
        whole = value
        if tracked.steps:
            if any(step.op == "aten.detach.default" for step in tracked.steps):
                meta = (tensor_meta(tensor),)
                value = self._call(_ATEN.detach.default, (value,), {}, meta)
                self.trace.origins[value].silent = False
            base = tracked.region.node
            steps = tuple(step.plain() for step in tracked.steps)
            origin = self.trace.origin(base)
            meta = (origin.outputs[self.trace.items.get(base, (base, 0))[1]],)
            meta = (TensorMeta(meta[0].shape, meta[0].dtype),)
            whole = self._call(
                write_view, (base, value, steps), {}, meta, name="scaleaudit.write_view"
            )
        self._regions.write(tracked, value, whole)

    def _results_of_write(
        self,
        func: OpOverload,
        info: OpInfo,
        operands: tuple[tuple[Any, ...], dict[str, Any]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        out: Any,
    ) -> Any:
        """Return the very tensors that were written, as eager torch does."""
        written = _written(info, args, kwargs)
        if isinstance(out, torch.Tensor) and len(written) == 1 and info.returns[0]:
            return written[0]
        flat = _flat(out)
        fresh = [leaf for leaf in flat if isinstance(leaf, torch.Tensor)]
        for tensor in fresh:
            if self._regions.find(tensor) is None and all(tensor is not w for w in written):
                self._leaf(tensor)
        return out

    def _replay(self, tracked: Tracked) -> fx.Node:
        """Record the views that lead to a tensor once more, on the present content."""
        node = tracked.region.node
        for step in tracked.steps:
            call = self._call(
                resolve(step.op), (node, *step.args), dict(step.kwargs), step.outputs
            )
            self.trace.origins[call].silent = True
            node = call if step.output is None else self._pick_one(call, step.output)
        return node

    def _pick_one(self, call: fx.Node, output: int) -> fx.Node:
        item = self.trace.graph.call_function(_getitem, (call, output))
        self.trace.items[item] = (call, output)
        return item

    # Numbers.

    def _read_number(
        self, tensor: torch.Tensor, operands: tuple[Any, ...], frame: FrameType
    ) -> Any:
        node = self._call(_READ, operands, {}, (number_meta(_zero(tensor.dtype)),))
        value = self._engine.value(tensor)
        self._last_read = node
        if value is not None:
            number = value.item()
        elif self._api is _TRUTH:
            number = _zero(tensor.dtype) + self.reads.guess(frame)
        elif tensor.dtype is torch.bool:
            self.reads.unknown.add(node)
            number = True if self._api is torch.Tensor.item else self.reads.guess(frame)
        else:
            self.reads.unknown.add(node)
            number = self.reads.invent(tensor.is_floating_point())
        if isinstance(number, float):
            self.reads.tag(number, node)
        return number

    def _emit(
        self, function: Callable[..., Any], operands: tuple[Any, ...], value: Any
    ) -> fx.Node | None:
        if not self._open:
            return None
        self._place = self._look(sys._getframe(1))
        self._ordinals.clear()
        return self._call(
            function, operands, {}, (number_meta(value),), name=f"scalar.{function.__name__}"
        )

    # What the API mode tells (api_calls.Listener).

    def begin(self, function: Callable[..., Any], args: Any, kwargs: Any) -> bool:
        """Start a new API call: ordinals count from zero again."""
        if self._busy:
            return False
        self._api = function
        if self._ordinals:
            self._ordinals.clear()
        if self.reads.active:
            self.reads.expect((args, kwargs))
        return True

    def set_grad(self, enabled: bool) -> None:
        """Follow the user's switches of the gradient mode."""
        self._grads.switched(enabled, sys._getframe(2))

    def read(self, value: Any) -> Any:
        """Give a number its memory of where it came from."""
        return wrap(value, self._last_read, self.reads)

    def to_list(self, tensor: torch.Tensor) -> Any:
        """Read every element of a tensor by itself."""
        if not tensor.dim():
            return tensor.item()
        return [self.to_list(part) for part in tensor.unbind()]

    # The end.

    def node_of(self, tensor: torch.Tensor) -> fx.Node:
        """Return the node of a result."""
        self._place = self._place or ROOT
        return self._node(tensor)

    def close(self) -> None:
        """Stop recording and let go of the user's frames."""
        self._open = False
        self._stack.release()
        self.modules.release()


def _getitem(values: Any, index: int) -> Any:
    return values[index]


def _flat(out: Any) -> list[Any]:
    if isinstance(out, (tuple, list)):
        return [leaf for item in out for leaf in _flat(item)]
    return [] if out is None else [out]


def _written(
    info: OpInfo, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[torch.Tensor]:
    given = dict(zip((argument.name for argument in info.arguments), args)) | dict(kwargs)
    values = [given.get(argument.name) for argument in info.arguments if argument.written]
    return [leaf for leaf in _flat(values) if isinstance(leaf, torch.Tensor)]


def _zero(dtype: torch.dtype) -> bool | int | float:
    if dtype is torch.bool:
        return False
    return 0.0 if dtype.is_floating_point else 0


def _identifier(name: str) -> str:
    text = "".join(letter if letter.isalnum() else "_" for letter in name)
    return text if text[:1].isalpha() else f"leaf_{text}"


def _custom_function(place: Place) -> Note:
    message = f"the custom autograd function {place.function} is taken for what its forward computes"
    return Note(NoteKind.GRADIENT, message, place.frames[-1].location if place.frames else None)

