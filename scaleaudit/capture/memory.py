"""Memory in functional form: views, and writes through them, as values of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import fx

from scaleaudit.capture._torch_private import OpOverload, storage_key
from scaleaudit.capture.engines import Engine
from scaleaudit.capture.leaves import LeafNames
from scaleaudit.capture.regions import Regions, Tracked
from scaleaudit.capture.schemas import OpInfo, op_info
from scaleaudit.capture.scribe import Scribe
from scaleaudit.capture.trace import tensor_meta
from scaleaudit.capture.writes import (
    Operands,
    ViewStep,
    flat,
    functional_form,
    resolve,
    run_on_copies,
    write_view,
    written_tensors,
)
from scaleaudit.domain.graph import NodeKind, TensorMeta

_ATEN = torch.ops.aten
_CPU = torch.device("cpu")
_DETACH = "aten.detach.default"


class Memory:
    """Know the node of every tensor's content, and record what is written."""

    def __init__(self, scribe: Scribe, engine: Engine, names: LeafNames) -> None:
        self._scribe = scribe
        self._engine = engine
        self._names = names
        self._regions = Regions(self._replay)

    def node(self, tensor: torch.Tensor) -> fx.Node:
        """Return the node of what a tensor holds now."""
        return self._regions.read(self._tracked(tensor))

    def peek(self, tensor: torch.Tensor) -> fx.Node | None:
        """Return the node of what a tensor holds where that is known without recording a view."""
        return self._regions.peek(tensor)

    def born(self, tensor: torch.Tensor) -> int:
        """Return how many nodes there were when the memory of a tensor came about."""
        node = self._tracked(tensor).region.made
        return self._scribe.order.get(node, -1)

    def hold(self, tensor: torch.Tensor, node: fx.Node) -> None:
        """Note that a tensor with memory of its own holds a value."""
        self._regions.add(tensor, node)

    def instead(self, tensor: torch.Tensor, node: fx.Node) -> None:
        """Let a tensor hold a value made of what it held."""
        self._regions.part(tensor, node)

    def first_content(self, tensor: torch.Tensor) -> fx.Node | None:
        """Return the node of what the memory of a tensor held at first, None once it was written."""
        region = self._tracked(tensor).region
        return None if region.version else region.made

    def write(self, tensor: torch.Tensor, node: fx.Node) -> None:
        """Note that a tensor was overwritten, and with it its part in all that shares the memory."""
        self._store(tensor, node)

    def refill(self, tensor: torch.Tensor, node: fx.Node) -> None:
        """Note what the whole memory behind a tensor holds from now on."""
        self._regions.refill(self._tracked(tensor).region, node)

    def bind(self, node: fx.Node, info: OpInfo, operands: Operands, out: Any) -> None:
        """Note which node holds which of the tensors that a call returned."""
        if out is None:
            return  # a check that returns nothing
        tensors = flat(out)
        for index, (tensor, picked) in enumerate(
            zip(tensors, self._scribe.pick(node, out), strict=True)
        ):
            if not isinstance(tensor, torch.Tensor):
                continue
            base = _base(info, index, len(tensors), operands) if info.views else None
            if base is None:
                self._regions.add(tensor, picked)
            elif base is not tensor:
                several = isinstance(out, (tuple, list))
                step = self._step(node, info, operands, index if several else None)
                self._regions.add_view(tensor, self._tracked(base), step, picked)

    def record_write(self, op: OpOverload, info: OpInfo, operands: Operands, out: Any) -> Any:
        """Record an in-place or ``out=`` operator; return what eager torch returns."""
        written = written_tensors(info, operands.args, operands.kwargs)
        for tensor, node in zip(written, self._values(op, info, operands, written), strict=True):
            self._store(tensor, node)
        if isinstance(out, torch.Tensor) and len(written) == 1 and info.returns[0]:
            return written[0]
        return out

    def _tracked(self, tensor: torch.Tensor) -> Tracked:
        return self._regions.find(tensor) or self._leaf(tensor)

    def _leaf(self, tensor: torch.Tensor) -> Tracked:
        is_known = self._names.is_known(tensor)
        kind, name = self._names.of(tensor)
        parameter = kind is NodeKind.PARAMETER
        # Nobody but this tensor itself can tell what a parameter that is none of the model's holds.
        value = (None if is_known else tensor) if parameter else self._engine.value(tensor)
        weight = self._names.weight(storage_key(tensor)) if parameter else None
        return self._regions.add(tensor, self._scribe.leaf(tensor, kind, name, value, weight))

    def _step(
        self, node: fx.Node, info: OpInfo, operands: Operands, output: int | None
    ) -> ViewStep:
        outputs = self._scribe.trace.origins[node].outputs
        named = tuple(operands.named.items())
        return ViewStep(info.name, operands.nodes[1:], named, output, outputs)

    def _replay(self, tracked: Tracked) -> fx.Node:
        """Record the views that lead to a tensor once more, on the present content."""
        node = tracked.region.node
        for step in tracked.steps:
            args, kwargs = (node, *step.args), dict(step.kwargs)
            node = self._scribe.call(resolve(step.op), args, kwargs, step.outputs, silent=True)
            node = node if step.output is None else self._scribe.pick_one(node, step.output)
        return node

    # The values that writes leave behind.

    def _values(
        self, op: OpOverload, info: OpInfo, operands: Operands, written: list[torch.Tensor]
    ) -> list[fx.Node]:
        simple = self._overwritten(op, operands)
        if simple is not None:
            return [simple]
        form = functional_form(op)
        if form is not None:
            return self._functional(form, _with_defaults(info, form, operands), written)
        metas = tuple(tensor_meta(tensor) for tensor in written)
        call = (info.name, operands.nodes, dict(operands.named))
        node = self._scribe.call(run_on_copies, call, {}, metas, name=info.name)
        return self._scribe.pick(node, tuple(written))

    def _overwritten(self, op: OpOverload, operands: Operands) -> fx.Node | None:
        """Record a write that doesn't depend on what was there before as the value itself."""
        packet = op.overloadpacket
        if packet is _ATEN.copy_ or op is _ATEN.fill_.Tensor:
            return self._fitted(operands.nodes[1], operands.args[1], operands.args[0])
        if packet not in (_ATEN.fill_, _ATEN.zero_):
            return None
        target = operands.args[0]
        value = operands.nodes[1] if packet is _ATEN.fill_ else 0
        named = {"dtype": target.dtype, "device": _CPU}
        args = (list(target.shape), value)
        return self._scribe.call(_ATEN.full.default, args, named, (tensor_meta(target),))

    def _fitted(self, node: fx.Node, source: torch.Tensor, target: torch.Tensor) -> fx.Node:
        """Record what ``copy_`` does to its source: another type, a larger shape."""
        meta = tensor_meta(target)
        if source.dtype != target.dtype:
            cast = (TensorMeta(tuple(source.shape), meta.dtype),)
            named = {"dtype": target.dtype}
            node = self._scribe.call(_ATEN._to_copy.default, (node,), named, cast)
        if source.shape != target.shape:
            args = (node, list(target.shape))
            node = self._scribe.call(_ATEN.expand.default, args, {}, (meta,))
        return node

    def _functional(
        self, form: OpOverload, operands: Operands, written: list[torch.Tensor]
    ) -> list[fx.Node]:
        info = op_info(form)
        kept = {argument.name for argument in info.arguments}
        named = {key: value for key, value in operands.named.items() if key in kept}
        args = operands.nodes[: len(info.arguments)]
        metas = tuple(tensor_meta(tensor) for tensor in written)
        promoted = self._promoted(form, operands, named, written)
        node = self._scribe.call(form, args, named, promoted or metas)
        if promoted:
            cast = {"dtype": written[0].dtype}
            return [self._scribe.call(_ATEN._to_copy.default, (node,), cast, metas)]
        several = len(info.returns) > 1 or info.arguments[0].type.startswith("List")
        return self._scribe.pick(node, tuple(written)) if several else [node]

    def _promoted(
        self,
        form: OpOverload,
        operands: Operands,
        named: Mapping[str, Any],
        written: list[torch.Tensor],
    ) -> tuple[TensorMeta, ...]:
        """Return what the functional form yields where its type isn't the one written to."""
        given = (*operands.args, *operands.kwargs.values())
        types = {value.dtype for value in given if isinstance(value, torch.Tensor)}
        if len(written) != 1 or types == {written[0].dtype}:
            return ()
        args = operands.args[: len(op_info(form).arguments)]
        out = self._engine.run(form, args, {key: operands.kwargs[key] for key in named})
        return () if out.dtype == written[0].dtype else (tensor_meta(out),)

    def _store(self, tensor: torch.Tensor, value: fx.Node) -> None:
        """Make a value the content of a tensor, and of its part in all that shares the memory."""
        tracked = self._tracked(tensor)
        if not tracked.steps:
            self._regions.write(tracked, value, value)
            return
        if any(step.op == _DETACH for step in tracked.steps):  # autograd doesn't see this write
            meta = (tensor_meta(tensor),)
            value = self._scribe.call(_ATEN.detach.default, (value,), {}, meta)
        base = tracked.region.node
        steps = tuple(step.plain() for step in tracked.steps)
        meta = (self._scribe.meta(base),)
        name = "scaleaudit.write_view"
        whole = self._scribe.call(write_view, (base, value, steps), {}, meta, name=name)
        self._regions.write(tracked, value, whole)


def _base(info: OpInfo, index: int, count: int, operands: Operands) -> torch.Tensor | None:
    """Return the tensor that an output is a view of, None where it is none."""
    alias = info.returns[index if len(info.returns) == count else 0]
    if not alias:
        return None
    position = info.position(alias)
    if position < len(operands.args):
        base = operands.args[position]
    else:
        base = operands.kwargs[info.arguments[position].name]
    return base if isinstance(base, torch.Tensor) else None


def _with_defaults(info: OpInfo, form: OpOverload, operands: Operands) -> Operands:
    """Spell out the defaults of an in-place operator that its functional form does not have."""
    own = {argument.name: argument.default for argument in op_info(form).arguments}
    left_out = {
        argument.name: argument.default
        for argument in info.arguments[len(operands.nodes) :]
        if argument.name in own and argument.name not in operands.named
    }
    named = {name: value for name, value in left_out.items() if value != own[name]}
    if not named:
        return operands
    return replace(operands, named={**operands.named, **named})
