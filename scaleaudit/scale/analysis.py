"""The scale analysis of one program: from its loops to the facts that rules are asked over."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx

from scaleaudit.domain.claims import LoopClaims
from scaleaudit.domain.facts import (
    Coverage,
    LoopFacts,
    LossSource,
    Opaque,
    ScaleFacts,
    Supervision,
    Transition,
)
from scaleaudit.domain.graph import NodeKind, OpGraph, Ref, ancestors
from scaleaudit.domain.judged import JudgedState
from scaleaudit.domain.laws import DeclaredLaw
from scaleaudit.domain.loops import Loop, LoopNest
from scaleaudit.domain.scale import (
    CONSTANT,
    LINEAR,
    REALS,
    ZERO,
    Atom,
    Form,
    Poly,
    Scale,
    Support,
)
from scaleaudit.scale import judge
from scaleaudit.scale.centring import centred_dims
from scaleaudit.scale.claiming import loop_claims
from scaleaudit.scale.cycles import Cycle, Update, find_cycle, period_of, update_of
from scaleaudit.scale.interpreter import (
    OWN_GRADIENT,
    Interpreter,
    ScaleTable,
    View,
    is_differentiable,
    stops_gradient,
)
from scaleaudit.scale.laws import all_laws, law_for, with_declared
from scaleaudit.scale.states import StateJudge


def analyse(graph: OpGraph, nest: LoopNest) -> ScaleFacts:
    """Judge every carried state of every loop.

    The loop is cut at its boundaries: the value that crosses after every turn becomes a free
    input of degree 1, all turns together. One pass gives each turn's transition (how the next
    boundary depends on the last) and what every loss term sees.
    """
    return analyse_and_claim(graph, nest, claiming=False)[0]


def analyse_and_claim(
    graph: OpGraph, nest: LoopNest, *, claiming: bool = True
) -> tuple[ScaleFacts, tuple[LoopClaims, ...]]:
    """Judge every carried state, and hand out what the verdicts rest on, value by value."""
    studied = study(graph, nest)
    return studied.facts, studied.claims() if claiming else ()


def study(graph: OpGraph, nest: LoopNest) -> Studied:
    """Judge every carried state, and keep what the verdicts were read from."""
    interpreter = Interpreter(graph, with_declared(graph.declared))
    studies = tuple(Study(graph, interpreter, loop) for loop in nest.loops)
    loops = tuple(each.facts() for each in studies)
    coverage = _coverage(graph, interpreter, nest)
    return Studied(ScaleFacts(loops, coverage, graph.loss is not None), studies)


@dataclass(frozen=True, slots=True)
class Studied:
    """The facts of a program, and the studies of its loops that they come from."""

    facts: ScaleFacts
    studies: tuple[Study, ...]

    def claims(self) -> tuple[LoopClaims, ...]:
        """Return what the facts rest on, value by value."""
        return tuple(each.claims() for each in self.studies)

    def judged(self) -> tuple[tuple[JudgedState, ...], ...]:
        """Return for every loop what the facts of each of its states were read from."""
        return tuple(each.judged() for each in self.studies)


def _coverage(graph: OpGraph, interpreter: Interpreter, nest: LoopNest) -> Coverage:
    calls = [node for node in graph.nodes if node.kind is NodeKind.CALL]
    return Coverage(
        operators=sum(graph.times(node.id) for node in calls),
        unknown=interpreter.not_understood(),
        notes=graph.notes,
        distinct=len({node.op for node in calls}),
        supervision=_supervision(graph, nest),
        declared=_declared(graph),
    )


def _declared(graph: OpGraph) -> tuple[DeclaredLaw, ...]:
    """Return the laws of users that the program met."""
    met = {name for node in graph.nodes for name in (node.op, node.base_op)}
    known = all_laws()
    used = {law.operator: law for law in graph.declared if law.operator in met}
    return tuple(law for name, law in used.items() if law_for(name, known) is None)


def _supervision(graph: OpGraph, nest: LoopNest) -> Supervision:
    """Say what counted as trained on: a loss, else the outputs that a state may reach."""
    if graph.loss_given:
        return Supervision(LossSource.GIVEN)
    if graph.loss is not None:
        return Supervision(LossSource.FOUND, graph.loss_name)
    states = {ref.node for loop in nest.loops for state in loop.states for ref in state.boundary}
    reached = (
        name
        for name, ref in graph.outputs
        if is_differentiable(graph.meta(ref).dtype) and states & ancestors(graph, (ref.node,))
    )
    return Supervision(outputs=tuple(dict.fromkeys(reached)))


class Study:
    """The study of one loop."""

    def __init__(self, graph: OpGraph, interpreter: Interpreter, loop: Loop) -> None:
        self._loop = loop
        self._passes = LoopPasses(graph, interpreter, loop)
        indices = range(len(loop.states))
        self._judges = [StateJudge(graph, loop, self._passes, index) for index in indices]

    def facts(self) -> LoopFacts:
        """Put together what is known of every state."""
        own = [each.readings() for each in self._judges]
        states = tuple(each.facts(own, index) for index, each in enumerate(self._judges))
        loop = self._loop
        return LoopFacts(loop.name, loop.turns, loop.location, states, loop.turns_from)

    def claims(self) -> LoopClaims:
        """Put together what the facts rest on."""
        return loop_claims(self._loop, self._passes, self._judges)

    def judged(self) -> tuple[JudgedState, ...]:
        """Return what the facts of each state were read from."""
        return tuple(each.judged() for each in self._judges)


class LoopPasses:
    """The passes over a program for one loop: all states together, and each by itself.

    Attributes:
        joint: All states scaled together (bounded ones apart), in the value view.
    """

    def __init__(self, graph: OpGraph, interpreter: Interpreter, loop: Loop) -> None:
        self.graph = graph
        self._interpreter = interpreter
        self._loop = loop
        self._count = len(loop.states)
        self._seeded: dict[Atom, Ref] = {}
        self.joint = interpreter.run(self._seeds(range(self._count)))
        self._growing = self._settle()
        self._single: dict[tuple[int, View], ScaleTable] = {}
        self._influence: nx.DiGraph[int] | None = None

    def _settle(self) -> dict[int, ScaleTable]:
        """For every state the pass in which its transition is judged.

        A state whose length is bounded or forgotten at every turn does not drive the others:
        it is held while they are judged, until no more states settle.
        """
        judged_in = dict.fromkeys(range(self._count), self.joint)
        growing = set(range(self._count))
        while True:
            settled = {i for i in growing if self._is_settled(judged_in[i], i)}
            growing -= settled
            if not settled or not growing:
                return judged_in
            table = self._interpreter.run(self._seeds(sorted(growing)))
            judged_in.update(dict.fromkeys(growing, table))

    def _is_settled(self, table: ScaleTable, index: int) -> bool:
        ends = self._loop.states[index].boundary[1:]
        scales = [table.inflow[ref] for ref in ends]
        if not scales or any(scale.opaque for scale in scales):
            return False
        if all(scale.span.is_finite or scale.growth.hi <= ZERO for scale in scales):
            return True
        kinds = {judge.judge_turn(scale, index).transition for scale in scales}
        return kinds == {Transition.BOUNDED}

    def transitions_of(self, index: int) -> ScaleTable:
        """The pass in which the transition of a state is judged."""
        return self._growing[index]

    def cycle_of(self, index: int) -> Cycle:
        """The states that feed each other with one, and what a period of the loop multiplies by."""
        table = self._growing[index]
        boundaries = [state.boundary for state in self._loop.states]
        updates = [self._update(state, ends[-1], table) for state, ends in enumerate(boundaries)]
        states = sorted(find_cycle(updates, index).states)
        period = period_of(boundaries, states)
        return find_cycle([self._update(state, ref, table) for state, ref in period], index)

    def _update(self, state: int, ref: Ref, table: ScaleTable) -> Update:
        boundaries = [each.boundary for each in self._loop.states]
        return update_of(state, ref, table.inflow[ref], boundaries, self._seeded)

    def boundary_of(self, atom: Atom) -> Ref:
        """The boundary value that an atom of a free input stands for."""
        return self._seeded[atom.base]

    def opaque_in(self, index: int) -> tuple[Opaque, ...]:
        """What keeps the last turn of a state from being known."""
        return self.joint.inflow[self._loop.states[index].boundary[-1]].opaque

    def alone(self, index: int, view: View) -> ScaleTable:
        """The pass in which one state is scaled and the others stay, in either view."""
        key = (index, view)
        if key not in self._single:
            if view is View.GRADIENT and not self._gradients_matter(index):
                self._single[key] = self.alone(index, View.VALUE)
            elif view is View.VALUE and self._count == 1:
                self._single[key] = self.joint
            else:
                seeds = self._seeds([index], view=view)
                self._single[key] = self._interpreter.run(seeds, view)
        return self._single[key]

    def feeds_itself_through_others(self, index: int) -> bool:
        """Whether the next values of other states depend on a state, and its own on theirs."""
        if self._count == 1:
            return False
        if self._influence is None:
            self._influence = self._influences()
        component = next(c for c in nx.strongly_connected_components(self._influence) if index in c)
        return len(component) > 1

    def _influences(self) -> nx.DiGraph[int]:
        """Which state's next value depends on which state; comparisons carry no gradient."""
        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(range(self._count))
        for source in graph.nodes:
            tables = [self.alone(source, view) for view in (View.GRADIENT, View.VALUE)]
            table = tables[0] if any(s.depends for s in tables[0].inflow.values()) else tables[1]
            for target, state in enumerate(self._loop.states):
                if any(table.inflow[ref].depends for ref in state.boundary):
                    graph.add_edge(source, target)
        return graph

    def _gradients_matter(self, index: int) -> bool:
        """Whether anything downstream of the state stops gradients."""
        table = self.alone(index, View.VALUE)
        touched = set(table.rows) | {ref.node for ref in table.seeds}
        nodes = [self.graph[n] for n in touched]
        return any(stops_gradient(n) or n.base_op in OWN_GRADIENT for n in nodes)

    def _seeds(
        self,
        indices: range | list[int],
        view: View = View.VALUE,
    ) -> dict[Ref, Scale]:
        """Free inputs for the boundary values; those of other states are cut to constants."""
        seeds: dict[Ref, Scale] = {}
        for index, state in enumerate(self._loop.states):
            for ref in state.boundary:
                if index in indices and not _is_stopped(self.graph, ref, view):
                    seeds[ref] = free_input(self.graph, ref, index)
                    self._seeded.update(dict.fromkeys(seeds[ref].form.parts, ref))
                else:
                    seeds[ref] = held(self.graph, ref)
        return seeds


def _is_stopped(graph: OpGraph, ref: Ref, view: View) -> bool:
    """In the gradient view a boundary made without gradient polices nothing."""
    return view is View.GRADIENT and stops_gradient(graph[ref.node])


def free_input(graph: OpGraph, ref: Ref, index: int) -> Scale:
    """A boundary value as a free input: degree 1, gain exactly 1, all of it read."""
    shape = graph.meta(ref).shape
    centred = centred_dims(graph, ref)
    atom = Atom(LINEAR, Scale(LINEAR).span, state=index, centred=centred)
    support = Support(tuple(range(len(shape))), tuple((1 << size) - 1 for size in shape))
    return Scale(LINEAR, shape=shape, given=Form({atom: Poly({(): 1.0})}, Poly()), support=support)


def held(graph: OpGraph, ref: Ref) -> Scale:
    """A boundary value that stays as it is while another state is scaled."""
    return Scale(CONSTANT, REALS, shape=graph.meta(ref).shape)
