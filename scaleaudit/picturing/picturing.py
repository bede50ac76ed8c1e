"""The stage: from a program, its loops and what was judged of them to a picture of every state."""

from __future__ import annotations

from dataclasses import replace

from scaleaudit.domain.facts import LoopFacts, ScaleFacts
from scaleaudit.domain.graph import OpGraph
from scaleaudit.domain.judged import JudgedState
from scaleaudit.domain.loops import Loop, LoopNest
from scaleaudit.picturing.drafting import Draft


def with_pictures(
    graph: OpGraph,
    nest: LoopNest,
    facts: ScaleFacts,
    judged: tuple[tuple[JudgedState, ...], ...],
) -> ScaleFacts:
    """Add to the facts of every state a picture of its loop."""
    loops = tuple(
        _with_pictures(graph, loop, known, of_loop)
        for loop, known, of_loop in zip(nest.loops, facts.loops, judged, strict=True)
    )
    return replace(facts, loops=loops)


def _with_pictures(
    graph: OpGraph, loop: Loop, known: LoopFacts, judged: tuple[JudgedState, ...]
) -> LoopFacts:
    states = tuple(
        replace(state, picture=Draft(graph, loop, index, state, judged).picture())
        for index, state in enumerate(known.states)
    )
    return replace(known, states=states)
