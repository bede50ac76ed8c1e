"""Build captured programs by hand: operators with their places in the code, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from scaleaudit.domain.graph import (
    Argument,
    Frame,
    Location,
    ModuleCall,
    Node,
    NodeKind,
    OpGraph,
    Ref,
    TensorMeta,
    verify,
)
from scaleaudit.domain.loops import Loop
from scaleaudit.loops.finder import find_loops

WIDTH = 8
STATE = (2, WIDTH)
MATRIX = (WIDTH, WIDTH)
FORWARD = 1
"""Identity of the running forward, the outermost frame of every operator."""

Modules = tuple[tuple[str, int], ...]


class Program:
    """A program under construction."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._running: Iterator[int] = count(FORWARD + 1)

    def input(self, *shape: int, dtype: str = "float32") -> Ref:
        return self._add(Node(self.next, NodeKind.INPUT, "x", outputs=(TensorMeta(shape, dtype),)))

    def weight(self, *shape: int, identity: int | None = None) -> Ref:
        """Add a parameter; equal identities are the same tensor reached by another name."""
        node = Node(
            self.next,
            NodeKind.PARAMETER,
            f"w{self.next}",
            outputs=(TensorMeta(shape, "float32"),),
            weight=1000 + self.next if identity is None else identity,
        )
        return self._add(node)

    def call(
        self,
        op: str,
        *operands: Argument,
        site: str = "",
        offset: int = 0,
        inside: int | None = None,
        modules: Modules = (),
        shape: tuple[int, ...] = STATE,
        dtype: str = "float32",
        name: str = "",
        grad: bool = True,
    ) -> Ref:
        """Add an operator.

        Args:
            site: Its place in the code of the innermost module; its own by default.
            offset: The instruction of forward under which it ran.
            inside: Identity of the running call that forward made, where it made one.
            name: The local variable that held the result.
        """
        running = [(FORWARD, offset)] + ([(inside, 0)] if inside is not None else [])
        node = Node(
            self.next,
            NodeKind.CALL,
            op,
            arguments=tuple((f"a{i}", operand) for i, operand in enumerate(operands)),
            outputs=(TensorMeta(shape, dtype),),
            frames=(Frame(Location("model.py", 100 + offset), "forward", FORWARD),),
            site=site or f"place {self.next}",
            modules=tuple(ModuleCall(path, identity, 0) for path, identity in modules),
            turn_frames=tuple(running),
            grad=grad,
            names=(("forward", name),) if name else (),
        )
        return self._add(node)

    def running(self) -> int:
        """Return the identity of a new running call."""
        return next(self._running)

    def graph(self, loss: Ref | None = None) -> OpGraph:
        """Finish the program; the loss is the mean of the last value by default."""
        if loss is None:
            last = Ref(len(self.nodes) - 1)
            loss = self.call("aten.mean.default", last, offset=999, shape=())
        graph = OpGraph(tuple(self.nodes), loss)
        verify(graph)
        return graph

    @property
    def next(self) -> int:
        return len(self.nodes)

    def _add(self, node: Node) -> Ref:
        self.nodes.append(node)
        return Ref(node.id)


def block(
    program: Program,
    h: Ref,
    w: Ref,
    *,
    offset: int = 10,
    modules: Modules = (("block", 1),),
    name: str = "",
    grad: bool = True,
) -> Ref:
    """h + h @ w, as one call of a block module."""
    inside = program.running()
    u = program.call(
        "aten.mm.default", h, w,
        site="block.mm", offset=offset, inside=inside, modules=modules, grad=grad,
    )  # fmt: skip
    return program.call(
        "aten.add.Tensor", h, u,
        site="block.add", offset=offset, inside=inside, modules=modules, name=name, grad=grad,
    )  # fmt: skip


def norm(program: Program, h: Ref, gain: Ref, *, offset: int) -> Ref:
    """h * gain, as one call of a module: the operator matters little here."""
    return program.call(
        "aten.mul.Tensor", h, gain,
        site="norm.mul", offset=offset, inside=program.running(), modules=(("norm", 2),),
    )  # fmt: skip


def loops_of(program: Program, loss: Ref | None = None) -> tuple[Loop, ...]:
    return find_loops(program.graph(loss)).loops


def only_loop(program: Program, loss: Ref | None = None) -> Loop:
    (loop,) = loops_of(program, loss)
    return loop
