"""The captured program as something to train: real weights, any device, interventions at boundaries.

What runs is the graph that was audited, not the user's modules, since a state is often no module's
output. The modules are never touched: their parameters are copied where a run begins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx

from scaleaudit.domain.executable import Executable
from scaleaudit.domain.graph import NodeKind, Ref, TensorMeta
from scaleaudit.domain.loops import LoopNest
from scaleaudit.errors import ProbeError
from scaleaudit.probe.portable import in_float64, moved

Value = Any
Env = dict[fx.Node, Value]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A value that crosses from one turn of a loop to the next, or leaves the last one.

    Attributes:
        loop: Position of the loop in its nest.
        state: Position of the state in its loop.
        turn: The turn that made it, from 1.
    """

    loop: int
    state: int
    turn: int


# Called with what crosses, returns what is to cross instead.
Edit = Callable[[Crossing, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the program.

    Attributes:
        grad: Whether autograd records it.
        crossing: The boundary that its value is at, if any.
        done: The values that nothing after it reads.
    """

    node: fx.Node
    target: Callable[..., Value]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    grad: bool
    crossing: Crossing | None
    done: tuple[fx.Node, ...]


class Program:
    """A captured program with its boundaries, ready to run.

    Attributes:
        parameters: The names of what is trained, as in the model.
        inputs: The names of what batches fill in.
        loss: The node that holds the objective; of one that is only measured its last boundary.
        crossings: Every boundary of every loop.
        steps: The calls that these need, in the order in which they run.
    """

    def __init__(
        self,
        captured: Executable,
        nest: LoopNest,
        device: torch.device,
        *,
        wide: bool = False,
        objective: bool = True,
    ) -> None:
        """Prepare a program for a device.

        Args:
            wide: Whether it runs in float64, whatever it was recorded in.
            objective: Whether the loss is computed, not only what crosses the boundaries.

        Raises:
            ProbeError: It has no loss, no parameter to train, or no loop.
        """
        self._captured, self.nest, self.device = captured, nest, device
        self._wide = wide
        loss = captured.graph.loss
        if loss is None and objective:
            raise ProbeError("the target has no loss to train on", hint=_NO_LOSS)
        if not nest.loops:
            raise ProbeError("no weight-tied loop was found, so there is no state to measure")
        self.crossings = {
            self.node(ref): Crossing(i, j, turn)
            for i, loop in enumerate(nest.loops)
            for j, state in enumerate(loop.states)
            for turn, ref in enumerate(state.boundary, start=1)
        }
        wanted = loss if loss is not None and objective else _last_boundary(nest)
        self.loss = self.node(wanted)
        self.steps = self._prepared()
        read = {used for step in self.steps for used in step.node.all_input_nodes}
        self._leaves = {
            node: leaf
            for leaf in captured.leaves
            for node in [captured.node_of[leaf.node]]
            if objective or node in read
        }
        self.parameters = self._named(NodeKind.PARAMETER)
        self.inputs = self._named(NodeKind.INPUT)

    def with_calls(self, calls: Mapping[fx.Node, Callable[..., Value]]) -> Program:
        """Return the program with other functions called at some nodes, of the same arguments."""
        other = copy(self)
        other.steps = tuple(
            replace(step, target=calls[step.node]) if step.node in calls else step
            for step in self.steps
        )
        return other

    def node(self, ref: Ref) -> fx.Node:
        """Return the node that holds a value."""
        found: fx.Node = self._captured.picks.get(ref) or self._captured.node_of[ref.node]
        return found

    def call(self, node: int) -> fx.Node:
        """Return the call that a node of the graph stands for, whatever it returns."""
        found: fx.Node = self._captured.node_of[node]
        return found

    def meta(self, ref: Ref) -> TensorMeta:
        """Return shape and type of a value as it was recorded."""
        return self._captured.graph.meta(ref)

    def crossing(self, loop: int, state: int, turn: int) -> Crossing:
        """Return what a boundary is called; values that are several boundaries have one name."""
        return self.crossings[self.node(self.nest.loops[loop].states[state].boundary[turn - 1])]

    def crossings_of(self, loop: int, state: int) -> frozenset[Crossing]:
        """Return all boundaries of a state."""
        turns = range(1, len(self.nest.loops[loop].states[state].boundary) + 1)
        return frozenset(self.crossing(loop, state, turn) for turn in turns)

    def reads(self, loop: int, state: int) -> bool:
        """Tell whether the loss reads a state other than through boundaries."""
        mine = self.crossings_of(loop, state)
        reached = {node for node, at in self.crossings.items() if at in mine}
        for step in self.steps:
            if step.crossing is None and not reached.isdisjoint(step.node.all_input_nodes):
                reached.add(step.node)
        return self.loss in reached

    def refuse_foreign(self, *, trained: bool = True) -> None:
        """Complain of what is seen in the graph and does not do there what the model does.

        Args:
            trained: Whether backward counts as well.

        Raises:
            ProbeError: There is some, so that training the graph would not be training the model.
        """
        foreign = _FOREIGN | _FOREIGN_BACKWARD if trained else _FOREIGN
        names = {self._captured.node_of[node.id]: node for node in self._captured.graph.nodes}
        for step in self.steps:
            node = names.get(step.node)
            if node is None or node.base_op.startswith("aten.") or node.op.startswith("aten."):
                continue
            family, _, name = node.op.removeprefix("scaleaudit.").partition(".")
            if reason := foreign.get(family):
                where = f"{node.location.path}:{node.location.line}" if node.location else ""
                raise ProbeError(reason.format(name=name or family), where=where, hint=_NO_GRAPH)

    def run(
        self,
        feed: Mapping[str, Tensor],
        edit: Edit | None = None,
        keep: Collection[fx.Node] = (),
    ) -> tuple[Tensor, Env]:
        """Run the program.

        Args:
            feed: Parameters, buffers and inputs by name.
            edit: What becomes of the values at the boundaries.
            keep: Nodes whose values are wanted.

        Returns:
            The loss, and the wanted values.
        """
        env = self.start(feed)
        kept = self.advance(env, self.steps, edit, {*keep, self.loss})
        return kept[self.loss], kept

    def generators(self) -> tuple[torch.Generator, ...]:
        """Return the generators that calls are given."""
        given = (value for step in self.steps for value in (*step.args, *step.kwargs.values()))
        return tuple(value for value in given if isinstance(value, torch.Generator))

    def start(
        self, feed: Mapping[str, Tensor], constants: Mapping[str, Tensor] | None = None
    ) -> Env:
        """Return the values of all leaves.

        Args:
            constants: By name those that are no longer what they were, or were not kept.
        """
        env: Env = {}
        for node, leaf in self._leaves.items():
            is_constant = leaf.kind is NodeKind.CONSTANT
            value = (constants or {}).get(leaf.name) if is_constant else feed.get(leaf.name)
            value = leaf.value if value is None and is_constant else value
            if value is None:
                raise ProbeError(f"{leaf.kind.value} {leaf.name} of the program has no value")
            value = value.to(self.device)
            env[node] = in_float64(value) if self._wide else value
        return env

    def advance(
        self, env: Env, steps: Sequence[Step], edit: Edit | None, keep: Collection[fx.Node]
    ) -> Env:
        """Run steps on the values so far, which are let go of as they are used up."""
        for step in steps:
            made = _float64_made() if self._wide else nullcontext()
            with nullcontext() if step.grad else torch.no_grad(), made:
                value = step.target(*_filled(step.args, env), **_filled(step.kwargs, env))
            if step.crossing is not None and edit is not None:
                value = edit(step.crossing, value)
            env[step.node] = value
            for used in step.done:
                if used not in keep:
                    env.pop(used, None)
        return env

    def _named(self, kind: NodeKind) -> tuple[str, ...]:
        return tuple(leaf.name for leaf in self._leaves.values() if leaf.kind is kind)

    def _prepared(self) -> tuple[Step, ...]:
        """Order the calls, with what each lets go of behind it."""
        graph = self._captured.graph
        grad = {
            self._captured.node_of[node.id]: node.grad
            for node in graph.nodes
            if node.kind is NodeKind.CALL
        }
        order = [node for node in self._captured.fx_graph.nodes if node.op == "call_function"]
        needed = self._needed(order)
        last: dict[fx.Node, fx.Node] = {}
        for node in order:
            if node in needed:
                last.update(dict.fromkeys(node.all_input_nodes, node))
        done: dict[fx.Node, list[fx.Node]] = {}
        for used, user in last.items():
            done.setdefault(user, []).append(used)
        return tuple(
            Step(
                node,
                *moved(node.target, node.args, node.kwargs, self.device, wide=self._wide),
                grad.get(node, True),
                self.crossings.get(node),
                tuple(done.get(node, ())),
            )
            for node in order
            if node in needed
        )

    def _needed(self, order: list[fx.Node]) -> set[fx.Node]:
        """What the loss and the boundaries are computed from."""
        needed = {self.loss, *self.crossings}
        for node in reversed(order):
            if node in needed:
                needed.update(node.all_input_nodes)
        return needed


# What stands in the graph for something that only the user's code does, by the operator's family.
_FOREIGN_BACKWARD = {
    "custom_gradient": "the backward of the autograd function {name} is not that of its forward, "
    "and a graph of operators cannot train with it",
}
_FOREIGN = {
    "unseen_write": "memory is written out of torch's sight, which a graph cannot repeat",
    "triton": "the kernel {name} is launched out of torch's sight, which a graph cannot repeat",
}
_NO_GRAPH = "The probe trains the captured graph. Give it the plain PyTorch version of this part."
_NO_LOSS = 'Give one in scaleaudit_target(): {"loss": ..., "loss_args": (...)}.'


def _last_boundary(nest: LoopNest) -> Ref:
    return nest.loops[-1].states[-1].boundary[-1]


@contextmanager
def _float64_made() -> Iterator[None]:
    """Let what is made without a type, as by ``torch.zeros``, be in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def constantly(value: Value) -> Callable[..., Value]:
    """Return a function that gives a value whatever it is called with."""
    return lambda *_, **__: value


def _filled(argument: Any, env: Mapping[fx.Node, Value]) -> Any:
    match argument:
        case fx.Node():
            return env[argument]
        case tuple():
            return tuple(_filled(item, env) for item in argument)
        case list():
            return [_filled(item, env) for item in argument]
        case dict():
            return {key: _filled(value, env) for key, value in argument.items()}
        case _:
            return argument
