"""Readouts that would see a state if they were given it raw: tried on the graph, without its norm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise

from scaleaudit.domain.facts import (
    ProofStep,
    Readout,
    ScaleFacts,
    StateFacts,
    Transition,
    Visibility,
)
from scaleaudit.domain.footholds import NormCall
from scaleaudit.domain.graph import Argument, Location, OpGraph, Ref, ancestors
from scaleaudit.domain.loops import Loop, LoopNest
from scaleaudit.fixing.norms import Normed, norm_call, normed_at

# Tells what is known of a program.
Analyse = Callable[[OpGraph, LoopNest], ScaleFacts]

# Programs are analysed without a norm so many times at most.
_MOST_TRIALS = 8
_BLIND = (Visibility.INVARIANT, Visibility.ASYMPTOTIC)
_HELD = (Transition.REMOVED, Transition.BOUNDED)


class RawReadouts:
    """Finds the norms of a program's readouts without which the loss would see a state."""

    def __init__(self, graph: OpGraph, nest: LoopNest, analyse: Analyse) -> None:
        self._graph, self._nest, self._analyse = graph, nest, analyse
        self._trials = _MOST_TRIALS

    def norms(
        self, loop: int, index: int, state: StateFacts, readout: Readout
    ) -> tuple[NormCall, ...]:
        """Return the expressions, innermost first, that norm a state for a readout and do no more.

        Args:
            loop: The position of the loop in its program.
            index: That of the state in its loop.
        """
        step = _hiding(readout.proof)
        blind = {state.visibility, readout.visibility} <= set(_BLIND)
        if step is None or not readout.supervised or not blind or _is_held(state):
            return ()
        carrying = _Carrying(self._graph, self._nest.loops[loop])
        return tuple(
            call
            for call, evaluations in self._calls(carrying, step)
            if self._shows(loop, index, evaluations)
        )

    def _calls(
        self, carrying: _Carrying, step: ProofStep
    ) -> Iterator[tuple[NormCall, list[Normed]]]:
        """Yield the expressions that norm for readouts alone, with all their evaluations."""
        nodes = [self._graph[n] for n in self._written.get((step.operator, step.location), ())]
        if not nodes:
            return
        for frame in reversed(nodes[-1].frames):
            if frame.location in carrying.places:
                continue
            found = [
                (node, same, normed_at(self._graph, node, same))
                for node in nodes
                for same in node.frames
                if same.location == frame.location
            ]
            evaluations = [normed for _, _, normed in found if normed is not None]
            if len(evaluations) == len(found) and all(map(self._is_for_one, evaluations)):
                yield norm_call(self._graph, *found[-1][:2], evaluations[-1]), evaluations

    def _is_for_one(self, normed: Normed) -> bool:
        """Whether nothing but one operator reads what is normed, and nobody is given it."""
        given = {ref.node for _, ref in self._graph.outputs}
        return normed.made.node not in given and len(self._graph.users[normed.made.node]) == 1

    @cached_property
    def _written(self) -> dict[tuple[str, Location | None], list[int]]:
        """The nodes that the loss is computed from, by operator and line."""
        found: dict[tuple[str, Location | None], list[int]] = {}
        for n in sorted(self._graph.reaches_loss):
            node = self._graph[n]
            found.setdefault((node.op, node.location), []).append(n)
        return found

    def _shows(self, loop: int, index: int, evaluations: Sequence[Normed]) -> bool:
        """Whether the loss sees a state in the program without some norms."""
        if not self._trials:
            return False
        self._trials -= 1
        facts = self._analyse(_without(self._graph, evaluations), self._nest)
        return facts.loops[loop].states[index].visibility is Visibility.VISIBLE


def _is_held(state: StateFacts) -> bool:
    """Whether the loop or a penalty restrains a state, which then needs no fix."""
    return state.transition in _HELD or any(penalty.flaw is None for penalty in state.penalties)


class _Carrying:
    """The expressions that have a part in what crosses."""

    def __init__(self, graph: OpGraph, loop: Loop) -> None:
        self._graph, self._loop = graph, loop

    @cached_property
    def places(self) -> frozenset[Location]:
        """Where they stand."""
        crossing = tuple(ref.node for state in self._loop.states for ref in state.boundary)
        nodes = (self._graph[n] for n in ancestors(self._graph, crossing))
        return frozenset(frame.location for node in nodes for frame in node.frames)


def _hiding(proof: tuple[ProofStep, ...]) -> ProofStep | None:
    """The step of a proof at which the length is lost."""
    for before, step in pairwise(proof):
        if before.degree and before.degree > 0 and step.degree == 0:
            return step
    return None


def _without(graph: OpGraph, evaluations: Sequence[Normed]) -> OpGraph:
    """Return the program in which what reads a norm reads what that was given."""
    inside = frozenset().union(*(each.inside for each in evaluations))
    instead = {each.made: each.given for each in evaluations}
    nodes = tuple(
        node
        if node.id in inside or instead.keys().isdisjoint(node.operands)
        else replace(node, arguments=tuple((k, _put(v, instead)) for k, v in node.arguments))
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def _put(argument: Argument, instead: dict[Ref, Ref]) -> Argument:
    if isinstance(argument, Ref):
        return instead.get(argument, argument)
    if isinstance(argument, tuple):
        return tuple(_put(item, instead) for item in argument)
    return argument
