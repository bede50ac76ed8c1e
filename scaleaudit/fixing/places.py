"""The stage in the child: where in the source of a program fixes can take hold, told by its graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from scaleaudit.domain.facts import LoopFacts, Readout, ScaleFacts, StateFacts
from scaleaudit.domain.footholds import Handover, NormCall
from scaleaudit.domain.graph import Frame, Location, Node, OpGraph
from scaleaudit.domain.loops import CarriedState, Loop, LoopNest
from scaleaudit.fixing.features import are_last
from scaleaudit.fixing.norms import names_in
from scaleaudit.fixing.raw import Analyse, RawReadouts

# Returns the norms of a readout, by the position of its state.
_Norms = Callable[[int, StateFacts, Readout], tuple[NormCall, ...]]
# A place that crosses once tells nothing of a loop.
_FEWEST = 2


def with_footholds(
    graph: OpGraph, nest: LoopNest, facts: ScaleFacts, analyse: Analyse
) -> ScaleFacts:
    """Add to the facts of every state where fixes can take hold of it.

    Args:
        analyse: Tells what is known of a program, to ask it of changed ones.
    """
    raw = RawReadouts(graph, nest, analyse)
    loops = tuple(
        _in_loop(graph, loop, known, partial(raw.norms, index))
        for index, (loop, known) in enumerate(zip(nest.loops, facts.loops, strict=True))
    )
    return replace(facts, loops=loops)


def _in_loop(graph: OpGraph, loop: Loop, known: LoopFacts, norms: _Norms) -> LoopFacts:
    states = tuple(
        replace(
            facts,
            handover=_handover(graph, state),
            readouts=tuple(
                replace(readout, norms=norms(index, facts, readout)) for readout in facts.readouts
            ),
        )
        for index, (state, facts) in enumerate(zip(loop.states, known.states, strict=True))
    )
    return replace(known, states=states)


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
    return Handover(
        places.pop(),
        visits,
        _names(made, around),
        _loss(graph, around),
        features_last=are_last(graph, state),
    )


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
