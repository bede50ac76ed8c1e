"""Calls of submodules that do again what they did before: recorded once, recalled from then on.

A block that is called in every turn of a loop runs the same operators every time. The first call
is recorded as it runs; where a later one has the same signature (shapes, types, gradient and
autocast modes, other arguments equal) and nothing that its code can reach has changed, the module
is not run. The graph then holds one node for the whole call, which stands for the operators of the
first (see ``unrolling``), and the call returns new tensors like those that the first returned.

A call is not recalled where it did more than return a value: where it read a number, drew one,
wrote to memory that was there before, changed an argument or an attribute, kept a tensor.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol, TypeAlias

import torch
from torch import fx

from scaleaudit.capture import structures
from scaleaudit.capture._torch_private import storage_key
from scaleaudit.capture.memory import Memory
from scaleaudit.capture.places import Place
from scaleaudit.capture.reachable import Reach, UnknownState
from scaleaudit.capture.scribe import Scribe
from scaleaudit.capture.trace import Template, tensor_meta

# Recalling costs about as much as recording so many operators.
_WORTHWHILE = 4
# A module whose calls differ every time is recorded every time.
_VARIANTS = 4

_PLAIN = frozenset({
    type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range, slice, torch.dtype,
    torch.device, torch.Size, torch.layout, torch.memory_format,
})  # fmt: skip
_DEVICES = ("cpu", "cuda")
# How deep arguments are looked into.
_DEPTH = 5

_Path: TypeAlias = structures.Path
_Key: TypeAlias = tuple[Any, ...]


class Maker(Protocol):
    """Who makes the tensors that a recalled call returns."""

    def like(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return new tensors of the same shapes, strides and types, with or without gradient."""

    def is_plain(self, tensor: torch.Tensor) -> bool:
        """Tell whether a tensor is one of those, and carries no attribute of the user's."""

    def is_known(self, tensor: torch.Tensor) -> bool:
        """Tell whether the value of a tensor is known."""


@dataclass(slots=True, eq=False)
class _Open:
    """A call that is being recorded.

    Attributes:
        key: Its signature.
        given: Its tensors, with the nodes of what they held.
        start: How many nodes there were before.
        read: By identity, every tensor from outside that it read, with its node.
        named: For what each held, how many names of variables were known, and looks taken.
        spoiled: Whether it did something that recalling it would not do again.
    """

    key: _Key
    given: list[tuple[torch.Tensor, fx.Node]]
    reach: Reach
    place: Place
    start: int
    counts: dict[int, int]
    drawn: object
    named: list[tuple[int, int]]
    read: dict[int, tuple[torch.Tensor, fx.Node]] = field(default_factory=dict)
    spoiled: bool = False


@dataclass(slots=True, eq=False)
class _Known:
    """A call that was recorded and may be recalled.

    Attributes:
        read: The tensors from outside that it read, with what they held.
        result: What it returned.
        given: For paths of the result that are an argument's tensor, which one.
        made: For paths of the result that it made, which of its outputs.
        likes: The tensors that it made.
    """

    key: _Key
    reach: Reach
    read: list[tuple[torch.Tensor, fx.Node]]
    template: Template
    result: Any
    given: dict[_Path, int]
    made: dict[_Path, int]
    likes: list[torch.Tensor]


class Recalls:
    """Decide for every call of a submodule whether it is run or recalled."""

    def __init__(self, root: torch.nn.Module, scribe: Scribe, memory: Memory, maker: Maker) -> None:
        self._root = root
        self._scribe = scribe
        self._memory = memory
        self._maker = maker
        self._open: list[_Open] = []
        self._known: dict[torch.nn.Module, list[_Known]] = {}
        self._tries: dict[torch.nn.Module, int] = {}

    # What the recorder tells.

    def spoil(self) -> None:
        """Note that something happened that recalling a call would not do again."""
        for each in self._open:
            each.spoiled = True

    def read(self, tensor: torch.Tensor, node: fx.Node) -> None:
        """Note that a tensor was read."""
        order = self._scribe.order.get(node, -1)
        for each in self._open:
            if order < each.start:
                each.read[id(tensor)] = (tensor, node)

    def wrote(self, born: int) -> None:
        """Note that memory was written that came about after so many nodes."""
        for each in self._open:
            if born <= each.start:
                each.spoiled = True

    # Calls.

    def call(
        self,
        run: Callable[..., Any],
        module: torch.nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> Any:
        """Run a module, or recall what it did."""
        if self._scribe.claimed is not None or not self._is_eligible(module):
            return run(module, *args, **kwargs)
        signature = _Signature(self._memory, self._maker)
        key = signature.of((args, kwargs))
        if key is None:
            return run(module, *args, **kwargs)
        self._scribe.look(frame)
        place = self._scribe.place
        key = (*key, place.function, self._scribe.grads.enabled(place), _modes())
        for known in self._known.get(module, ()):
            if known.key == key and self._is_as_before(known):
                return self._recalled(known, signature.tensors, place)
        return self._recorded(run, module, args, kwargs, key, signature, place)

    def _is_eligible(self, module: torch.nn.Module) -> bool:
        if module is self._root or self._tries.get(module, 0) > _VARIANTS:
            return False
        return bool(module._modules) or not type(module).__module__.startswith("torch.")

    def _is_as_before(self, known: _Known) -> bool:
        return known.reach.is_unchanged() and all(
            self._memory.peek(tensor) is node for tensor, node in known.read
        )

    def _recorded(
        self,
        run: Callable[..., Any],
        module: torch.nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        key: _Key,
        signature: _Signature,
        place: Place,
    ) -> Any:
        """Run a module and keep what it did, if it can be recalled."""
        try:
            reach = Reach(module)
        except UnknownState:
            self._tries[module] = _VARIANTS + 1
            return run(module, *args, **kwargs)
        self._tries[module] = self._tries.get(module, 0) + 1
        scribe = self._scribe
        given = [(tensor, self._memory.node(tensor)) for tensor in signature.tensors]
        counts = scribe.modules.counts()
        named = [(len(scribe.trace.names_of(node)), scribe.looks(node)) for _, node in given]
        start = len(scribe.trace.calls)
        call = _Open(key, given, reach, place, start, counts, _drawn(), named)
        self._open.append(call)
        try:
            result = run(module, *args, **kwargs)
        finally:
            self._open.pop()
        known = self._kept(call, (args, kwargs), result)
        if known is not None:
            self._known.setdefault(module, []).append(known)
        elif len(scribe.trace.calls) - call.start < _WORTHWHILE:
            self._tries[module] = _VARIANTS + 1
        return result

    def _kept(self, call: _Open, arguments: Any, result: Any) -> _Known | None:
        """Return a recorded call as one that can be recalled, None where it cannot."""
        stop = len(self._scribe.trace.calls)
        if call.spoiled or stop - call.start < _WORTHWHILE or _drawn() != call.drawn:
            return None
        again = _Signature(self._memory, self._maker)
        key = again.of(arguments)
        if key is None or key != call.key[: len(key)] or call.key[-1] != _modes():
            return None
        if [id(t) for t, _ in call.given] != [id(t) for t in again.tensors]:
            return None
        if not self._are_apart(call) or not call.reach.is_unchanged():
            return None
        return self._known_by(call, stop, result)

    def _are_apart(self, call: _Open) -> bool:
        """Tell whether arguments are no attributes too, hold what they held, and all else is known."""
        given = {id(tensor): node for tensor, node in call.given}
        if given.keys() & call.reach.tensors:
            return False
        outside = [(t, n) for t, n in call.read.values() if id(t) not in given]
        nodes = set(given.values())
        if any(id(tensor) not in call.reach.tensors or n in nodes for tensor, n in outside):
            return False
        held = (*call.given, *outside)
        return all(self._memory.peek(tensor) is node for tensor, node in held)

    def _known_by(self, call: _Open, stop: int, result: Any) -> _Known | None:
        positions = {id(tensor): i for i, (tensor, _) in enumerate(call.given)}
        memories = {storage_key(t) for t, _ in (*call.given, *call.read.values())}
        given: dict[_Path, int] = {}
        made: dict[_Path, int] = {}
        likes: list[torch.Tensor] = []
        for path, value in structures.subtrees(result):
            if isinstance(value, torch.Tensor):
                if id(value) in positions:
                    given[path] = positions[id(value)]
                elif storage_key(value) in memories or not self._is_renewable(value):
                    return None
                else:
                    memories.add(storage_key(value))
                    made[path] = len(likes)
                    likes.append(value)
            elif type(value) not in _PLAIN and not structures.parts(value):
                return None
        if not all(_is_renewed(path, value, made) for path, value in structures.subtrees(result)):
            return None
        scribe, outputs = self._scribe, tuple(self._memory.node(tensor) for tensor in likes)
        template = Template(
            nodes=(call.start, stop),
            given=tuple(node for _, node in call.given),
            outputs=outputs,
            metas=tuple(tensor_meta(tensor) for tensor in likes),
            place=call.place,
            counts=call.counts,
            called=scribe.modules.since(call.counts),
            names=tuple(
                scribe.trace.names_of(node)[count:]
                for (_, node), (count, _) in zip(call.given, call.named, strict=True)
            ),
            made_names=tuple(list(scribe.trace.names_of(node)) for node in outputs),
            looks=tuple(
                scribe.looks(node) - looks
                for (_, node), (_, looks) in zip(call.given, call.named, strict=True)
            ),
            shares_casts=torch.is_autocast_cache_enabled()
            and any(map(torch.is_autocast_enabled, _DEVICES)),
        )
        if stop != len(self._scribe.trace.calls):
            return None  # looking at the outputs recorded something
        read = [pair for key, pair in call.read.items() if key not in positions]
        return _Known(call.key, call.reach, read, template, result, given, made, likes)

    def _is_renewable(self, tensor: torch.Tensor) -> bool:
        return self._maker.is_plain(tensor) and not self._maker.is_known(tensor)

    def _recalled(self, known: _Known, tensors: list[torch.Tensor], place: Place) -> Any:
        scribe, template = self._scribe, known.template
        nodes = [self._memory.node(tensor) for tensor in tensors]
        for tensor, node, looks in zip(tensors, nodes, template.looks, strict=True):
            self.read(tensor, node)
            scribe.see_names(tensor, node, looks)
        for tensor, node in known.read:
            self.read(tensor, node)
        call = scribe.recall(template, tuple(nodes), place)
        scribe.modules.skip(template.called)
        made = self._maker.like(known.likes)
        for index, tensor in enumerate(made):
            self._memory.hold(tensor, scribe.pick_one(call, index))

        def renewed(path: _Path, value: Any) -> Any:
            if path in known.given:
                return tensors[known.given[path]]
            return made[known.made[path]] if path in known.made else value

        return structures.mapped(known.result, renewed)


class _Signature:
    """What a call is given, such that equal ones make modules do the same.

    Attributes:
        tensors: The tensors among the arguments, in order.
    """

    def __init__(self, memory: Memory, maker: Maker) -> None:
        self._memory = memory
        self._maker = maker
        self._nodes: dict[fx.Node, int] = {}
        self._memories: dict[int, int] = {}
        self.tensors: list[torch.Tensor] = []

    def of(self, arguments: Any) -> _Key | None:
        """Return the signature; None where something is given that may change unseen."""
        found: list[Any] = []
        return tuple(found) if self._add(arguments, found, 0) else None

    def _add(self, value: Any, found: list[Any], depth: int) -> bool:
        kind = type(value)
        if kind in _PLAIN:
            found.append((kind, value))
            return True
        if isinstance(value, torch.Tensor):
            return self._tensor(value, found)
        if isinstance(value, (torch.nn.Module, type)):
            found.append(id(value))
            return True
        if depth > _DEPTH or not _is_record(value):
            return False
        parts = structures.parts(value)
        found.append((kind, len(parts)))
        return all(
            self._add(key, found, depth + 1) and self._add(item, found, depth + 1)
            for key, item in parts
        )

    def _tensor(self, tensor: torch.Tensor, found: list[Any]) -> bool:
        if not self._maker.is_plain(tensor):
            return False
        node = self._memory.node(tensor)
        same = self._nodes.setdefault(node, len(self.tensors))
        shared = self._memories.setdefault(storage_key(tensor), len(self.tensors))
        self.tensors.append(tensor)
        form = (tensor.shape, tensor.stride(), tensor.dtype, tensor.requires_grad, tensor.is_leaf)
        found.append((same, shared, *form))
        return True


def _is_record(value: object) -> bool:
    """Tell whether all that a value holds can be seen."""
    if isinstance(value, (tuple, list, dict)):
        return True
    return hasattr(value, "__dict__") and not callable(value) and not hasattr(value, "__next__")


def _is_renewed(path: _Path, value: object, made: dict[_Path, int]) -> bool:
    """Tell whether a part of a result is a new object every time, or may well be the same one."""
    if isinstance(value, (torch.Tensor, tuple)) or type(value) in _PLAIN:
        return True
    return any(each[: len(path)] == path for each in made)


def _modes() -> tuple[Any, ...]:
    """Return the modes of torch that change what operators do."""
    casts = [
        torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        for device in _DEVICES
    ]
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        *casts,
    )


def _drawn() -> object:
    """Return the state of the generators that everybody shares."""
    numbers = sys.modules.get("numpy.random")
    return random.getstate(), None if numbers is None else repr(numbers.get_state())


@contextmanager
def recalling(recalls: Recalls) -> Iterator[None]:
    """Let every call of a module pass by those who know what it did before."""
    run = torch.nn.Module.__call__

    def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        return recalls.call(run, module, args, kwargs, sys._getframe(1))

    torch.nn.Module.__call__ = call  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.nn.Module.__call__ = run  # type: ignore[method-assign]
