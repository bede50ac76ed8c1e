"""A recording as a list of units, for the search of turns that repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from itertools import takewhile
from typing import Any, TypeAlias

import torch
from torch import fx

from scaleaudit.capture.places import Place
from scaleaudit.capture.repeats import Source
from scaleaudit.capture.scribe import pick_item
from scaleaudit.capture.session import Recording
from scaleaudit.capture.trace import Trace
from scaleaudit.domain.graph import NodeKind

_ATEN = torch.ops.aten
# Which part of a tensor is read, by position.
_PARTS: dict[Any, tuple[int, ...]] = {_ATEN.select.int: (2,), _ATEN.slice.Tensor: (2, 3)}
# Elements up to which constants are compared by value.
_SMALL = 64

# Positions that lead from what a call returned to one of its tensors.
Way: TypeAlias = tuple[int, ...]


class Units:
    """A recording as a list of units (repeats.Program)."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.trace = trace = recording.trace
        self.calls = [n for n in trace.graph.nodes if n in trace.origins and not trace.is_leaf(n)]
        self.index = {node: i for i, node in enumerate(self.calls)}
        self._within: dict[int, int] = {}
        for number, repeat in enumerate(trace.repeats):
            first, last = self.index[repeat.first], self.index[repeat.last]
            self._within.update(dict.fromkeys(range(first, last + 1), number))
        self._leaves: dict[object, int] = {}
        self._sources: dict[int, tuple[Source, ...]] = {}
        self._given: dict[int, tuple[object, ...]] = {}

    @cached_property
    def keys(self) -> list[int]:
        """Numbers for what the units do and where, in short."""
        numbers: dict[object, int] = {}
        return [numbers.setdefault(self._site(node), len(numbers)) for node in self.calls]

    @cached_property
    def _counts(self) -> Counter[int]:
        return Counter(self.keys)

    @cached_property
    def results(self) -> set[int]:
        """Units whose values are results of the program."""
        found = [node for _, node in self.recording.outputs]
        if self.recording.loss is not None:
            found.append(self.recording.loss)
        roots = (root_of(node)[0] for node in found)
        return {self.index[root] for root in roots if root in self.index}

    def sources(self, unit: int) -> tuple[Source, ...]:
        """Return what a unit reads."""
        if unit not in self._sources:
            self._sources[unit] = tuple(self._read(self.calls[unit]))
        return self._sources[unit]

    def _read(self, node: fx.Node) -> Iterator[Source]:
        for operand, source in _operands(self.trace, node):
            root, way = root_of(source)
            index = self.index.get(root)
            yield self._leaf(root) if index is None else index, way, operand

    def are_alike(self, unit: int, other: int) -> bool:
        """Tell whether units of equal keys do the same, whatever they read."""
        one, two = self.calls[unit], self.calls[other]
        mine, theirs = self.trace.origins[one], self.trace.origins[two]
        return (
            one.target == two.target
            and (mine.grad, mine.silent) == (theirs.grad, theirs.silent)
            and mine.outputs == theirs.outputs
            and mine.names == theirs.names
            and self._constants(unit) == self._constants(other)
            and _are_side_by_side(mine.place, theirs.place)
        )

    def is_of_one_kind(self, unit: int) -> bool:
        """Tell whether to the analysis any part of a value is as good as another.

        It is where the value comes before all loops, so that it depends on no state.
        """
        node = self.calls[unit]
        return len(set(self.trace.origins[node].outputs)) == 1 and self._comes_first(unit)

    def shared(self, unit: int) -> int:
        """Return how many running frames a unit has in common with the one before it."""
        if not unit:
            return 0
        before, here = (self.trace.origins[n].place.turn for n in self.calls[unit - 1 : unit + 1])
        pairs = zip(before, here, strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0][0] == pair[1][0], pairs))

    def _site(self, node: fx.Node) -> object:
        origin = self.trace.origins[node]
        return origin.site, origin.place.module, self._within.get(self.index[node])

    def _comes_first(self, unit: int) -> bool:
        """Tell whether nothing that a value is computed from recurs."""
        seen, pending = {unit}, [unit]
        while pending:
            each = pending.pop()
            if self._counts[self.keys[each]] > 1:
                return False
            fresh = {one for one, _, _ in self.sources(each) if one >= 0} - seen
            seen |= fresh
            pending.extend(fresh)
        return True

    def _leaf(self, node: fx.Node) -> int:
        """Return a number for a leaf; small constants of equal value have the same."""
        origin = self.trace.origins[node]
        value = origin.value
        key: object = node
        if origin.kind is NodeKind.CONSTANT and value is not None and value.numel() <= _SMALL:
            key = origin.outputs, tuple(value.flatten().tolist())
        return self._leaves.setdefault(key, -1 - len(self._leaves))

    def _constants(self, unit: int) -> tuple[object, ...]:
        """Return what a call is given but for values."""
        if unit not in self._given:
            node = self.calls[unit]
            parts = self._free_parts(node)
            self._given[unit] = tuple(
                None if position in parts else _constant(argument)
                for position, argument in enumerate((*node.args, *node.kwargs.values()))
            )
        return self._given[unit]

    def _free_parts(self, node: fx.Node) -> tuple[int, ...]:
        """Return the arguments that say which part of what comes before all loops is read."""
        parts = _PARTS.get(node.target, ())
        if not parts or not isinstance(node.args[0], fx.Node):
            return ()
        root, _ = root_of(node.args[0])
        unit = self.index.get(root)
        return parts if unit is None or self._comes_first(unit) else ()


def _are_side_by_side(one: Place, other: Place) -> bool:
    """Tell whether two places are the same line of the same code, in whichever turn."""
    return (
        len(one.turn) == len(other.turn)
        and len(one.frames) == len(other.frames)
        and one.function == other.function
        and all(a[1] == b[1] for a, b in zip(one.turn, other.turn, strict=True))
        and all(
            a.location == b.location and a.function == b.function
            for a, b in zip(one.frames, other.frames, strict=True)
        )
        and [m.identity for m in one.modules] == [m.identity for m in other.modules]
    )


def root_of(node: fx.Node) -> tuple[fx.Node, Way]:
    """Return the call that a value is picked from, and the positions that lead to it."""
    way: list[int] = []
    while node.op == "call_function" and node.target is pick_item:
        whole, position = node.args
        assert isinstance(whole, fx.Node)
        assert isinstance(position, int)
        way.append(position)
        node = whole
    return node, tuple(reversed(way))


def _operands(trace: Trace, node: fx.Node) -> Iterator[tuple[object, fx.Node]]:
    """Yield what a call reads and in which operand; what stands in a list is in the same one."""
    recall = trace.recalls.get(node)
    if recall is not None:
        outside = trace.outside(recall.template)
        yield from ((None, recall.swap.nodes.get(source, source)) for source in outside)
    for position, argument in enumerate((*node.args, *node.kwargs.values())):
        yield from ((position, source) for source in _nodes(argument))


def _nodes(argument: Any) -> Iterator[fx.Node]:
    if isinstance(argument, fx.Node):
        yield argument
    elif isinstance(argument, (list, tuple)):
        for item in argument:
            yield from _nodes(item)
    elif isinstance(argument, dict):
        for item in argument.values():
            yield from _nodes(item)


def _constant(argument: Any) -> object:
    """Return an argument without the values in it, such that equal ones do the same."""
    if isinstance(argument, fx.Node):
        return fx.Node
    if isinstance(argument, (list, tuple)):
        return tuple(map(_constant, argument))
    if isinstance(argument, dict):
        return tuple((key, _constant(item)) for key, item in argument.items())
    return type(argument), str(argument)
