"""The captured program as something to run in float64, whatever its weights were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, fx

from scaleaudit.certify.thresholds import JITTER
from scaleaudit.domain.executable import Executable
from scaleaudit.domain.graph import NodeKind, Ref

_WIDE = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex32: torch.complex128,
    torch.complex64: torch.complex128,
}
_NARROW = {torch.float64: torch.float32, torch.complex128: torch.complex64}


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Stands for a value that could not be computed, and says why."""

    reason: str


Value = Any
Env = dict[fx.Node, Value]


class Machine:
    """Runs the nodes of a program one by one, in float64.

    Attributes:
        order: The nodes, as they ran.
        rough: The nodes that took no float64, and all that is computed from them.
        unmeasured: The nodes that could not be run at all, with the reason.
    """

    def __init__(self, program: Executable) -> None:
        self.program = program
        self.order = [node for node in program.fx_graph.nodes if node.op == "call_function"]
        self.grad = {
            program.node_of[node.id]: node.grad
            for node in program.graph.nodes
            if node.kind is NodeKind.CALL
        }
        self.rough: set[fx.Node] = set()
        self.unmeasured: dict[fx.Node, str] = {}
        self._places = {node: place for place, node in enumerate(self.order)}
        self._args = dict(self._without_dropout())
        self._pair = dict(program.picks)

    def node(self, ref: Ref) -> fx.Node:
        """Return the node that holds a value."""
        found: fx.Node = self._pair.get(ref) or self.program.node_of[ref.node]
        return found

    def holder(self, ref: Ref) -> fx.Node | None:
        """Return the node that holds a value; None where nothing picked it from several."""
        several = len(self.program.graph[ref.node].outputs) > 1
        return self._pair.get(ref) if several else self.node(ref)

    def holders(self, ref: Ref) -> list[fx.Node]:
        """Return all nodes that hold a value: one output may have been picked several times."""
        first = self.holder(ref)
        if first is None or ref not in self._pair:
            return [] if first is None else [first]
        same = first.all_input_nodes[0].users
        return [n for n in same if n.target is first.target and n.args == first.args]

    def value(self, ref: Ref, env: Mapping[fx.Node, Value]) -> Value:
        """Return a value, picked or not."""
        holder = self.holder(ref)
        if holder is not None:
            return env[holder]
        outputs = env[self.program.node_of[ref.node]]
        return outputs if type(outputs) is Unmeasured else outputs[ref.output]

    def run(
        self, node: fx.Node, env: Mapping[fx.Node, Value], jitter: Jitter | None = None
    ) -> Value:
        """Compute one node; what cannot be computed is a value of its own kind."""
        operands = node.all_input_nodes
        missing = next((v for n in operands if type(v := env[n]) is Unmeasured), None)
        if missing is not None:
            return missing
        args, kwargs = _filled(self._args.get(node, node.args), env), _filled(node.kwargs, env)
        if self.rough and not self.rough.isdisjoint(operands):
            self.rough.add(node)
        target: Any = node.target
        if _draws(target):
            torch.manual_seed(self._places[node])
        target = _INSTEAD.get(target, target)
        recorded = self.grad.get(node, True)
        with nullcontext() if recorded else torch.no_grad():
            value = self._call(node, target, args, kwargs)
        if jitter is None or _draws(target):
            return value
        return jitter.shaken(value, args, self._places[node])

    def _without_dropout(self) -> Iterator[tuple[fx.Node, tuple[Any, ...]]]:
        """Yield the arguments of operators with dropout inside: it counts as its mean."""
        for node in self.program.graph.nodes:
            names = [name for name, _ in node.arguments]
            if "dropout_p" in names:
                call, place = self.program.node_of[node.id], names.index("dropout_p")
                if place < len(call.args):
                    yield call, (*call.args[:place], 0.0, *call.args[place + 1 :])

    def _call(
        self,
        node: fx.Node,
        target: Callable[..., Value],
        args: tuple[Value, ...],
        kwargs: dict[str, Value],
    ) -> Value:
        try:
            return _widened(target(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whatever an operator raises, it has no value
            failure = error
        try:
            value = _widened(target(*_narrowed(args), **_narrowed(kwargs)))
        except Exception:  # noqa: BLE001 - see above
            reason = f"{_name(node.target)} could not be run: {first_line(failure)}"
            self.unmeasured.setdefault(node, reason)
            return Unmeasured(reason)
        self.rough.add(node)
        return value


def _keeps(x: Tensor, *_: Value) -> tuple[Tensor, Tensor]:
    return x.clone(), torch.ones_like(x, dtype=torch.bool)


def _zeros(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *args, **kwargs: make(*args, **kwargs).zero_()


_ATEN = torch.ops.aten
# Dropout acts on lengths through its mean, and so the analysis takes it; memory that nothing has
# been written to differs from run to run.
_INSTEAD: dict[Any, Callable[..., Value]] = {
    _ATEN.bernoulli.p: lambda x, p, **_: torch.full_like(x, p, dtype=torch.float64),
    _ATEN.bernoulli.default: lambda x, **_: x.clone(),
    _ATEN.native_dropout.default: _keeps,
    # Strides in float64 need not be those that were recorded.
    _ATEN.view.default: _ATEN.reshape.default,
    **{
        make: _zeros(make)
        for make in (
            _ATEN.empty.memory_format,
            _ATEN.empty_like.default,
            _ATEN.empty_strided.default,
            _ATEN.empty_permuted.default,
            _ATEN.new_empty.default,
            _ATEN.new_empty_strided.default,
        )
    },
}


def first_line(error: Exception) -> str:
    """Return what an error says first."""
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def _draws(target: object) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(target, "tags", ())


def _filled(argument: object, env: Mapping[fx.Node, Value]) -> Value:
    """Return an argument with values for nodes, float64 for narrower types, no other device."""
    match argument:
        case fx.Node():
            return env[argument]
        case tuple() | list():
            items = [_filled(item, env) for item in argument]
            return tuple(items) if isinstance(argument, tuple) else items
        case dict():
            return {key: _filled(value, env) for key, value in argument.items()}
        case torch.dtype():
            return _WIDE.get(argument, argument)
        case torch.device():
            return torch.device("cpu")
        case _:
            return argument


def _mapped(value: Value, convert: Callable[[Tensor], Tensor]) -> Value:
    if isinstance(value, Tensor):
        return convert(value)
    if isinstance(value, list):
        return [_mapped(item, convert) for item in value]
    if isinstance(value, tuple):
        return tuple(_mapped(item, convert) for item in value)
    if isinstance(value, dict):
        return {key: _mapped(item, convert) for key, item in value.items()}
    return value


def _name(target: object) -> str:
    """Name an operator of torch, or a function that capture put into the program."""
    return target.__name__ if isinstance(target, FunctionType) else str(target)


def _widened(value: Value) -> Value:
    return _mapped(value, lambda x: x.to(_WIDE.get(x.dtype, x.dtype)))


def _narrowed(value: Value) -> Value:
    if isinstance(value, torch.dtype):
        return _NARROW.get(value, value)
    if isinstance(value, (tuple, list)):
        return [_narrowed(item) for item in value]
    return _mapped(value, lambda x: x.to(_NARROW.get(x.dtype, x.dtype)))


class Jitter:
    """Rounds what operators compute anew, in a way of its own for each."""

    _OFFSETS = 61

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._noise = torch.empty(0, dtype=torch.float64)

    def shaken(self, value: Value, args: Value, place: int) -> Value:
        """Return a result with other rounding; what was only rearranged stays."""
        given = _storages(args)

        def shake(x: Tensor) -> Tensor:
            if x.dtype is not torch.float64 or x.untyped_storage().data_ptr() in given:
                return x
            return x * self._factors(x.numel(), place).reshape(x.shape)

        return _mapped(value, shake)

    def _factors(self, count: int, place: int) -> Tensor:
        needed = count + self._OFFSETS
        if self._noise.numel() < needed:
            drawn = torch.randn(needed, generator=self._generator, dtype=torch.float64)
            self._noise = 1 + JITTER * drawn
        start = place % self._OFFSETS
        return self._noise[start : start + count]


def _storages(value: Value) -> set[int]:
    """Where the tensors among arguments keep their elements."""
    if isinstance(value, Tensor):
        return {value.untyped_storage().data_ptr()}
    if isinstance(value, (tuple, list)):
        return {place for item in value for place in _storages(item)}
    return set()


# Of larger values so many elements are looked at, anywhere in them.
_MOST_ELEMENTS = 2048


@cache
def _some(count: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:_MOST_ELEMENTS]


def elements(value: Value) -> Tensor | None:
    """Return elements of a value as real numbers in a row; None where it has none."""
    if isinstance(value, (bool, int, float, complex)):
        value = torch.as_tensor(value)
    if not isinstance(value, Tensor) or value.is_sparse:
        return None
    flat = value.detach().reshape(-1)
    if flat.numel() > _MOST_ELEMENTS:
        flat = flat[_some(flat.numel())]
    if flat.is_complex():
        flat = torch.view_as_real(flat).reshape(-1)
    return flat.to(torch.float64)
