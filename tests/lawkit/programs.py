"""Build a program operator by operator, on real tensors and as the graph that the audit reads."""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from scaleaudit.capture.schemas import op_info
from scaleaudit.capture.trace import dtype_name
from scaleaudit.capture.writes import resolve, write_view
from scaleaudit.domain.graph import Argument, Node, NodeKind, OpGraph, Ref, TensorMeta

# Rounding that every operator is given in the second run, to see what rounding can do.
JITTER = 4e-16
# Powers of two, so that scaling itself rounds nothing; small ones for exponentials.
SCALES = (1.0, 4.0, 16.0, 2.0**7, 2.0**14, 2.0**20, 2.0**27)
BASE_SHAPE = (2, 5, 6)


def _handed_on(value: torch.Tensor, *_: Any) -> torch.Tensor:
    """What a custom autograd function returns is computed before it is named."""
    return value


# Operators of capture's own: how they run, and the names of their arguments.
OURS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "scaleaudit.write_view": (write_view, ("base", "value", "views")),
    "scaleaudit.custom_gradient": (
        _handed_on,
        ("value", "forward", "stopped", "straight", "added", "across", "own", "hidden"),
    ),
    "scaleaudit.unseen_write": (_handed_on, ("value", "inputs")),
    "triton.kernel": (_handed_on, ("value", "inputs")),
}


@dataclass(frozen=True, slots=True)
class Call:
    """How a node is computed again."""

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    grad: bool
    exact: bool
    draws: bool = False


@dataclass(frozen=True, slots=True)
class Samples:
    """The elements of one value at every scale, and how much of them is rounding."""

    values: np.ndarray
    noise: np.ndarray


class Program:
    """A program under construction: real values at scale 1, and nodes beside them.

    Attributes:
        random: Draws the arguments of operators.
        states: The values that are scaled.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.nodes: list[Node] = []
        self.states: list[Ref] = []
        self._generator = torch.Generator().manual_seed(seed)
        self._leaves: dict[int, torch.Tensor] = {}
        self._calls: dict[int, Call] = {}
        self._rows: list[tuple[Any, ...]] = []
        self.grad = True

    # Leaves.

    def normal(self, *shape: int) -> torch.Tensor:
        """Draw generic numbers, none of them close to 0 or to a half."""
        drawn = torch.randn(shape, generator=self._generator, dtype=torch.float64)
        return drawn + 0.1 * torch.where(drawn < 0, -1.0, 1.0).to(drawn.dtype)

    def state(self, *shape: int) -> Ref:
        """Add a carried state: what is scaled."""
        ref = self._leaf(NodeKind.INPUT, self.normal(*shape))
        self.states.append(ref)
        return ref

    def parameter(self, *shape: int) -> Ref:
        """Add a learned value: any real number."""
        return self._leaf(NodeKind.PARAMETER, self.normal(*shape))

    def constant(self, value: torch.Tensor, *, known: bool = True) -> Ref:
        """Add a constant of the program, its range known as capture would know it."""
        return self._leaf(NodeKind.CONSTANT, value, known=known)

    def _leaf(self, kind: NodeKind, value: torch.Tensor, *, known: bool = False) -> Ref:
        low = float(value.min()) if known and value.numel() else None
        high = float(value.max()) if known and value.numel() else None
        meta = TensorMeta(tuple(value.shape), dtype_name(value.dtype), low, high)
        node = Node(len(self.nodes), kind, f"leaf{len(self.nodes)}", outputs=(meta,))
        self._leaves[node.id] = value
        return self._add(node, (value,))

    def _add(self, node: Node, row: tuple[Any, ...]) -> Ref:
        self.nodes.append(node)
        self._rows.append(row)
        return Ref(node.id)

    # Operators.

    def __call__(self, op: str, *args: Any, **kwargs: Any) -> Ref:
        """Run an operator, named in full, and return its first output."""
        if op in OURS:
            function: Any = OURS[op][0]
            arguments = tuple(zip(OURS[op][1], map(_argument, args), strict=True))
            exact = True
        else:
            function = resolve(op)
            info = op_info(function)
            arguments = _schema(info, args, kwargs)
            exact = info.views
        draws = op not in OURS and op_info(function).random
        call = Call(function, args, kwargs, self.grad, exact, draws)
        row = self._execute(call, self._rows)
        node = Node(
            id=len(self.nodes),
            kind=NodeKind.CALL,
            op=op,
            arguments=arguments,
            outputs=tuple(_meta(value) for value in row),
            grad=self.grad,
        )
        self._calls[node.id] = call
        return self._add(node, row)

    def outputs(self, ref: Ref) -> list[Ref]:
        """Return every output of the node."""
        return [Ref(ref.node, i) for i in range(len(self.nodes[ref.node].outputs))]

    def shape(self, ref: Ref) -> tuple[int, ...]:
        """Return the shape of a value."""
        return self.nodes[ref.node].outputs[ref.output].shape

    def dtype(self, ref: Ref) -> str:
        """Return the dtype of a value."""
        return self.nodes[ref.node].outputs[ref.output].dtype

    def value(self, ref: Ref) -> Any:
        """Return a value at scale 1."""
        return self._rows[ref.node][ref.output]

    def _execute(self, call: Call, rows: list[tuple[Any, ...]]) -> tuple[Any, ...]:
        args = _filled(call.args, rows)
        kwargs = {key: _filled(value, rows) for key, value in call.kwargs.items()}
        if call.draws:
            torch.manual_seed(0)
        with nullcontext() if call.grad else torch.no_grad():
            result = call.function(*args, **kwargs)
        if isinstance(result, (tuple, list)):
            return tuple(result)
        return (result,)

    # Measurement.

    def graph(self) -> OpGraph:
        """Return what was built so far."""
        return OpGraph(tuple(self.nodes), None)

    def run(
        self, factor: float, *, jitter: bool = False, grad: bool = False
    ) -> list[tuple[Any, ...]]:
        """Compute everything again with the states scaled."""
        rows: list[tuple[Any, ...]] = []
        generator = torch.Generator().manual_seed(1)
        with nullcontext() if grad else torch.no_grad():
            for node in self.nodes:
                if node.id in self._leaves:
                    value = self._leaves[node.id]
                    if Ref(node.id) in self.states:
                        value = (value * factor).requires_grad_(grad)
                    rows.append((value,))
                    continue
                call = self._calls[node.id]
                row = self._execute(call, rows)
                if jitter and not call.exact:
                    row = tuple(_jittered(value, generator) for value in row)
                rows.append(row)
        return rows

    def samples(self, wanted: tuple[Ref, ...] = ()) -> dict[Ref, Samples]:
        """Measure values at every scale, all of them where none are named."""
        plain = [self.run(factor) for factor in SCALES]
        moved = [self.run(factor, jitter=True) for factor in SCALES]
        found: dict[Ref, Samples] = {}
        for node in self.nodes:
            for output in range(len(node.outputs)):
                if wanted and Ref(node.id, output) not in wanted:
                    continue
                a = np.stack([_numbers(rows[node.id][output]) for rows in plain])
                b = np.stack([_numbers(rows[node.id][output]) for rows in moved])
                with np.errstate(invalid="ignore"):
                    found[Ref(node.id, output)] = Samples(a, np.abs(a - b))
        return found


def _jittered(value: Any, generator: torch.Generator) -> Any:
    if not isinstance(value, torch.Tensor) or value.dtype != torch.float64:
        return value
    drawn = torch.rand(value.shape, generator=generator, dtype=value.dtype)
    # Downwards, so that what is at most 1 stays so; whole numbers are rarely the rounded ones.
    whole = (value == value.round()) & (value.abs() < 1e6)
    return torch.where(whole, value, value * (1 - JITTER * drawn))


def _numbers(value: Any) -> np.ndarray:
    tensor = value if isinstance(value, torch.Tensor) else torch.tensor(value)
    if tensor._is_zerotensor():
        tensor = torch.zeros(tensor.shape, dtype=tensor.dtype)
    tensor = tensor.resolve_conj().resolve_neg()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.to(torch.float64).reshape(-1).numpy()


def _meta(value: Any) -> TensorMeta:
    if isinstance(value, torch.Tensor):
        return TensorMeta(tuple(value.shape), dtype_name(value.dtype))
    return TensorMeta((), "float64" if isinstance(value, float) else "int64")


def _filled(value: Any, rows: list[tuple[Any, ...]]) -> Any:
    if isinstance(value, Ref):
        return rows[value.node][value.output]
    if isinstance(value, (tuple, list)):
        return type(value)(_filled(item, rows) for item in value)
    return value


def _schema(
    info: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[str, Argument], ...]:
    found: list[tuple[str, Argument]] = []
    for position, argument in enumerate(info.arguments):
        value = args[position] if position < len(args) else argument.default
        found.append((argument.name, _argument(kwargs.get(argument.name, value))))
    return tuple(found)


def _argument(value: Any) -> Argument:
    if isinstance(value, (tuple, list)):
        return tuple(_argument(item) for item in value)
    if isinstance(value, torch.dtype):
        return dtype_name(value)
    if value is None or isinstance(value, (Ref, bool, int, float, complex, str)):
        return value
    return str(value)
