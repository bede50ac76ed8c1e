"""From the executable graph to the torch-free one."""

from __future__ import annotations

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import fx

from scaleaudit.capture._torch_private import OpOverload
from scaleaudit.capture.backwards import Kind
from scaleaudit.capture.declared import declared_result
from scaleaudit.capture.functions import HIDDEN, OPERATOR, custom_gradient
from scaleaudit.capture.leaks import leaked_scalar
from scaleaudit.capture.schemas import OpInfo, op_info
from scaleaudit.capture.trace import Origin, Trace, dtype_name
from scaleaudit.capture.unseen import unseen_write
from scaleaudit.capture.writes import resolve, run_on_copies, write_view
from scaleaudit.domain.graph import Argument, Node, NodeKind, Ref, Repeat

_ATEN = torch.ops.aten
# Arithmetic on numbers that were read from tensors, as the operator on tensors that it equals.
_SCALAR: dict[Callable[..., Any], OpOverload] = {
    operator.add: _ATEN.add.Tensor,
    operator.sub: _ATEN.sub.Tensor,
    operator.mul: _ATEN.mul.Tensor,
    operator.truediv: _ATEN.div.Tensor,
    operator.floordiv: _ATEN.floor_divide.default,
    operator.mod: _ATEN.remainder.Tensor,
    operator.pow: _ATEN.pow.Tensor_Tensor,
    operator.neg: _ATEN.neg.default,
    abs: _ATEN.abs.default,
}
_OWN = frozenset({write_view, leaked_scalar, custom_gradient, declared_result, unseen_write})


class Lowering:
    """Number the nodes of a trace and translate their arguments."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._refs: dict[fx.Node, Ref] = {}
        self.nodes: list[Node] = []
        self.sources: dict[int, fx.Node] = {}

    def run(self) -> tuple[Node, ...]:
        """Translate every node that is worth it, in order."""
        dropped = _unread(self._trace)
        for node in self._trace.graph.nodes:
            if node in self._trace.items:
                call, output = self._trace.items[node]
                if call in self._refs:
                    self._refs[node] = Ref(self._refs[call].node, output)
            elif node in self._trace.origins and node not in dropped:
                self._lower(node, self._trace.origins[node])
        return tuple(self.nodes)

    def ref(self, node: fx.Node) -> Ref:
        """Return the place of a value in the lowered graph."""
        return self._refs[node]

    def repeats(self) -> Iterator[Repeat]:
        """Yield the stretches that stand for more turns than one."""
        order = {node: position for position, node in enumerate(self._trace.graph.nodes)}
        places = [order[node] for node in self.sources.values()]
        for repeat in self._trace.repeats:
            first = bisect_left(places, order[repeat.first])
            stop = bisect_right(places, order[repeat.last])
            if first < stop:
                yield Repeat(first, stop, repeat.times)

    def picks(self) -> dict[Ref, fx.Node]:
        """Return the node that holds each single output of calls with several."""
        return {ref: node for node, ref in self._refs.items() if node in self._trace.items}

    def _lower(self, node: fx.Node, origin: Origin) -> None:
        op, arguments = self._operator(node, origin)
        index = len(self.nodes)
        place = origin.place
        self.nodes.append(
            Node(
                id=index,
                kind=origin.kind,
                op=op,
                arguments=arguments,
                outputs=origin.outputs,
                frames=place.frames,
                site=origin.site,
                modules=place.modules,
                turn_frames=place.turn,
                grad=origin.grad,
                names=tuple((f, v) for _, f, v in sorted(origin.names, key=lambda n: n[0])),
                weight=origin.weight,
            )
        )
        self._refs[node] = Ref(index)
        self.sources[index] = node

    def _operator(
        self, node: fx.Node, origin: Origin
    ) -> tuple[str, tuple[tuple[str, Argument], ...]]:
        target: Any = node.target
        if origin.kind is not NodeKind.CALL:
            return origin.name, ()
        if target is run_on_copies:
            name, args, kwargs = node.args
            return str(name), self._schema(op_info(resolve(str(name))), args, kwargs)
        if target in _OWN:
            return self._own(target, node.args)
        if target in _SCALAR:
            return self._scalar(target, node.args)
        info = op_info(target)
        return info.name, self._schema(info, node.args, node.kwargs)

    def _own(
        self, target: Callable[..., Any], args: Any
    ) -> tuple[str, tuple[tuple[str, Argument], ...]]:
        """Name what capture puts into a program."""
        if target is write_view:
            return "scaleaudit.write_view", self._named(("base", "value", "views"), args)
        if target is leaked_scalar:
            return "scaleaudit.leaked_scalar", self._named(("reads",), args[1:])
        if target is unseen_write:
            before, inputs, op = args
            return str(op), self._named(("value", "inputs"), (before, inputs))
        if target is declared_result:
            value, names, inputs, name = args
            named = tuple(zip(names, map(self._argument, inputs), strict=True))
            return str(name), (("value", self._argument(value)), *named)
        return self._custom_gradient(*args)

    def _custom_gradient(
        self, value: Any, inputs: Any, kinds: Any, name: Any
    ) -> tuple[str, tuple[tuple[str, Argument], ...]]:
        """Name the inputs by what the backward passes on to them."""
        found: list[tuple[str, Argument]] = [("value", self._argument(value))]
        for kind in (*(kind.value for kind in Kind), HIDDEN):
            chosen = [node for node, k in zip(inputs, kinds, strict=True) if k == kind]
            found.append((kind, self._argument(chosen)))
        return f"{OPERATOR}.{name}", tuple(found)

    def _scalar(
        self, function: Callable[..., Any], args: Any
    ) -> tuple[str, tuple[tuple[str, Argument], ...]]:
        info = op_info(_SCALAR[function])
        if function is operator.pow and not isinstance(args[1], fx.Node):
            info = op_info(_ATEN.pow.Tensor_Scalar)
        elif function is operator.pow and not isinstance(args[0], fx.Node):
            info = op_info(_ATEN.pow.Scalar)
        return info.name, self._schema(info, args, {})

    def _named(self, names: tuple[str, ...], args: Any) -> tuple[tuple[str, Argument], ...]:
        return tuple((name, self._argument(value)) for name, value in zip(names, args, strict=True))

    def _schema(self, info: OpInfo, args: Any, kwargs: Any) -> tuple[tuple[str, Argument], ...]:
        found: list[tuple[str, Argument]] = []
        for position, argument in enumerate(info.arguments):
            value = args[position] if position < len(args) else argument.default
            value = kwargs.get(argument.name, value)
            found.append((argument.name, self._argument(value)))
        return tuple(found)

    def _argument(self, value: Any) -> Argument:
        match value:
            case fx.Node():
                return self._refs[value]
            case None | bool() | int() | float() | complex() | str():
                return value
            case list() | tuple():
                return tuple(self._argument(item) for item in value)
            case torch.dtype():
                return dtype_name(value)
            case _:
                return str(value)


def _unread(trace: Trace) -> set[fx.Node]:
    """Return the nodes that nobody asked for and nothing reads."""
    dropped: set[fx.Node] = set()
    for node in reversed(trace.graph.nodes):
        origin = trace.origins.get(node)
        picked = node in trace.items
        if (picked or (origin is not None and origin.silent)) and dropped.issuperset(node.users):
            dropped.add(node)
    return dropped
