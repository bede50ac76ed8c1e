"""The captured program: a torch-free graph of ATen operators with its source lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, cached_property
from itertools import groupby
from typing import TypeAlias

from scaleaudit.domain.laws import DeclaredLaw


@dataclass(frozen=True, slots=True)
class Location:
    """A span of a user's source file; lines count from 1, columns from 1 (0: not known)."""

    path: str
    line: int
    column: int = 0
    end_line: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Frame:
    """One user frame on the way to an operator: where it stood, and in which function.

    Attributes:
        running: Identity of the running frame, as in ``Node.turn_frames``.
    """

    location: Location
    function: str
    running: int = 0


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """A module on the call stack: its path in the model, its object, which call of it this is."""

    path: str
    identity: int
    call: int


@dataclass(frozen=True, slots=True)
class Ref:
    """One output of one node."""

    node: int
    output: int = 0


@dataclass(frozen=True, slots=True)
class TensorMeta:
    """Shape and dtype ('float32', 'int64', ...) of a value; value range where it is a constant."""

    shape: tuple[int, ...]
    dtype: str
    low: float | None = None
    high: float | None = None


# Operators that read the shape of their operand, and none of its values.
READ_BY_SHAPE = frozenset({
    "aten.zeros_like", "aten.ones_like", "aten.full_like", "aten.empty_like", "aten.rand_like",
    "aten.randn_like", "aten.randint_like", "aten.new_zeros", "aten.new_ones", "aten.new_full",
    "aten.new_empty", "aten.new_empty_strided",
})  # fmt: skip

Argument: TypeAlias = "Ref | bool | int | float | complex | str | tuple[Argument, ...] | None"


class NodeKind(Enum):
    """Where a value comes from."""

    INPUT = "input"
    PARAMETER = "parameter"
    BUFFER = "buffer"
    CONSTANT = "constant"
    CALL = "call"


@dataclass(frozen=True, slots=True)
class Node:
    """One operator call (or leaf) of the captured program.

    Attributes:
        id: Position in the graph; operands always have smaller ones.
        op: Qualified operator, as ``aten.add.Tensor``; for a leaf its name in the model.
        arguments: Every schema argument by name, defaults filled in; operands are refs.
        outputs: One entry an output; scalars read from tensors have shape ().
        frames: The user's frames, outermost first.
        site: Identity of the place that made the call, whatever turn it is: the operator, the
            (code, instruction) frames inside the innermost module's call, and the ordinal among
            the operators of that one call. Equal sites are the same code; which module object
            ran it is told by ``modules``.
        modules: The modules on the call stack, outermost first.
        turn_frames: For every Python frame on the stack below the capture, outermost first, an
            opaque identity of the running frame and the offset of its current instruction.
        grad: Whether autograd recorded the call.
        names: The local variables that held output 0 when it was next read, as
            (function, variable), outermost frame first.
        weight: For parameters, the identity of the tensor (tied parameters share it).
        operands: Every operand, in schema order, nested lists included: read off the arguments
            once, since every stage asks for them again and again.
    """

    id: int
    kind: NodeKind
    op: str
    arguments: tuple[tuple[str, Argument], ...] = ()
    outputs: tuple[TensorMeta, ...] = ()
    frames: tuple[Frame, ...] = ()
    site: str = ""
    modules: tuple[ModuleCall, ...] = ()
    turn_frames: tuple[tuple[int, int], ...] = ()
    grad: bool = True
    names: tuple[tuple[str, str], ...] = ()
    weight: int | None = None
    operands: tuple[Ref, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = tuple(ref for _, argument in self.arguments for ref in _refs(argument))
        object.__setattr__(self, "operands", found)

    @property
    def location(self) -> Location | None:
        """Where the user wrote it: the innermost user frame."""
        return self.frames[-1].location if self.frames else None

    @property
    def base_op(self) -> str:
        """The operator without its overload: ``aten.add``."""
        return _without_overload(self.op)

    def refs(self) -> Iterator[Ref]:
        """Iterate over the operands."""
        return iter(self.operands)


@cache
def _without_overload(op: str) -> str:
    return op.rsplit(".", 1)[0] if op.count(".") > 1 else op


def _refs(argument: Argument) -> Iterator[Ref]:
    if isinstance(argument, Ref):
        yield argument
    elif isinstance(argument, tuple):
        for item in argument:
            yield from _refs(item)


class NoteKind(Enum):
    """What a coverage note is about."""

    ORACLE = "oracle"
    FALLBACK = "fallback"
    LOSS = "loss"
    GRADIENT = "gradient"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Note:
    """Something about the capture that a reader of the verdict should know."""

    kind: NoteKind
    message: str
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Repeat:
    """Nodes ``first`` to ``stop`` that stand for so many runs of themselves in a row.

    Turns of a long loop that differ in nothing but their number are kept once.
    """

    first: int
    stop: int
    times: int


@dataclass(frozen=True)
class OpGraph:
    """A captured forward and loss, in execution order, functional (no operand is written to).

    Attributes:
        loss: The scalar that is trained on, where one was given or found.
        outputs: What the model returns besides, by a readable name ("logits", "output[0]").
        loss_given: Whether the user declared the loss (else it was found in the output).
        loss_name: What the loss is called in the output, where it was found there.
        notes: How the capture went.
        repeats: Nodes that stand for more turns of a loop than one.
        declared: Laws that users declare for operators of their own.
    """

    nodes: tuple[Node, ...]
    loss: Ref | None
    outputs: tuple[tuple[str, Ref], ...] = ()
    loss_given: bool = False
    notes: tuple[Note, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    loss_name: str = ""
    declared: tuple[DeclaredLaw, ...] = ()

    @cached_property
    def users(self) -> tuple[tuple[int, ...], ...]:
        """For every node, the nodes that read it, in execution order."""
        users: list[list[int]] = [[] for _ in self.nodes]
        for node in self.nodes:
            for source in dict.fromkeys(ref.node for ref in node.operands):
                users[source].append(node.id)
        return tuple(tuple(found) for found in users)

    @cached_property
    def reaches_loss(self) -> frozenset[int]:
        """The nodes that the loss is computed from."""
        return ancestors(self, () if self.loss is None else (self.loss.node,))

    @cached_property
    def reads_inputs(self) -> frozenset[int]:
        """The inputs, and all that is computed from them."""
        found: set[int] = set()
        for node in self.nodes:
            if node.kind is NodeKind.INPUT or any(ref.node in found for ref in node.operands):
                found.add(node.id)
        return frozenset(found)

    def times(self, node: int) -> int:
        """How often a node ran in a row of turns that are kept once."""
        return math.prod(r.times for r in self.repeats if r.first <= node < r.stop)

    def numbers(self, nodes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Number nodes that recur turn by turn as they did when all turns ran, from 0.

        A node that stands for several turns has the numbers of all of them.
        """
        found: list[tuple[int, ...]] = []
        count = 0
        for inside, group in groupby(nodes, key=self._repeats_at):
            turn, times = list(group), math.prod(repeat.times for repeat in inside)
            step, total = len(turn), len(turn) * times
            found.extend(tuple(range(count + i, count + total, step)) for i in range(step))
            count += total
        return tuple(found)

    def _repeats_at(self, node: int) -> tuple[Repeat, ...]:
        return tuple(r for r in self.repeats if r.first <= node < r.stop)

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    def meta(self, ref: Ref) -> TensorMeta:
        """Shape and dtype of one output."""
        return self.nodes[ref.node].outputs[ref.output]


def ancestors(graph: OpGraph, roots: tuple[int, ...]) -> frozenset[int]:
    """Return the roots and all that they are computed from."""
    seen: set[int] = set(roots)
    stack = list(roots)
    while stack:
        for ref in graph.nodes[stack.pop()].operands:
            if ref.node not in seen:
                seen.add(ref.node)
                stack.append(ref.node)
    return frozenset(seen)


def verify(graph: OpGraph) -> None:
    """Assert the invariants that every stage relies on (once, after lowering)."""
    for index, node in enumerate(graph.nodes):
        assert node.id == index, f"node {index} is numbered {node.id}"
        assert node.outputs, f"node {index} ({node.op}) has no output"
        for ref in node.operands:
            assert ref.node < index, f"node {index} ({node.op}) reads node {ref.node}"
            assert ref.output < len(graph.nodes[ref.node].outputs), f"no output {ref}"
    ends = [ref for _, ref in graph.outputs]
    if graph.loss is not None:
        ends.append(graph.loss)
    for ref in ends:
        assert ref.node < len(graph.nodes), f"no node {ref.node} for an output"
