"""Custom autograd functions as the graph shows them: what their backward makes of the gradient.

The operators of a forward are recorded like any others. Where the backward is the gradient of the
forward, nothing else is needed. Else the result goes through a node that says what the backward
does, so that what the loss polices is judged by that.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from scaleaudit.capture._torch_private import FUNCTION_NAMESPACE, function_calls, pytree
from scaleaudit.capture.backwards import Kind, depends, is_floating, kinds_of
from scaleaudit.capture.declared import declared_result, law_of, result_name
from scaleaudit.capture.places import Place, is_own
from scaleaudit.capture.trace import tensor_meta
from scaleaudit.domain.graph import Note, NoteKind
from scaleaudit.domain.laws import heard_by

if TYPE_CHECKING:
    from scaleaudit.capture.memory import Memory
    from scaleaudit.capture.scribe import Scribe

OPERATOR = "scaleaudit.custom_gradient"
# Beside the kinds of a backward: the result was computed out of sight.
HIDDEN = "hidden"


def custom_gradient(value: Any, inputs: Any, kinds: Any, name: Any) -> Any:  # noqa: ARG001 - there to be seen
    """Return a result whose gradient a function has made its own."""
    return value


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a function.

    Attributes:
        run: Makes it with other arguments, which are flat.
        inputs: For every floating argument what it held, by position.
        place: Where it was made.
    """

    function: Any
    run: Callable[[list[Any]], Any]
    leaves: list[Any]
    inputs: dict[int, fx.Node]
    place: Place


class FunctionCalls:
    """Note what the backward of every custom autograd function does."""

    def __init__(
        self, scribe: Scribe, memory: Memory, read: Callable[[torch.Tensor], fx.Node]
    ) -> None:
        self._scribe = scribe
        self._memory = memory
        self._read = read
        self._known: dict[Any, dict[int, Kind] | None] = {}
        self._running = False

    def called(
        self,
        apply: Callable[..., Any],
        function: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Make a call of a function and note what it does to gradients."""
        if self._running or _is_no_users(function):
            return apply(function, *args, **kwargs)
        self._running = True
        try:
            leaves, spec = pytree.tree_flatten((args, kwargs))

            def run(flat: list[Any]) -> Any:
                positional, named = pytree.tree_unflatten(flat, spec)
                return apply(function, *positional, **named)

            self._scribe.look(sys._getframe())
            inputs = {i: self._read(leaf) for i, leaf in enumerate(leaves) if is_floating(leaf)}
            made = _Call(function, run, leaves, inputs, self._scribe.place)
            kinds = self._kinds(made)
            out = apply(function, *args, **kwargs)
            self._note(made, out, kinds)
            if law_of(function) is not None:
                self._declare(made, out, bound_names(function.forward, args, kwargs, skipped=1))
            return out
        finally:
            self._running = False

    def declared(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Make a call of a function whose law is declared."""
        leaves = pytree.tree_leaves((args, kwargs))
        self._scribe.look(sys._getframe())
        inputs = {i: self._read(leaf) for i, leaf in enumerate(leaves) if is_floating(leaf)}
        made = _Call(function, function, leaves, inputs, self._scribe.place)
        out = function(*args, **kwargs)
        self._declare(made, out, bound_names(function, args, kwargs))
        return out

    def _declare(self, call: _Call, out: Any, names: list[str]) -> None:
        """Let results go through a node whose law is declared."""
        inside = self._scribe.place
        self._scribe.place = replace(call.place, turn=inside.turn, path=inside.path)
        for tensor in pytree.tree_leaves(out):
            if is_floating(tensor):
                inputs = list(call.inputs.values())
                named = [names[i] for i in call.inputs]
                name = result_name(call.function)
                args = (self._read(tensor), named, inputs, name)
                metas = (tensor_meta(tensor),)
                node = self._scribe.call(declared_result, args, {}, metas, name=name)
                self._memory.instead(tensor, node)

    def _kinds(self, call: _Call) -> dict[int, Kind] | None:
        key = (call.function, *map(_likeness, call.leaves))
        if key not in self._known:
            self._known[key] = kinds_of(call.run, call.leaves)
        return self._known[key]

    def _note(self, call: _Call, out: Any, kinds: dict[int, Kind] | None) -> None:
        """Let results whose gradient is the function's own go through a node that says so."""
        inside = self._scribe.place
        # It runs where the forward did, as the turns of loops are told by that.
        self._scribe.place = replace(call.place, turn=inside.turn, path=inside.path)
        for tensor in pytree.tree_leaves(out):
            if not is_floating(tensor):
                continue
            value = self._read(tensor)
            said = self._said(call, value, kinds)
            if set(said.values()) <= {Kind.FORWARD.value}:
                continue
            name = call.function.__name__
            args = (value, list(call.inputs.values()), list(said.values()), name)
            metas, op = (tensor_meta(tensor),), f"{OPERATOR}.{name}"
            node = self._scribe.call(custom_gradient, args, {}, metas, name=op)
            self._memory.instead(tensor, node)
            remark = _remark(call, set(said.values()), checked=kinds is not None)
            self._scribe.trace.note(remark)

    def _said(self, call: _Call, value: fx.Node, kinds: dict[int, Kind] | None) -> dict[int, str]:
        """Return what becomes of the gradient of every input, and which are read out of sight."""
        seen = self._scribe.trace.ancestors(value)
        said: dict[int, str] = {}
        for i, node in call.inputs.items():
            kind = Kind.OWN if kinds is None else kinds[i]
            said[i] = kind.value
            if node not in seen and kind is not Kind.ADDED:
                reads = depends(call.run, call.leaves, i)
                if reads or (reads is None and seen.isdisjoint(call.inputs.values())):
                    said[i] = HIDDEN
        return said


def _remark(call: _Call, kinds: set[str], *, checked: bool) -> Note:
    does = "is not the gradient of its forward" if checked else "could not be checked by numbers"
    if HIDDEN in kinds:
        does = "is that of a forward that computes out of sight"
    elif kinds <= {Kind.STOPPED.value, Kind.FORWARD.value}:
        does = "passes no gradient on"
    name, frames = call.function.__name__, call.place.frames
    where = frames[-1].location if frames else None
    return Note(NoteKind.GRADIENT, f"the backward of the autograd function {name} {does}", where)


_noting: list[tuple[Callable[..., Any], FunctionCalls]] = []


@contextmanager
def noted_by(calls: FunctionCalls) -> Iterator[None]:
    """Let all calls of custom autograd functions be noted."""
    with function_calls() as apply, heard_by(calls.declared):
        _noting.append((apply, calls))
        try:
            yield
        finally:
            _noting.pop()


def call(_: Any, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make a call in the place of torch's own ``apply``."""
    apply, calls = _noting[-1]
    return calls.called(apply, function, args, kwargs)


def _is_no_users(function: Any) -> bool:
    """Tell whether a function is torch's or the capture's own."""
    code = getattr(function.forward, "__code__", None)
    return f"{function.__module__}.".startswith(FUNCTION_NAMESPACE) or bool(code and is_own(code))


def bound_names(
    function: Callable[..., Any], args: Any, kwargs: Any, *, skipped: int = 0
) -> list[str]:
    """Name every leaf of a call's arguments by the parameter that it was given to.

    Args:
        skipped: Parameters in front that the caller does not give: the context of a forward.
    """
    parameters = list(inspect.signature(function).parameters.values())
    if skipped and len(args) + len(kwargs) >= len(parameters):
        skipped = 0  # a forward whose context is set up apart
    names: list[str] = []
    for position, value in enumerate(args):
        place = min(position + skipped, len(parameters) - 1)
        name = parameters[place].name if parameters else ""
        names += [name] * len(pytree.tree_leaves(value))
    for name, value in kwargs.items():
        names += [name] * len(pytree.tree_leaves(value))
    return names


def _likeness(leaf: Any) -> Any:
    """What two arguments share for which a function does the same."""
    if isinstance(leaf, torch.Tensor):
        return tuple(leaf.shape), leaf.dtype
    return (type(leaf), repr(leaf)) if isinstance(leaf, (int, float, str, type(None))) else id(leaf)
