"""A loop run for more turns than it was trained with: its last turn, again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor, fx

from scaleaudit.domain.loops import CarriedState, Loop
from scaleaudit.probe.program import Crossing, Edit, Env, Program, Step

States = tuple[Tensor, ...]
Turn = Callable[[States], States]


class Deeper:
    """The last turn of a loop as something to run by itself."""

    def __init__(self, program: Program, loop: int) -> None:
        """Take the last turn out of a program; ``possible`` tells whether there is one."""
        found = program.nest.loops[loop]
        self._program, self._loop = program, loop
        turns, strides = cycles(found)
        repeats = all(_alike(program, *pair) for pair in zip(found.states, strides, strict=True))
        self._entered = (
            [program.node(s.boundary[-1 - n]) for s, n in zip(found.states, strides, strict=True)]
            if repeats and turns > 1
            else []
        )
        self._made = [program.node(state.boundary[-1]) for state in found.states]
        self._steps = self._turn()
        if self._looks_back():
            self._steps = ()
        self.turns = turns

    @property
    def possible(self) -> bool:
        """Whether the loop has a turn that follows another, and takes what that makes alone."""
        return bool(self._steps)

    def states(
        self, feed: Mapping[str, Tensor], edit: Edit | None = None
    ) -> Iterator[tuple[Tensor, ...]]:
        """Yield the states after the last turn, and after every further one, without end."""
        states, turned = self.turn(feed, edit)
        while True:
            yield states
            states = turned(states)

    def turn(self, feed: Mapping[str, Tensor], edit: Edit | None = None) -> tuple[States, Turn]:
        """Return the states after the last turn, and a function that makes one more turn of any."""
        outside = {node for step in self._steps for node in step.node.all_input_nodes}
        with torch.no_grad():
            _, env = self._program.run(feed, edit, keep={*outside, *self._made})

        def turned(states: States) -> States:
            entered: Env = {**env, **dict(zip(self._entered, states, strict=True))}
            with torch.no_grad():
                after = self._program.advance(entered, self._steps, edit, set(self._made))
            return tuple(after[node] for node in self._made)

        return tuple(env[node] for node in self._made), turned

    def at(
        self, turns: int, feed: Mapping[str, Tensor], edit: Edit | None = None
    ) -> tuple[Tensor, ...]:
        """Return the states after so many turns, at least those of the program."""
        return next(islice(self.states(feed, edit), turns - self.turns, None))

    def loss(self, states: Sequence[Tensor], feed: Mapping[str, Tensor]) -> float:
        """Return the objective where every readout and penalty is given these states."""

        def edit(crossing: Crossing, value: Tensor) -> Tensor:
            return states[crossing.state] if crossing.loop == self._loop else value

        with torch.no_grad():
            return float(self._program.run(feed, edit)[0])

    def _looks_back(self) -> bool:
        """Whether the last turn reads more of earlier ones than the states that enter it."""
        crossings = self._program.crossings.items()
        mine = {node for node, crossing in crossings if crossing.loop == self._loop}
        inside = {step.node for step in self._steps}
        reached = mine - inside - set(self._entered)
        for step in self._program.steps:
            if step.node in inside or step.node in self._entered:
                continue
            if not reached.isdisjoint(step.node.all_input_nodes):
                reached.add(step.node)
        return any(not reached.isdisjoint(step.node.all_input_nodes) for step in self._steps)

    def _turn(self) -> tuple[Step, ...]:
        """The steps that lead from the states before the last turn to those after it."""
        reached: set[fx.Node] = set(self._entered)
        between = []
        for step in self._program.steps:
            if not reached.isdisjoint(step.node.all_input_nodes):
                reached.add(step.node)
                between.append(step)
        needed = set(self._made)
        kept = []
        for step in reversed(between):
            if step.node in needed and step.node not in self._entered:
                needed.update(step.node.all_input_nodes)
                kept.append(step)
        return tuple(reversed(kept)) if self._entered else ()


def cycles(loop: Loop) -> tuple[int, tuple[int, ...]]:
    """Return how often all states of a loop have crossed, and the crossings of each that takes.

    A fast state inside a slow one crosses several times for each time that the slow one does. Where
    one count does not divide by the least, the states have no cycle in common, and each has 0.
    """
    counts = [len(state.boundary) for state in loop.states]
    turns = min(counts)
    if any(count % turns for count in counts):
        return turns, (0,) * len(counts)
    return turns, tuple(count // turns for count in counts)


def _alike(program: Program, state: CarriedState, stride: int) -> bool:
    """Tell whether a state leaves the last cycle as it entered it; a cache that grows does not."""
    if not 0 < stride < len(state.boundary):
        return False
    entered, left = (program.meta(state.boundary[place]) for place in (-1 - stride, -1))
    return (entered.shape, entered.dtype) == (left.shape, left.dtype)
