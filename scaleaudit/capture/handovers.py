"""States that the caller carries: what one call of a model returns and the next is given.

A recurrent model may leave its loop to whoever calls it: ``logits, state = model(x, state)``. One
call shows no loop. So the arguments are held against the output, what fits is handed over from
call to call, and the calls are recorded one after the other, like the turns of any other loop.

Same shapes alone prove nothing: an encoder maps its input to a memory of that shape, and two
streams come back as they went in. See ``Search.certain`` for what counts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import fx

from scaleaudit.capture import structures
from scaleaudit.capture.structures import Path
from scaleaudit.capture.trace import Trace

# Calls that are recorded of a model whose state its caller carries; the first one may replace it.
CALLS = 4
# Optional arguments are filled on trial, so many times.
_TRIALS = 4


@dataclass(frozen=True, slots=True)
class Handover:
    """A part of the output that becomes a part of the next call's arguments.

    Attributes:
        argument: Path from (positional arguments, named arguments).
        output: Path from the output.
    """

    argument: Path
    output: Path


@dataclass(slots=True)
class ModelCall:
    """One call of a model, as it was recorded.

    Attributes:
        arguments: Its positional and its named arguments.
        given: The graph node of every tensor among them, by path.
        returned: The graph node of every tensor in the output, by path.
        zeros: Paths of the arguments that hold nothing but zeros.
        end: How many nodes there were when it returned.
    """

    arguments: tuple[tuple[Any, ...], Mapping[str, Any]]
    given: dict[Path, fx.Node]
    zeros: frozenset[Path]
    output: Any = None
    returned: dict[Path, fx.Node] = field(default_factory=dict)
    end: int = 0


class Search:
    """Hold the arguments of a call against its output.

    Args:
        forward: What the model was called through, for its parameters.
        loss: The node of a loss that was computed from what the model returned; None where there
            is none, or the model computes it itself.
    """

    def __init__(
        self, call: ModelCall, forward: Callable[..., Any], loss: fx.Node | None, trace: Trace
    ) -> None:
        self._call = call
        self._parameters = _parameters(forward)
        self._loss = loss
        self._trace = trace

    def certain(self) -> tuple[Handover, ...]:
        """Return what is handed over beyond doubt.

        Either a structure comes back as it went in (a dataclass, a named tuple, a tuple of
        memories beside other outputs), or a single tensor does of which something else speaks:
        it starts as zeros or comes back detached. In each case it depends on what it was, and a single one on other
        inputs too: a memory that an encoder makes of its own input alone is no state.
        """
        found: list[Handover] = []
        parts = list(structures.subtrees(self._call.arguments))
        # Structures first: a part of one is not up for a single tensor of the same shape.
        for path, value in sorted(parts, key=lambda part: isinstance(part[1], torch.Tensor)):
            if len(path) > 1 and not any(_related(path, each.argument) for each in found):
                output = self._partner(path, value, [each.output for each in found])
                if output is not None:
                    found.append(Handover(path, output))
        return tuple(found)

    def possible(self) -> Iterator[tuple[Handover, ...]]:
        """Yield ways of filling the arguments that were left out, likely ones first."""
        empty = self._left_out()
        parts = [
            (key,)
            for key, value in structures.parts(self._call.output)
            if _scaled(value)
            and (not isinstance(value, torch.Tensor) or self._is_spoken_for((key,)))
        ]
        alone = len({path[:1] for path in self._call.returned}) < 2  # noqa: PLR2004 - an output
        free = [path for path in parts if not alone and self._is_unread(path)]
        trials: list[tuple[Handover, ...]] = []
        if 1 < len(empty) <= len(free):
            trials.append(tuple(map(Handover, empty, free[-len(empty) :])))
        trials.extend((Handover(argument, path),) for argument in empty for path in reversed(free))
        yield from trials[:_TRIALS]

    @cached_property
    def _read(self) -> set[fx.Node]:
        """What the loss reads of the output."""
        if self._loss is None:
            return set()
        after = set(list(self._trace.graph.nodes)[self._call.end :])
        after &= self._trace.ancestors(self._loss)
        return {self._loss, *(source for node in after for source in self._trace.sources(node))}

    @cached_property
    def _sources(self) -> dict[fx.Node, frozenset[fx.Node]]:
        """For every node the inputs that it is computed from."""
        return _sources(self._trace, set(self._call.given.values()))

    def _is_unread(self, output: Path) -> bool:
        """Tell whether a loss leaves a part of the output unread, or none is told."""
        return self._read.isdisjoint(_inside(self._call.returned, output).values())

    def _partner(self, path: Path, value: Any, taken: list[Path]) -> Path | None:
        """Return the part of the output that an argument comes back as."""
        fits = [
            output
            for output, returned in structures.subtrees(self._call.output)
            if not any(_related(output, other) for other in taken)
            and self._fits(path, value, output, returned)
        ]
        if isinstance(value, torch.Tensor):
            return max(fits, key=self._rank, default=None)
        return fits[0] if fits else None

    def _fits(self, path: Path, value: Any, output: Path, returned: Any) -> bool:
        if not _same_form(value, returned) or not self._depends(output, path):
            return False
        if isinstance(value, torch.Tensor):
            return self._mixes(output, path) and self._is_handed_over(path, output)
        is_generic = type(value) in {tuple, list, dict}
        return not is_generic or (bool(output) and self._mixes(output, path))

    def _is_handed_over(self, path: Path, output: Path) -> bool:
        """Tell whether anything besides its shape speaks for a single tensor."""
        if not output:  # a cell returns nothing but its state
            return path in self._call.zeros
        return path in self._call.zeros or self._is_detached(output)

    def undecided(self) -> tuple[Handover, ...]:
        """Return single tensors that may be handed over, or be no more than of one shape.

        A hidden state that comes back beside logits looks like an encoder's, called on embeddings
        and a mask: what becomes of it is the caller's affair.
        """
        return tuple(
            Handover(path, output)
            for path, value in structures.tensors(self._call.arguments).items()
            for output, returned in structures.tensors(self._call.output).items()
            if _same_form(value, returned)
            and self._depends(output, path)
            and self._mixes(output, path)
            and self._is_spoken_for(output)
        )[:1]

    def _is_spoken_for(self, output: Path) -> bool:
        """Tell whether an output looks like a state by what is done with it."""
        unread = self._loss is not None and self._is_unread(output)
        return unread or self._is_decoded(output) or self._is_detached(output)

    def _is_decoded(self, output: Path) -> bool:
        """Tell whether another output, no single number, is computed from one."""
        tensors, nodes = structures.tensors(self._call.output), self._call.returned
        sources = _sources(self._trace, {nodes[output]})
        others = [p for p, tensor in tensors.items() if tensor.dim() and p != output]
        return any(sources[nodes[p]] for p in others if nodes[p] is not nodes[output])

    def _is_detached(self, output: Path) -> bool:
        """Tell whether an output comes back without gradient where others have one."""
        returned = structures.tensors(self._call.output)
        learns = any(tensor.requires_grad for tensor in returned.values())
        return learns and not returned[output].requires_grad

    def _rank(self, output: Path) -> tuple[bool, bool, int]:
        """Order the outputs that fit: unread by the loss, detached, early."""
        order = list(structures.tensors(self._call.output))
        unread = self._loss is not None and self._is_unread(output)
        return unread, self._is_detached(output), -order.index(output)

    def _depends(self, output: Path, path: Path) -> bool:
        """Tell whether a value with a scale is computed from what it was."""
        before = _inside(self._call.given, path)
        tensors = structures.tensors(structures.at(self._call.output, output))
        return any(
            before[key] in self._sources[node]
            for key, node in _inside(self._call.returned, output).items()
            if _scaled(tensors[key])
        )

    def _mixes(self, output: Path, path: Path) -> bool:
        """Tell whether inputs other than an argument take part in an output."""
        others = {node for other, node in self._call.given.items() if not _related(path, other)}
        nodes = _inside(self._call.returned, output).values()
        return any(self._sources[node] & others for node in nodes)

    def name_of(self, handover: Handover) -> str:
        """Return an argument as the model calls it."""
        path = handover.argument
        if len(path) == 2:  # noqa: PLR2004 - an argument itself, that may have been left out
            return self._parameter(path)
        argument = structures.at(self._call.arguments, path[:2])
        return self._parameter(path) + structures.shown(argument, path[2:])

    def _parameter(self, path: Path) -> str:
        kind, key, *_ = path
        names = list(self._parameters)
        if kind == 1:
            return str(key)
        return names[key] if key < len(names) else f"args[{key}]"

    def _left_out(self) -> list[Path]:
        """Return the paths of the arguments whose default None was left as it is."""
        given, named = self._call.arguments
        empty: list[Path] = []
        for position, (name, parameter) in enumerate(self._parameters.items()):
            value = given[position] if position < len(given) else named.get(name)
            if parameter.default is None and value is None:
                empty.append((0, position) if position < len(given) else (1, name))
        return empty


def handed_over(
    handovers: tuple[Handover, ...], output: Any, arguments: tuple[Any, Any]
) -> tuple[Any, Any]:
    """Return the arguments of the next call: what the last one returned, in its places.

    Raises:
        KeyError: The output has another structure this time.
    """
    new = {handover.argument: structures.at(output, handover.output) for handover in handovers}
    given, named = structures.mapped(arguments, new.get)
    left_out = {path[1]: value for path, value in new.items() if path[0] == 1}
    return given, {**left_out, **named}


def confirmed(handovers: tuple[Handover, ...], calls: list[ModelCall], trace: Trace) -> bool:
    """Tell whether what is handed over has the same form every time and comes of what it was."""
    for handover in handovers:
        values = [structures.at(call.output, handover.output) for call in calls]
        if not all(_same_form(first, second) for first, second in pairwise(values)):
            return False
        nodes = [_inside(call.returned, handover.output) for call in calls]
        for before, after in pairwise(nodes):
            sources = _sources(trace, set(before.values()))
            if not any(sources[node] for node in after.values()):
                return False
    return True


def _parameters(forward: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        found = inspect.signature(forward).parameters
    except (TypeError, ValueError):
        return {}
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: parameter for name, parameter in found.items() if parameter.kind not in kinds}


def _same_form(value: Any, other: Any) -> bool:
    """Tell whether two values are of one type and hold the same tensors in the same places."""
    if type(value) is not type(other):
        return False
    mine, theirs = structures.tensors(value), structures.tensors(other)
    if not _scaled(value) or mine.keys() != theirs.keys():
        return False
    return all(
        tensor.shape == theirs[path].shape and tensor.dtype == theirs[path].dtype
        for path, tensor in mine.items()
    )


def _scaled(value: Any) -> bool:
    """Tell whether a value holds a tensor with a scale, more than a single number."""
    return any(t.is_floating_point() and t.dim() for t in structures.tensors(value).values())


def _inside(nodes: Mapping[Path, fx.Node], path: Path) -> dict[Path, fx.Node]:
    """Return the nodes of the part at the end of a path, by their paths from there."""
    count = len(path)
    return {key[count:]: node for key, node in nodes.items() if key[:count] == path}


def _related(path: Path, other: Path) -> bool:
    """Tell whether one path leads through the other."""
    length = min(len(path), len(other))
    return path[:length] == other[:length]


def _sources(trace: Trace, chosen: set[fx.Node]) -> dict[fx.Node, frozenset[fx.Node]]:
    """Return for every node which of some nodes it is computed from."""
    found: dict[fx.Node, frozenset[fx.Node]] = {}
    for node in trace.graph.nodes:
        above: frozenset[fx.Node] = frozenset().union(*(found[n] for n in trace.sources(node)))
        found[node] = above | {node} if node in chosen else above
    return found
