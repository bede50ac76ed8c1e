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

import itertools
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, TypeAlias

import torch
from torch import fx

from scaleaudit.capture import structures
from scaleaudit.capture._torch_private import storage_key, unwatched, watchers, without_modes
from scaleaudit.capture.counterparts import Counterparts, counterparts
from scaleaudit.capture.engines import Engine
from scaleaudit.capture.memory import Memory
from scaleaudit.capture.places import Place
from scaleaudit.capture.reachable import PLAIN, Reach, UnknownState
from scaleaudit.capture.scribe import Scribe
from scaleaudit.capture.signatures import Held, Key, Signature, is_record
from scaleaudit.capture.trace import Swap, Template, tensor_meta

# With fewer operators it is not worth looking into what a module can reach.
_WORTHWHILE = 4
# A module whose calls differ every time is recorded every time.
_VARIANTS = 4

_DEVICES = ("cpu", "cuda")

_Path: TypeAlias = structures.Path


class Differentiated(BaseException):
    """The program differentiates what was recalled; it has to be recorded without that."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What a module is called with, and where.

    Attributes:
        key: Its signature.
        modes: What else changes what operators do.
        given: Its tensors, with the nodes of what they hold.
        others: Objects and classes that the module can read, which are not taken apart here.
    """

    key: Key
    modes: tuple[Any, ...]
    given: list[Held]
    others: list[Any]
    place: Place


@dataclass(slots=True, eq=False)
class _Open:
    """A call that is being recorded.

    Attributes:
        start: How many nodes there were before.
        read: By identity, every tensor from outside that it read, with its node.
        named: For what each held, how many names of variables were known, and looks taken.
        spoiled: Whether it did something that recalling it would not do again.
    """

    asked: _Asked
    reach: Reach
    start: int
    counts: dict[int, int]
    drawn: object
    named: list[tuple[int, int]]
    read: dict[int, Held] = field(default_factory=dict)
    spoiled: bool = False


@dataclass(slots=True, eq=False)
class _Known:
    """A call that was recorded and may be recalled.

    Attributes:
        number: Tells it from others.
        read: The tensors from outside that it read, with what they held.
        swap: What differs from the recorded call, where that was of another module.
        casts: How often autocast had forgotten its casts of parameters.
        result: What it returned.
        given: For paths of the result that are an argument's tensor, which one.
        made: For paths of the result that it made, which of its outputs.
        likes: The tensors that it made.
    """

    number: int
    asked: _Asked
    reach: Reach
    read: list[Held]
    template: Template
    swap: Swap
    casts: int
    result: Any
    given: dict[_Path, int]
    made: dict[_Path, int]
    likes: list[torch.Tensor]


class Recalls:
    """Decide for every call of a submodule whether it is run or recalled."""

    def __init__(
        self, root: torch.nn.Module, scribe: Scribe, memory: Memory, engine: Engine
    ) -> None:
        self._root = root
        self._scribe = scribe
        self._memory = memory
        self._engine = engine
        self._watchers: tuple[int, ...] = ()
        self._open: list[_Open] = []
        self._known: dict[torch.nn.Module, list[_Known]] = {}
        self._kinds: dict[type, list[_Known]] = {}
        self._count = itertools.count()
        self._casts = 0
        self._tries: dict[torch.nn.Module, int] = {}

    def begin(self, own: int) -> None:
        """Start recalling, unless somebody else watches the calls.

        Args:
            own: How many modes and global hooks of the capture itself are in force.
        """
        found = watchers()
        self._watchers = found if len(found) == own else ()

    # What the recorder tells.

    def differentiate(self) -> None:
        """Note that gradients are asked for, which recalled calls do not have.

        Raises:
            Differentiated: Calls were recalled already.
        """
        if self._scribe.trace.recalls:
            raise Differentiated
        self._watchers = ()

    def forget_casts(self) -> None:
        """Note that autocast forgets the casts of parameters that it made."""
        self._casts += 1

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
        reach: Reach | None = None
        with unwatched():
            asked = self._asked(args, kwargs, frame)
            if asked is not None:
                known = self._fitting(module, asked)
                if known is None:
                    reach = self._reach(module, asked)
                    known = None if reach is None else self._like(module, asked, reach)
                if known is not None:
                    return self._recalled(known, asked)
        if asked is None or reach is None:
            return run(module, *args, **kwargs)
        return self._recorded(run, module, args, kwargs, asked, reach)

    def _asked(self, args: Any, kwargs: Any, frame: FrameType) -> _Asked | None:
        """Return what a call is given and where; None where something may change unseen."""
        signature = Signature(self._memory, self._engine)
        key = signature.of((args, kwargs))
        if key is None or watchers() != self._watchers:
            return None
        self._scribe.look(frame)
        place = self._scribe.place
        modes = (place.function, self._scribe.grads.enabled(place), *_modes())
        return _Asked(key, modes, signature.given, signature.others, place)

    def _fitting(self, module: torch.nn.Module, asked: _Asked) -> _Known | None:
        """Return a call that was asked for the same, in the same surroundings."""
        return next(
            (
                known
                for known in self._known.get(module, ())
                if known.asked.key == asked.key
                and known.asked.modes == asked.modes
                and known.reach.is_unchanged()
                and all(self._memory.peek(tensor) is node for tensor, node in known.read)
            ),
            None,
        )

    def _is_eligible(self, module: torch.nn.Module) -> bool:
        if module is self._root or self._tries.get(module, 0) > _VARIANTS:
            return False
        return bool(module._modules) or not type(module).__module__.startswith("torch.")

    def _reach(self, module: torch.nn.Module, asked: _Asked) -> Reach | None:
        """Return what a module can read; None where nobody can tell, then it is run for ever."""
        try:
            return Reach(module, self._engine.extras, asked.others)
        except UnknownState:
            self._tries[module] = _VARIANTS + 1
            return None

    def _like(self, module: torch.nn.Module, asked: _Asked, reach: Reach) -> _Known | None:
        """Return what a module built like this one did, with this one's weights."""
        if _keeps_casts():
            return None  # autocast casts every weight once, and this call makes none
        for known in self._kinds.get(type(module), ())[:_VARIANTS]:
            if known.asked.key == asked.key and known.asked.modes == asked.modes:
                pairs = counterparts(known.reach, reach)
                found = None if pairs is None else self._swapped(known, asked, reach, pairs)
                if found is not None:
                    self._known.setdefault(module, []).append(found)
                    return found
        return None

    def _swapped(
        self, known: _Known, asked: _Asked, reach: Reach, pairs: Counterparts
    ) -> _Known | None:
        """Return a recorded call with other weights; None where that would be another call."""
        nodes: dict[fx.Node, fx.Node] = {}
        read: list[Held] = []
        with without_modes():  # what looking at a weight for the first time runs is not recorded
            for tensor, node in known.read:
                mine = pairs.tensors.get(id(tensor), tensor)
                now = self._memory.node(mine)
                if nodes.setdefault(node, now) is not now:
                    return None
                read.append((mine, now))
        given = {id(tensor) for tensor, _ in asked.given}
        held = {node for _, node in asked.given}
        if given & reach.tensors or held & set(nodes.values()):
            return None
        named = self._scribe.modules.named
        modules = {named(one)[0]: named(other) for one, other in pairs.modules}
        swap = Swap({a: b for a, b in nodes.items() if a is not b}, modules)
        return replace(
            known, number=next(self._count), asked=asked, reach=reach, read=read, swap=swap
        )

    def _recorded(
        self,
        run: Callable[..., Any],
        module: torch.nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        asked: _Asked,
        reach: Reach,
    ) -> Any:
        """Run a module and keep what it did, if it can be recalled."""
        self._tries[module] = self._tries.get(module, 0) + 1
        trace = self._scribe.trace
        named = [(len(trace.names_of(n)), self._scribe.looks(n)) for _, n in asked.given]
        counts = self._scribe.modules.counts()
        call = _Open(asked, reach, len(trace.calls), counts, _drawn(), named)
        self._open.append(call)
        try:
            result = run(module, *args, **kwargs)
        finally:
            self._open.pop()
        with unwatched():
            known = self._kept(call, (args, kwargs), result)
        if known is not None:
            self._known.setdefault(module, []).append(known)
            self._kinds.setdefault(type(module), []).append(known)
        elif len(trace.calls) - call.start < _WORTHWHILE:
            self._tries[module] = _VARIANTS + 1
        return result

    def _kept(self, call: _Open, arguments: Any, result: Any) -> _Known | None:
        """Return a recorded call as one that can be recalled, None where it cannot."""
        stop = len(self._scribe.trace.calls)
        if call.spoiled or stop - call.start < _WORTHWHILE or _drawn() != call.drawn:
            return None
        after = Signature(self._memory, self._engine)
        if after.of(arguments) != call.asked.key or not _are_same(after.given, call.asked.given):
            return None
        if call.asked.modes[2:] != _modes() or not self._is_apart(call):
            return None
        return self._known_by(call, stop, result) if call.reach.is_unchanged() else None

    def _is_apart(self, call: _Open) -> bool:
        """Tell whether no argument is an attribute too, and all else that was read is one."""
        given = {id(tensor) for tensor, _ in call.asked.given}
        nodes = {node for _, node in call.asked.given}
        outside = [pair for key, pair in call.read.items() if key not in given]
        return not given & call.reach.tensors and all(
            id(tensor) in call.reach.tensors
            and node not in nodes
            and self._memory.peek(tensor) is node
            for tensor, node in outside
        )

    def _known_by(self, call: _Open, stop: int, result: Any) -> _Known | None:
        positions = {id(tensor): i for i, (tensor, _) in enumerate(call.asked.given)}
        memories = {storage_key(t) for t, _ in (*call.asked.given, *call.read.values())}
        given: dict[_Path, int] = {}
        made: dict[_Path, int] = {}
        likes: list[torch.Tensor] = []
        for path, value in structures.subtrees(result):
            if isinstance(value, torch.Tensor):
                if id(value) in positions:
                    given[path] = positions[id(value)]
                elif storage_key(value) in memories or not self._is_renewable(value, call):
                    return None
                else:
                    memories.add(storage_key(value))
                    made[path] = len(likes)
                    likes.append(value)
            elif type(value) not in PLAIN and not is_record(value):
                return None
        if not all(_is_renewed(path, value, made) for path, value in structures.subtrees(result)):
            return None
        scribe, outputs = self._scribe, tuple(self._memory.node(tensor) for tensor in likes)
        template = Template(
            nodes=(call.start, stop),
            given=tuple(node for _, node in call.asked.given),
            outputs=outputs,
            metas=tuple(tensor_meta(tensor) for tensor in likes),
            place=call.asked.place,
            counts=call.counts,
            called=scribe.modules.since(call.counts),
            names=tuple(
                scribe.trace.names_of(node)[count:]
                for (_, node), (count, _) in zip(call.asked.given, call.named, strict=True)
            ),
            made_names=tuple(list(scribe.trace.names_of(node)) for node in outputs),
            looks=tuple(
                max(scribe.looks(node) - looks, int(id(tensor) in call.read))
                for (tensor, node), (_, looks) in zip(call.asked.given, call.named, strict=True)
            ),
        )
        if stop != len(self._scribe.trace.calls):
            return None  # looking at the outputs recorded something
        read = [pair for key, pair in call.read.items() if key not in positions]
        number, swap = next(self._count), Swap()
        return _Known(
            number,
            call.asked,
            call.reach,
            read,
            template,
            swap,
            self._casts,
            result,
            given,
            made,
            likes,
        )

    def _is_renewable(self, tensor: torch.Tensor, call: _Open) -> bool:
        """Tell whether a tensor that a call returned was made by it, and may be made again."""
        return (
            self._engine.is_plain(tensor)
            and self._engine.value(tensor) is None
            and id(tensor) not in call.reach.tensors
            and self._memory.born(tensor) >= call.start
        )

    def _recalled(self, known: _Known, asked: _Asked) -> Any:
        scribe, template = self._scribe, known.template
        for (tensor, node), looks in zip(asked.given, template.looks, strict=True):
            self.read(tensor, node)
            scribe.see_names(tensor, node, looks)
        for tensor, node in known.read:
            self.read(tensor, node)
            if node in scribe.order:
                scribe.see_names(tensor, node)
        given = tuple(node for _, node in asked.given)
        call = scribe.recall(
            template,
            given,
            known.swap,
            asked.place,
            known.number,
            shares_casts=known.casts == self._casts and _keeps_casts(),
        )
        modules = known.swap.modules
        scribe.modules.skip({modules.get(k, (k,))[0]: n for k, n in template.called.items()})
        made = self._engine.like(known.likes)
        for index, tensor in enumerate(made):
            self._memory.hold(tensor, scribe.pick_one(call, index))

        def renewed(path: _Path, value: Any) -> Any:
            if path in known.given:
                return asked.given[known.given[path]][0]
            return made[known.made[path]] if path in known.made else value

        return structures.mapped(known.result, renewed)


def _are_same(one: list[Held], other: list[Held]) -> bool:
    """Tell whether these are the same tensors, which hold the same."""
    return all(a is b and m is n for (a, m), (b, n) in zip(one, other, strict=True))


def _is_renewed(path: _Path, value: object, made: dict[_Path, int]) -> bool:
    """Tell whether a part of a result is a new object every time, or may well be the same one."""
    if isinstance(value, (torch.Tensor, tuple)) or type(value) in PLAIN:
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


def _keeps_casts() -> bool:
    """Tell whether autocast keeps the casts of parameters from call to call."""
    return torch.is_autocast_cache_enabled() and any(map(torch.is_autocast_enabled, _DEVICES))


def _drawn() -> object:
    """Return the state of the generators that everybody shares."""
    numbers = sys.modules.get("numpy.random")
    if numbers is None:
        return random.getstate()
    name, state, *rest = numbers.get_state()
    return random.getstate(), name, state.tobytes(), *rest


@contextmanager
def recalling(recalls: Recalls, own: int) -> Iterator[None]:
    """Let every call of a module pass by those who know what it did before.

    Args:
        recalls: Who knows.
        own: How many modes and global hooks of the capture itself are in force.
    """
    recalls.begin(own)
    run = torch.nn.Module.__call__

    def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        return recalls.call(run, module, args, kwargs, sys._getframe(1))

    forget = torch.clear_autocast_cache

    def forgotten() -> None:
        recalls.forget_casts()
        forget()

    torch.nn.Module.__call__ = call  # type: ignore[method-assign]
    torch.clear_autocast_cache = forgotten  # what autocast calls at its end
    try:
        yield
    finally:
        torch.nn.Module.__call__ = run  # type: ignore[method-assign]
        torch.clear_autocast_cache = forget
