"""What a recording leaves behind: an executable graph and a table beside it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import fx

from scaleaudit.capture._torch_private import OpOverload
from scaleaudit.capture.places import Place
from scaleaudit.domain.graph import READ_BY_SHAPE, NodeKind, Note, TensorMeta

# A local variable: how many frames further out there are, the function, the variable.
Name: TypeAlias = tuple[int, str, str]


@dataclass(slots=True)
class Origin:
    """Where a graph node came from, and what it yields.

    Attributes:
        kind: CALL, or which leaf it is.
        name: The name of a leaf in the model.
        weight: For parameters, what tied ones share.
        value: For leaves, the value where it is known; of parameters that are none of the model's the
            tensor itself.
        silent: Whether it is no doing of the user's, and may be dropped where nothing reads it.
        names: Local variables that held the value.
    """

    place: Place
    site: str
    grad: bool
    outputs: tuple[TensorMeta, ...]
    kind: NodeKind = NodeKind.CALL
    name: str = ""
    weight: int | None = None
    value: torch.Tensor | None = None
    silent: bool = False
    names: list[Name] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Template:
    """The recorded call of a module that later ones repeat.

    Attributes:
        nodes: Its operators, as a range of ``Trace.calls``.
        given: What its tensor arguments held.
        outputs: What the tensors held that it made and returned.
        metas: What these are.
        place: Where it was called from.
        counts: How often every module had been called before.
        called: How often it called each.
        names: For every argument the local variables inside of the call that held it.
        made_names: The same for every output.
        looks: How often every argument's variables were looked up.
    """

    nodes: tuple[int, int]
    given: tuple[fx.Node, ...]
    outputs: tuple[fx.Node, ...]
    metas: tuple[TensorMeta, ...]
    place: Place
    counts: dict[int, int]
    called: dict[int, int]
    names: tuple[list[Name], ...]
    made_names: tuple[list[Name], ...]
    looks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Swap:
    """What a call of a module built like another reads in the place of what that one's read.

    Attributes:
        nodes: From the weights of the one to those of the other.
        modules: From identities of modules to identities and paths.
    """

    nodes: dict[fx.Node, fx.Node] = field(default_factory=dict)
    modules: dict[int, tuple[int, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Recall:
    """A call that repeats a recorded one.

    Attributes:
        given: What its tensor arguments held.
        shares_casts: Whether autocast kept the casts of parameters that the recorded call made.
        swap: What differs where the recorded call was that of a module built alike.
        counts: How often every module had been called before.
        names: For every output the local variables that held it, as in ``Origin``.
    """

    template: Template
    given: tuple[fx.Node, ...]
    swap: Swap
    shares_casts: bool
    counts: dict[int, int]
    names: tuple[list[Name], ...]

    @property
    def replaced(self) -> dict[fx.Node, fx.Node]:
        """What stands in this call for what the recorded one was given and read."""
        return {**self.swap.nodes, **dict(zip(self.template.given, self.given, strict=True))}


@dataclass(frozen=True, slots=True)
class Repeat:
    """Nodes from ``first`` to ``last`` that stand for as many runs of themselves in a row."""

    first: fx.Node
    last: fx.Node
    times: int


@dataclass(slots=True)
class Trace:
    """A recorded program.

    Attributes:
        items: For a node that picks one output of a call: the call and the output's number.
        notes: In the order in which things were noticed.
        serials: Identities for running frames.
        repeats: What stands for more turns of a loop than one.
        calls: All nodes but the leaves, in order.
        recalls: The nodes that stand for whole calls.
    """

    graph: fx.Graph
    serials: Iterator[int]
    origins: dict[fx.Node, Origin] = field(default_factory=dict)
    items: dict[fx.Node, tuple[fx.Node, int]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    calls: list[fx.Node] = field(default_factory=list)
    recalls: dict[fx.Node, Recall] = field(default_factory=dict)
    repeats: list[Repeat] = field(default_factory=list)
    _feeds: dict[int, dict[fx.Node, frozenset[fx.Node]]] = field(default_factory=dict)
    _outside: dict[int, list[fx.Node]] = field(default_factory=dict)

    def note(self, note: Note) -> None:
        """Add a note, once."""
        if note not in self.notes:
            self.notes.append(note)

    def sources(self, node: fx.Node) -> Collection[fx.Node]:
        """Return what a value is computed from directly; of a recalled call, what it takes of it.

        What gives no more than its shape is left out.
        """
        call, output = self.items.get(node, (node, 0))
        if _operator(call) in READ_BY_SHAPE:
            return ()
        recall = self.recalls.get(call)
        if recall is None:
            return node.all_input_nodes
        template = recall.template
        if call is node:
            swapped = (recall.swap.nodes.get(n, n) for n in self.outside(template))
            return [*recall.given, *swapped]
        own = recall.replaced
        return {own.get(source, source) for source in self._inflow(template)[output]}

    def ancestors(self, node: fx.Node) -> set[fx.Node]:
        """Return a value and all that it is computed from."""
        seen, pending = {node}, [node]
        while pending:
            fresh = set(self.sources(pending.pop())) - seen
            seen |= fresh
            pending.extend(fresh)
        return seen

    def names_of(self, node: fx.Node) -> list[Name]:
        """Return the names of a value, to be added to; those of later outputs are not kept."""
        call, output = self.items.get(node, (node, 0))
        recall = self.recalls.get(call)
        if recall is not None:
            return recall.names[output]
        return [] if output else self.origins[call].names

    def outside(self, template: Template) -> list[fx.Node]:
        """Return what a recorded call reads besides its arguments and the leaves, in order."""
        start, stop = template.nodes
        if start not in self._outside:
            inside = self.calls[start:stop]
            known = {*inside, *template.given}
            read = dict.fromkeys(n for node in inside for n in self.sources(node))
            leaves = {n for n in read if n in self.origins and self.is_leaf(n)}
            self._outside[start] = [n for n in read if n not in known and n not in leaves]
        return self._outside[start]

    def is_leaf(self, node: fx.Node) -> bool:
        """Tell whether a node is an input, a parameter, a constant."""
        return node in self.origins and self.origins[node].kind is not NodeKind.CALL

    @property
    def size(self) -> int:
        """How many operators ran, recalled ones included."""
        skipped = (recall.template.nodes for recall in self.recalls.values())
        return len(self.calls) + sum(stop - start for start, stop in skipped)

    def _inflow(self, template: Template) -> list[frozenset[fx.Node]]:
        """Return for every output of a recorded call what it takes from outside."""
        start, stop = template.nodes
        found = self._feeds.setdefault(start, {})
        if not found:
            for node in self.calls[start:stop]:
                above = (found.get(source, {source}) for source in self.sources(node))
                found[node] = frozenset().union(*above)
        return [found.get(node, frozenset({node})) for node in template.outputs]

    def origin(self, node: fx.Node) -> Origin:
        """Return where a value came from, picked outputs included."""
        return self.origins[self.items.get(node, (node, 0))[0]]


def _operator(node: fx.Node) -> str:
    """Return the operator of a call without its overload, as ``aten.add``."""
    target = node.target
    return str(target.overloadpacket) if isinstance(target, OpOverload) else ""


def dtype_name(dtype: torch.dtype) -> str:
    """Return 'float32' for torch.float32."""
    return str(dtype).removeprefix("torch.")


def tensor_meta(tensor: torch.Tensor, value: torch.Tensor | None = None) -> TensorMeta:
    """Describe a tensor, with the range of its value where that is known."""
    low, high = bounds(value)
    return TensorMeta(tuple(int(n) for n in tensor.shape), dtype_name(tensor.dtype), low, high)


def number_meta(value: object) -> TensorMeta:
    """Describe a Python number as a tensor without dimensions."""
    match value:
        case bool():
            return TensorMeta((), "bool")
        case int():
            return TensorMeta((), "int64")
        case complex():
            return TensorMeta((), "complex128")
        case _:
            return TensorMeta((), "float64")


def bounds(value: torch.Tensor | None) -> tuple[float | None, float | None]:
    """Return the smallest and the largest element, None where they say nothing."""
    if value is None or not value.numel() or value.is_complex():
        return None, None
    plain: Any = value.detach().to(torch.float64)
    low, high = float(plain.min()), float(plain.max())
    return (None, None) if math.isnan(low) or math.isnan(high) else (low, high)
