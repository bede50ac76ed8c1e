"""The stage in the child: where in the source of a program fixes can take hold, told by its graph."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from itertools import pairwise

from scaleaudit.domain.facts import LoopFacts, ProofStep, Readout, ScaleFacts
from scaleaudit.domain.footholds import Handover, NormCall
from scaleaudit.domain.graph import Frame, Location, Node, OpGraph, ancestors
from scaleaudit.domain.loops import CarriedState, Loop, LoopNest
from scaleaudit.fixing.norms import names_in, norm_calls

# An operator and the line that it stands in.
_Written = tuple[str, Location | None]
# A place that crosses once tells nothing of a loop.
_FEWEST = 2


def with_footholds(graph: OpGraph, nest: LoopNest, facts: ScaleFacts) -> ScaleFacts:
    """Add to the facts of every state where fixes can take hold of it."""
    at: dict[_Written, int] = {}
    if nest.loops:
        at = {(n.op, n.location): n.id for n in graph.nodes if n.id in graph.reaches_loss}
    loops = tuple(
        _in_loop(graph, loop, known, at)
        for loop, known in zip(nest.loops, facts.loops, strict=True)
    )
    return replace(facts, loops=loops)


def _in_loop(graph: OpGraph, loop: Loop, known: LoopFacts, at: dict[_Written, int]) -> LoopFacts:
    """Add to the facts of a loop.

    Args:
        at: The last node of every operator and line that the loss is computed from.
    """
    carrying = _Carrying(graph, loop)
    states = tuple(
        replace(
            facts,
            handover=_handover(graph, state),
            readouts=tuple(
                replace(readout, norms=_norms(graph, readout, carrying, at))
                for readout in facts.readouts
            ),
        )
        for state, facts in zip(loop.states, known.states, strict=True)
    )
    return replace(known, states=states)


class _Carrying:
    """What the values that cross in a loop are computed from, and where that is written."""

    def __init__(self, graph: OpGraph, loop: Loop) -> None:
        self._graph, self._loop = graph, loop

    @cached_property
    def nodes(self) -> frozenset[int]:
        """The operators."""
        crossing = (ref.node for state in self._loop.states for ref in state.boundary)
        return ancestors(self._graph, tuple(crossing))

    @cached_property
    def places(self) -> frozenset[Location]:
        """The expressions that ran them."""
        frames = (frame for n in self.nodes for frame in self._graph[n].frames)
        return frozenset(frame.location for frame in frames)


def _handover(graph: OpGraph, state: CarriedState) -> Handover | None:
    """The expression that makes what crosses, where every turn has the same one."""
    made = [graph[ref.node] for ref in state.boundary]
    if len(made) < _FEWEST:
        return None
    around = _common_frame(made)
    if around is None:
        return None
    frames = [_in_frame(node, around) for node in made]
    places = {frame.location for frame in frames if frame is not None}
    if len(places) != 1:
        return None
    visits = _visits(graph, made[-2], made[-1], around)
    if not visits:
        return None
    return Handover(places.pop(), visits, _names(made, around), _loss(graph, around))


def _common_frame(nodes: list[Node]) -> int | None:
    """The innermost running frame of the user's that all nodes ran under."""
    running = [[frame.running for frame in node.frames] for node in nodes]
    shared = [each for each in running[0] if all(each in others for others in running[1:])]
    return shared[-1] if shared else None


def _in_frame(node: Node, running: int) -> Frame | None:
    return next((frame for frame in node.frames if frame.running == running), None)


def _names(nodes: list[Node], running: int) -> tuple[str, ...]:
    """The variables of a running function that were seen to hold one of some values."""
    return tuple(dict.fromkeys(name for node in nodes for name in names_in(node, running)))


def _visits(graph: OpGraph, before: Node, node: Node, running: int) -> int:
    """How often the instruction that makes a value ran since the one before was made."""
    depth = next((i for i, (each, _) in enumerate(node.turn_frames) if each == running), None)
    if depth is None:
        return 0
    place, found = node.turn_frames[depth], dict[object, int]()
    for other in graph.nodes[before.id + 1 : node.id + 1]:
        own = other.turn_frames
        if len(own) <= depth or own[depth] != place:
            continue
        if len(own) > depth + 1:
            found[own[depth + 1][0]] = graph.times(other.id)
        elif other.op == node.op:
            found[other.id, other.op] = graph.times(other.id)
    return round(sum(found.values()) / graph.times(node.id))


def _loss(graph: OpGraph, running: int) -> Location | None:
    if graph.loss is None:
        return None
    frame = _in_frame(graph[graph.loss.node], running)
    return frame.location if frame else None


def _norms(
    graph: OpGraph, readout: Readout, carrying: _Carrying, at: dict[_Written, int]
) -> tuple[NormCall, ...]:
    """The expressions that norm a state for a readout alone, not for what crosses as well."""
    step = _hiding(readout.proof)
    if step is None or not readout.supervised:
        return ()
    node = at.get((step.operator, step.location))
    if node is None or node in carrying.nodes:
        return ()
    calls = norm_calls(graph, graph[node])
    return tuple(call for call in calls if call.location not in carrying.places)


def _hiding(proof: tuple[ProofStep, ...]) -> ProofStep | None:
    """The step of a proof at which the length is lost."""
    for before, step in pairwise(proof):
        if before.degree and before.degree > 0 and step.degree == 0:
            return step
    return None
